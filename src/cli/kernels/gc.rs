//! `backproof kernels gc`: shows the cache, and makes it smaller.

use std::time::Duration;

use clap::Args;

use crate::cli::{Cache, Format, Stop, show};
use crate::evidence::git;
use crate::exit::Exit;
use crate::kernel::cache::{Collected, Limits, collect, survey};
use crate::report::{GcDocument, Style, bytes, say};

#[derive(Args, Debug)]
pub(in crate::cli) struct Gc {
    /// Remove files that were unused for this time: 12h, 30d, 8w
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Shrink the cache to this size, least recently used first: 500M, 20G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Show what would be removed, but remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    cache: Cache,
}

/// Shows the cache, or removes files from it.
pub(super) fn gc(args: &Gc) -> Result<Exit, Stop> {
    let store = args.cache.open()?;
    let limits = Limits { older_than: args.older_than, max_bytes: args.max_size };
    let collected = if limits == Limits::default() {
        let left = survey(&store, &[git::KEPT]).map_err(Stop::no_verdict)?;
        Collected { removed: Vec::new(), kept: Vec::new(), left }
    } else {
        let waiting = || say(format_args!("waiting for another gc of {}", store.folder().display()));
        collect(&store, &[git::KEPT], limits, args.dry_run, waiting).map_err(Stop::no_verdict)?
    };
    let document = GcDocument::of(&store, limits != Limits::default(), args.dry_run, &collected);
    show(&document, args.format, Style::of_terminal())?;
    if let Some(max) = args.max_size.filter(|max| document.left_bytes > *max) {
        let (has, max) = (bytes(document.left_bytes), bytes(max));
        say(format_args!("the cache still takes {has}, more than {max}: {}", document.why_left()));
    }
    Ok(Exit::Clean)
}

/// A number and its unit.
fn number<'u>(text: &str, units: &'u [(&'u str, u64)]) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Reads an age such as `30d`.
pub(in crate::cli) fn age(text: &str) -> Result<Duration, String> {
    let units = [("m", 60), ("h", 3600), ("d", 24 * 3600), ("w", 7 * 24 * 3600)];
    let seconds = number(text, &units);
    seconds.map(Duration::from_secs).ok_or_else(|| "expected a number and one of m, h, d, w, as in 30d".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
    let bytes = if text == "0" { Some(0) } else { number(text, &units) };
    bytes.ok_or_else(|| "expected a number and one of K, M, G, T, as in 20G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_need_a_number_and_a_unit() {
        assert_eq!(age("30d"), Ok(Duration::from_secs(30 * 86400)));
        assert_eq!(age("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(size("20G"), Ok(20 << 30));
        assert_eq!(size("0"), Ok(0));
        for bad in ["", "d", "30", "30 d", "-1d", "1.5d", "30x", "99999999999999999999d", "18446744073709551615w"] {
            assert!(age(bad).is_err(), "{bad}");
        }
        for bad in ["", "20", "20g", "20GB", "-1G", "18446744073709551615T"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
