//! The pictures of a cell, from the files of its folder.

use std::path::Path;

use backproof_protocol::Check;

use super::picture::Picture;
use crate::regular;
use crate::results::captured;
use crate::results::time_line::{file_part, segments};
use crate::run::Cell;

/// The largest file to read, in bytes. Captures and time lines of a cell are far smaller.
const FILE_MOST: u64 = 4 << 20;

/// A cell with more checks than this makes many short connections, which show nothing as pictures.
const CHECKS_MOST: usize = 16;

/// The pictures of a cell, one for each check with data, in the checks' order. A missing or damaged file costs its pictures.
pub(super) fn pictures(run: &Path, cell: &Cell) -> Vec<Picture> {
    let name = format!("{}/{}", cell.kernel, cell.job());
    let checks = &cell.trials.checks;
    let mut pictures = Vec::new();
    if checks.len() <= CHECKS_MOST {
        let file = format!("{name}/wire.pcapng");
        let connections = read(run, &file).map(|bytes| captured(&bytes)).unwrap_or_default();
        for check in checks {
            // A check that begins anew judges its last connection.
            let of_check = connections.iter().filter(|connection| connection.check == check.name);
            let mut drawn =
                of_check.rev().filter_map(|connection| Picture::of(check, file.clone(), &connection.segments));
            pictures.extend(drawn.next());
        }
    }
    pictures.extend(checks.iter().filter_map(|check| time_line(run, &name, check)));
    pictures
}

fn time_line(run: &Path, name: &str, check: &Check) -> Option<Picture> {
    let file = format!("{name}/timeline-{}", file_part(&check.name)?);
    let table = String::from_utf8_lossy(&read(run, &format!("{file}.tsv"))?).into_owned();
    Picture::of(check, format!("{file}.svg"), &segments(&table))
}

fn read(run: &Path, file: &str) -> Option<Vec<u8>> {
    regular::read(&run.join(file), FILE_MOST).ok()
}
