//! Parses patch files, and the series that name them: Debian's `debian/patches/series`, SUSE's `series.conf`.

use std::collections::BTreeSet;

use super::content::{TELLING, is_comment, letters};
use super::line_changes::StepLines;
use super::message::{Abbreviation, MentionKind, cves, unclaimed};
use super::subject::{is_same, plain_subject};
use super::subject_forms::{doubted_subjects, reverted_subjects};
use super::trailers::mentions;
use crate::evidence::source::quilt::level;

/// A patch that changes more files than this is more than one backport.
const LARGE: usize = 50;
/// The most lines of a patch to keep for comparisons.
const MOST_LINES: usize = 400;
/// The longest head of a patch, with its trailers, in bytes. Only the head is searched for words.
const HEAD: usize = 64 * 1024;

/// One patch of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QuiltPatch {
    /// Its path in the tree.
    pub file: String,
    /// Its subject, without marks.
    pub subject: String,
    /// The commits that its head names, with the lines.
    pub mentions: Vec<(MentionKind, Abbreviation, String)>,
    /// Subjects that its head mentions reverting.
    pub doubted: Vec<String>,
    /// The CVEs in its head and its name.
    pub cves: Vec<String>,
    /// Whether it is surely applied.
    pub is_applied: bool,
    /// Whether it may be applied in reverse, which removes the commits that it carries.
    pub is_reversed: bool,
    /// Its first telling lines, and whether it adds them.
    lines: Vec<(Vec<u8>, bool)>,
    /// The files that it changes, for each possible strip level.
    files: BTreeSet<String>,
    /// Whether it changes more files than a single backport.
    pub is_large: bool,
    /// Whether it changes only comments and blank lines.
    pub is_comment: bool,
    /// If it adds conditions of the preprocessor, or a comment around lines: the telling lines that it keeps or adds.
    enclosed: Vec<Vec<u8>>,
}

impl QuiltPatch {
    /// The ways in which its head names other commits.
    pub fn kinds(&self) -> impl Iterator<Item = MentionKind> {
        self.mentions.iter().map(|(kind, ..)| *kind)
    }

    /// Whether it may turn off lines that a step adds.
    pub fn may_turn_off(&self, step: &[StepLines]) -> bool {
        let mut added = step.iter().flat_map(StepLines::lines).filter(|(_, added)| *added);
        !self.enclosed.is_empty() && added.any(|(line, _)| self.enclosed.iter().any(|own| own == line))
    }

    /// The telling lines that it adds.
    pub fn added(&self) -> Vec<u8> {
        let added = self.lines.iter().filter(|(_, added)| *added);
        added.flat_map(|(line, _)| [line.as_slice(), b"\n"].concat()).collect()
    }

    /// The telling lines that it changes, and whether it adds them. None if it has more than were kept.
    pub fn all_lines(&self) -> Option<&[(Vec<u8>, bool)]> {
        (self.lines.len() < MOST_LINES).then_some(&self.lines)
    }

    /// Whether it changes one of these files.
    pub fn changes(&self, files: &[String]) -> bool {
        files.iter().any(|file| self.files.contains(file))
    }

    /// Whether it removes a step with these subjects in the words of a backport, by its subject or by lines that reverse
    /// the step's.
    pub fn turns(&self, step: &[StepLines], subjects: &[String]) -> bool {
        // Reverts in git's own words are handled elsewhere.
        let is_it = |plain: &str| subjects.iter().any(|subject| is_same(plain, subject));
        if reverted_subjects(&self.subject).iter().any(|undone| is_it(&plain_subject(undone.as_bytes()))) {
            return false;
        }
        let own = self.subject.to_ascii_lowercase();
        let says_so = ["revers", "revert"].iter().any(|word| own.contains(word)) && !is_it(&self.subject);
        says_so || self.turns_lines(step)
    }

