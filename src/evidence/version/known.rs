//! Knows which kernel.org releases exist, because a kernel with a made-up name is not judged.
//!
//! Ended lines are listed exactly. Active lines only have bounds, so that future releases are judged without a change
//! here. They descend from known ones, and the finding says that the release was not known.

use super::names;
use super::release::{Release, Vendor};
use crate::matrix::{ReleaseLine, Upstream};

/// The last line of each ended version, from mainline's tags; before 3.0 by the first two numbers.
const LAST_BEFORE_3: [(u16, u16); 7] = [(0, 40), (1, 132), (2, 26), (3, 99), (4, 37), (5, 75), (6, 39)];
const LAST: [(u16, u16); 3] = [(3, 19), (4, 20), (5, 19)];

/// The newest lines of the later versions, at the last update of this file.
const NEWEST: [(u16, u16); 2] = [(6, 19), (7, 2)];

/// The highest future version to accept. Since 3.0, mainline has started a new version after minor 19 or 20, which
/// takes more than three years.
const NEXT_VERSION: u16 = 8;
const LAST_MINOR: u16 = 20;

/// The last release of each ended line, by version and then from minor 0 on; 0 for active lines. From kernel.org's
/// tags, and the announcements of the lines' ends.
const ENDED: [(u16, &[u16]); 4] = [
    (3, &[101, 10, 102, 8, 113, 7, 11, 10, 13, 11, 108, 10, 74, 11, 79, 10, 85, 8, 140, 8]),
    (4, &[9, 52, 8, 6, 302, 7, 7, 10, 17, 337, 17, 12, 14, 16, 336, 18, 18, 19, 20, 325, 17]),
    (5, &[21, 21, 21, 18, 302, 19, 19, 19, 18, 16, 0, 22, 19, 19, 21, 0, 20, 15, 19, 17]),
    (6, &[19, 0, 16, 13, 16, 13, 0, 12, 12, 12, 14, 11, 0, 12, 11, 11, 12, 13]),
];

/// No line has had as many releases: the longest, 4.9, ended with 337. Before 3.0 it was 2.6.32, with 71.
const MOST: u16 = 500;
const MOST_BEFORE_3: u16 = 71;

/// No release has had as many candidates: 3.1 had ten.
const MOST_CANDIDATES: u16 = 20;

/// Why a kernel with this name is not judged; none if it exists, or may exist by now.
pub(super) fn objection(release: &Release) -> Option<String> {
    if release.vendor == names::WSL1 {
        return Some("WSL 1 emulates Linux: it has no Linux kernel".into());
    }
    let no_such = |why: String| Some(format!("no such release is known: {why}"));
    let base = release.base;
    if let Some(why) = no_line(base.line()) {
        return no_such(why);
    }
    // Others who continue a kernel.org line after its end use their own numbers.
    if matches!(release.vendor, Vendor::KernelOrg(_)) { no_release(base).and_then(no_such) } else { None }
}

/// The newest known line, if this line is newer.
pub(super) fn is_ahead(line: ReleaseLine) -> Option<String> {
    let [version, minor, _] = line.numbers();
    let newest = NEWEST.iter().rev().find(|(known, _)| *known <= version)?;
    (newest.0 < version || newest.1 < minor).then(|| format!("{}.{}", newest.0, newest.1))
}

/// Whether a release exists, by the known ones.
pub(super) fn exists(release: Upstream) -> bool {
    no_line(release.line()).is_none() && no_release(release).is_none()
}

/// The last release of a line, and whether the line is active. For an active line it is an unreachable bound.
pub(super) fn last(line: ReleaseLine) -> (u16, bool) {
    let [version, minor, _] = line.numbers();
    let ended = ENDED.iter().find(|(known, _)| *known == version).and_then(|(_, lines)| lines.get(usize::from(minor)));
    match ended {
        Some(last) if *last > 0 => (*last, false),
        _ => (if version < 3 { MOST_BEFORE_3 } else { MOST }, version >= 3),
    }
}

fn no_line(line: ReleaseLine) -> Option<String> {
    let [version, minor, third] = line.numbers();
    let last = |table: &[(u16, u16)], key| table.iter().find(|(known, _)| *known == key).map(|(_, last)| *last);
    if version < 3 {
        return match last(&LAST_BEFORE_3, minor) {
            Some(last) if third <= last => None,
            Some(last) => Some(format!("2.{minor} ended with 2.{minor}.{last}")),
            None => Some("2.6 was followed by 3.0".to_owned()),
        };
    }
    match last(&LAST, version) {
        Some(last) if minor > last => Some(format!("{version}.{last} was followed by {}.0", version + 1)),
        Some(_) => None,
        None if version <= NEXT_VERSION && minor <= LAST_MINOR => None,
        None => {
            let newest = NEWEST.last().map_or_else(String::new, |(version, minor)| format!("{version}.{minor}"));
            Some(format!("the newest line that is known is {newest}"))
        }
    }
}

/// Why an existing line has no such release.
fn no_release(release: Upstream) -> Option<String> {
    let [version, minor, _] = release.line().numbers();
    let ended = ENDED.iter().find(|(known, _)| *known == version).and_then(|(_, lines)| lines.get(usize::from(minor)));
    match (release.stable(), ended) {
        (stable, Some(last)) if *last > 0 && stable > *last => {
            Some(format!("the line {version}.{minor} ended with {version}.{minor}.{last}"))
        }
        (stable, _) if stable > if version < 3 { MOST_BEFORE_3 } else { MOST } => {
            Some("no line has had so many releases".to_owned())
        }
        _ if release.candidate().is_some_and(|candidate| candidate > MOST_CANDIDATES) => {
            Some("no release has had so many candidates".to_owned())
        }
        _ => None,
    }
}
