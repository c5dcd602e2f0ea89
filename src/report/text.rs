//! Text for terminals.

use crate::json::is_obeyed;

/// `text` without anything that a terminal would obey: what guests and packages say of themselves is printed, and an
/// escape sequence in it must not move the cursor or retitle the window.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// `text` in at most `width` characters, its end cut off with an ellipsis where it is longer.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// `text` in at most `width` characters, its middle cut out where it is longer: of a source or path both ends matter.
pub(super) fn fit_middle(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let (head, tail) = (kept - kept / 2, kept / 2);
    let (start, end) = (text.chars().take(head), text.chars().skip(length - tail));
    start.chain(['…']).chain(end).collect()
}

/// `text` broken at spaces into lines of at most `width` characters; a longer word stays whole, so that it can be
/// copied.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split_whitespace() {
        let size = word.chars().count();
        if length > 0 && length + 1 + size > width {
            lines.push(String::new());
            length = 0;
        }
        if let Some(line) = lines.last_mut() {
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += size;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_drive_the_terminal() {
        assert_eq!(visible("6.1\u{1b}[2J\r\n\u{202e}x\u{9b}1m"), "6.1\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}x\u{fffd}1m");
        assert_eq!(visible("größer 漢字"), "größer 漢字");
    }

    #[test]
    fn long_text_is_cut_and_wrapped() {
        assert_eq!(fit("6.12.95+deb12", 8), "6.12.95…");
        assert_eq!(fit("6.1", 8), "6.1");
        assert_eq!(fit_middle("apt linux-image (sid)", 12), "apt li…(sid)");
        assert_eq!(fit_middle("deb a.deb", 9), "deb a.deb");
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a-word-that-is-too-long b", 5), ["a-word-that-is-too-long", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