    /// Whether its lines reverse a step's.
    pub fn turns_lines(&self, step: &[StepLines]) -> bool {
        let (mut same, mut turned) = (0, 0);
        for (line, is_added) in step.iter().flat_map(StepLines::lines) {
            for (_, own) in self.lines.iter().filter(|(own, _)| own == line) {
                if *own == is_added { same += 1 } else { turned += 1 }
            }
        }
        turned > same
    }

    /// Parses the text of a patch, with these possible strip levels.
    pub fn parse(file: &str, whole: &[u8], levels: &[usize]) -> Self {
        let text = &whole[..whole.len().min(HEAD)];
        let head_end = text
            .split_inclusive(|b| *b == b'\n')
            .scan(0, |at, line| {
                let start = *at;
                *at += line.len();
                Some((start, line))
            })
            .find(|(_, line)| {
                *line == b"---\n" || [&b"diff --"[..], b"Index: ", b"--- "].iter().any(|mark| line.starts_with(mark))
            })
            .map_or(text.len(), |(start, _)| start);
        let head = &text[..head_end];
        // The message gets a blank first line, because the first line is a subject, which claims nothing.
        let message = [b"\n\n", head].concat();
        let claimed = mentions(&message);
        let doubted = doubted_subjects(&message, &claimed);
        let doubted = doubted.iter().map(|subject| plain_subject(subject.as_bytes())).collect();
        let mut said: Vec<_> = claimed
            .iter()
            .map(|m| (m.kind, m.commit, String::from_utf8_lossy(m.line).chars().take(160).collect()))
            .collect();
        // Commits that it names in unknown words.
        let others = unclaimed(&message, &claimed);
        said.extend(others.into_iter().map(|commit| (MentionKind::Names, commit, String::new())));
        // `git format-patch` begins with the exported commit.
        if let Some(rest) = head.strip_prefix(b"From ")
            && let Some(commit) = rest.get(..40).and_then(Abbreviation::parse)
            && rest.get(40) == Some(&b' ')
        {
            said.push((MentionKind::Carries, commit, format!("From {}", commit.to_hex())));
        }
        // Only `---` names a removed file.
        let paths = whole.split(|b| *b == b'\n').filter_map(|l| l.strip_prefix(b"+++ ").or(l.strip_prefix(b"--- ")));
        let paths = paths.map(String::from_utf8_lossy);
        let paths: BTreeSet<String> =
            paths.filter_map(|path| Some(path.split_whitespace().next()?.to_owned())).collect();
        let at_level = |level: &usize| -> BTreeSet<String> {
            paths.iter().filter_map(|path| path.splitn(level + 1, '/').nth(*level).map(str::to_owned)).collect()
        };
        let files: Vec<BTreeSet<String>> = levels.iter().map(at_level).collect();
        Self {
            file: file.to_owned(),
            subject: subject(head),
            mentions: said,
            doubted,
            cves: [cves(head), cves(file.as_bytes())].concat(),
            is_applied: true,
            is_reversed: false,
            lines: lines(&whole[head_end..]),
            is_comment: changed(&whole[head_end..]).all(|(line, _)| line.is_empty() || is_comment(line)),
            enclosed: enclosed(&whole[head_end..]),
            is_large: files.iter().map(BTreeSet::len).min().is_some_and(|least| least > LARGE),
            files: files.into_iter().flatten().collect(),
        }
    }
}

/// The lines that a diff adds and removes.
fn changed(diff: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let lines = diff.split(|b| *b == b'\n').filter(|line| !line.starts_with(b"+++ ") && !line.starts_with(b"--- "));
    lines.filter_map(|line| match line.split_first()? {
        (b'+', line) => Some((line.trim_ascii(), true)),
        (b'-', line) => Some((line.trim_ascii(), false)),
        _ => None,
    })
}

