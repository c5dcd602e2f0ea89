//! The words for what changed.

use crate::results::{CellStanding, ChangeKind};

/// The words for a flipped cell, without what is slower or flakier.
pub(super) fn flipped(kinds: &[ChangeKind], before: &CellStanding, after: &CellStanding) -> Option<String> {
    let mut parts = Vec::new();
    if kinds.contains(&ChangeKind::ConflictBegan) {
        parts.push("strong witnesses contradict each other now".to_owned());
    }
    if kinds.contains(&ChangeKind::ConflictEnded) {
        parts.push("the witnesses agree again".to_owned());
    }
    let (was, is) = (before.in_words(), after.in_words());
    let reason = after.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
    if was != is {
        parts.push(format!("{is}, was {was}{reason}"));
    } else if before.verdict != after.verdict {
        parts.push(format!("{is}: the verdict is {}, was {}", after.verdict, before.verdict));
    }
    if before.state != after.state {
        let name = |standing: &CellStanding| standing.state.map_or("not named", |state| state.as_str());
        parts.push(format!("state {}, was {}", name(after), name(before)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The words for a new kernel: how its cells ended.
pub(super) fn new_kernel<'a>(cells: impl Iterator<Item = &'a CellStanding>, release: Option<&str>) -> String {
    let (mut total, mut words) = (0_usize, Vec::<(String, usize)>::new());
    for cell in cells {
        total += 1;
        let word = cell.in_words();
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    let words: Vec<String> = words.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    let release = release.map_or_else(String::new, |release| format!(" ({release})"));
    let cells = if total == 1 { "1 cell".to_owned() } else { format!("{total} cells") };
    format!("new kernel{release}; {cells}: {}", words.join(", "))
}

/// The words for another image or release.
pub(super) fn kernel_changed(releases: (Option<&str>, Option<&str>), images: (&str, &str)) -> Option<String> {
    let short = |sha256: &str| sha256.chars().take(12).collect::<String>();
    match releases {
        (Some(was), Some(is)) if was != is => Some(format!("kernel {is}, was {was}")),
        _ if images.0 == images.1 => None,
        (_, Some(is)) => Some(format!("another image of {is}: sha256 {}…, was {}…", short(images.1), short(images.0))),
        (_, None) => Some(format!("another image: sha256 {}…, was {}…", short(images.1), short(images.0))),
    }
}
