//! The way from a page to the files of its run.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::super::formats::RunReport;

/// The relative address of the run's folder, seen from the page: empty for a page in that folder, and `None` if the page's
/// place is unknown.
pub(in crate::report) fn to_folder(run: &RunReport) -> Option<String> {
    let page = run.file?.parent()?;
    let page = if page.as_os_str().is_empty() { Path::new(".") } else { page };
    relative(&fs::canonicalize(page).ok()?, &fs::canonicalize(run.folder).ok()?)
}

/// The way from one absolute folder to another.
pub(in crate::report) fn relative(from: &Path, to: &Path) -> Option<String> {
    let shared: PathBuf = from.components().zip(to.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let up = from.strip_prefix(&shared).ok()?.components().count();
    let mut way = "../".repeat(up);
    for part in to.strip_prefix(&shared).ok()?.components() {
        let Component::Normal(part) = part else { return None };
        way.push_str(part.to_str()?);
        way.push('/');
    }
    Some(way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn way_to_the_folder_is_relative() {
        for (from, to, way) in [
            ("/r/run", "/r/run", ""),
            ("/tmp", "/r/run", "../r/run/"),
            ("/r", "/r/run", "run/"),
            ("/r/run/a", "/r/other", "../../other/"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)).as_deref(), Some(way), "{from} {to}");
        }
    }
}