/// Whether a line may turn off those after it: a condition, or a comment that it doesn't end.
fn turns_off(line: &[u8]) -> bool {
    let directive = line.strip_prefix(b"#").map(<[u8]>::trim_ascii_start).unwrap_or_default();
    [&b"if"[..], b"el"].iter().any(|word| directive.starts_with(word)) || line == b"/*"
}

/// The telling lines of a diff that it doesn't remove, if it may turn some of them off.
fn enclosed(diff: &[u8]) -> Vec<Vec<u8>> {
    let diff = &diff[..diff.len().min(HEAD)];
    if !changed(diff).any(|(line, is_added)| is_added && turns_off(line)) {
        return Vec::new();
    }
    let lines = diff.split(|b| *b == b'\n').filter(|line| !line.starts_with(b"+++ ") && !line.starts_with(b"--- "));
    let kept = lines.filter_map(|line| line.split_first().filter(|(mark, _)| [b' ', b'+'].contains(mark)));
    let kept = kept.map(|(_, line)| line.trim_ascii()).filter(|line| letters(line) >= TELLING);
    kept.take(MOST_LINES).map(<[u8]>::to_vec).collect()
}

/// The telling lines that a diff adds and removes.
fn lines(diff: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let telling = changed(diff).filter(|(line, _)| letters(line) >= TELLING).take(MOST_LINES);
    telling.map(|(line, is_added)| (line.to_vec(), is_added)).collect()
}

/// The unfolded subject of a mail, or the first line of a DEP-3 description.
fn subject(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(begin) = line.strip_prefix("Subject:").or_else(|| line.strip_prefix("Description:")) else { continue };
        let mut subject = begin.trim().to_owned();
        while let Some(more) = lines.next_if(|next| next.starts_with([' ', '\t']) && line.starts_with("Subject:")) {
            subject.push(' ');
            subject.push_str(more.trim());
        }
        return plain_subject(subject.as_bytes());
    }
    String::new()
}

/// The patches that a series names, each with its strip level, or none if it is not plainly applied. quilt allows
/// options of `patch` after a name (`fix.patch -p2`, `fix.patch -R`). SUSE guards some by a word before the name
/// (`+needs-review patches.suse/x`, `-rt patches.suse/y`); those are applied only for some kernels, and do not count.
pub(super) fn names(series: &str) -> impl Iterator<Item = (&str, Option<usize>)> {
    series.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| !name.starts_with(['+', '-']))?;
        // The path must stay in the folder.
        let is_inside = !name.starts_with('/') && !name.split('/').any(|part| part == "..");
        is_inside.then(|| (name, level(words)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_options_give_the_strip_level() {
        let series = "a\nb -p0\nc -p2\nd -p 3 # why\ne -pab\nf -R\ng -p1 -R\nh -p\ni -p18446744073709551615\n";
        let levels: Vec<Option<usize>> = names(series).map(|(_, level)| level).collect();
        assert_eq!(levels, [Some(1), Some(0), Some(2), Some(3), Some(1), None, None, None, None]);
        let file = "net/ipv4/tcp_output.c";
        for (top, level) in [("", 0), ("a/", 1), ("linux/a/", 2)] {
            let diff = format!("Subject: x\n\n--- {top}{file}\n+++ {top}{file}\n@@ -1 +1 @@\n-x\n+y\n");
            for other in 0..4 {
                let patch = QuiltPatch::parse("x.patch", diff.as_bytes(), &[other]);
                assert_eq!(patch.changes(&[file.to_owned()]), other == level, "{top} {other}");
            }
        }
    }

    #[test]
    fn head_of_a_patch_ends_at_its_index_line() {
        let name = "0123456789ab";
        let parse = |text: String| QuiltPatch::parse("x.patch", text.as_bytes(), &[1]);
        let diff = "--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-x\n+y\n";
        assert!(!parse(format!("Subject: x\n\nSee {name}.\n{diff}")).mentions.is_empty());
        assert!(parse(format!("Subject: x\n\nIndex: a/{name}/x.c\n{diff}")).mentions.is_empty());
    }
}
