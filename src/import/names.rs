//! Names and texts of others, as dossiers can have them.

use crate::json::is_obeyed;
use crate::words::BugId;

/// The longest paragraph of a dossier, in bytes.
const PARAGRAPH_MAX: usize = 4000;

/// The longest name of a bug, in bytes.
const ID_MAX: usize = 100;

/// A bug's name that is as near to this one as possible. None if nothing is left of it.
pub(super) fn bug_id(name: &str) -> Option<BugId> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let mapped: String = name.chars().map(|c| if is_good(c) { c } else { '-' }).collect();
    let mapped = mapped.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).trim_end_matches('-');
    // Only ASCII is left.
    mapped.get(..mapped.len().min(ID_MAX)).and_then(|id| id.parse().ok())
}

/// One line, without characters that terminals obey.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).collect();
    cut(&clean.split_whitespace().collect::<Vec<_>>().join(" "), PARAGRAPH_MAX)
}

/// Several lines, without other characters that terminals obey.
pub(super) fn paragraph(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c != '\n' && is_obeyed(c) { ' ' } else { c }).collect();
    let lines: Vec<&str> = clean.lines().map(str::trim_end).collect();
    cut(lines.join("\n").trim(), PARAGRAPH_MAX)
}

/// At most this many characters: an ellipsis replaces the end of a longer text.
pub(super) fn fit(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

/// At most this many bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_mapped_to_usable_ones() {
        for (name, id) in [
            ("accept02", Some("accept02")),
            ("net/forwarding:bridge test", Some("net-forwarding-bridge-test")),
            (".hidden", Some("hidden")),
            ("../../etc/passwd", Some("etc-passwd")),
            ("é1", Some("1")),
            ("a b ", Some("a-b")),
            ("..", None),
            ("", None),
        ] {
            assert_eq!(bug_id(name).as_ref().map(BugId::as_str), id, "{name}");
        }
        assert_eq!(bug_id(&"a".repeat(200)).map(|id| id.as_str().len()), Some(ID_MAX));
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_name_and_prose(text in "\\PC{0,200}|[\\s\\S]{0,60}") {
            let _ = bug_id(&text);
            let repeated = text.repeat(100);
            for long in [&text, &repeated] {
                let (line, lines) = (one_line(long), paragraph(long));
                prop_assert!(line.len() <= PARAGRAPH_MAX && !line.contains(is_obeyed));
                prop_assert!(lines.len() <= PARAGRAPH_MAX && !lines.contains(|c| c != '\n' && is_obeyed(c)));
                prop_assert!(fit(&line, 80).chars().count() <= 80);
            }
        }
    }
}
