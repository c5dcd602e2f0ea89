//! Recognises a web page in place of a file.

use crate::kernel::quoted::Quoted;

/// The bytes that decide.
pub(super) const HEAD: usize = 2048;

/// The title of the page with this beginning, if it has one; `None` if it is not a page.
pub(super) fn is_one(head: &[u8]) -> Option<Option<Quoted>> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    // Comments, and XML's declaration, may come before a page's first tag.
    while rest.starts_with("<!--") || rest.starts_with("<?xml") {
        let end = if rest.starts_with("<?xml") { "?>" } else { "-->" };
        rest = rest.split_once(end).map_or("", |(_, rest)| rest).trim_start();
    }
    if !["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| rest.starts_with(tag)) {
        return None;
    }
    let title = || {
        let from = text.find("<title")?;
        let from = from + text[from..].find('>')? + 1;
        let to = from + text[from..].find("</title")?;
        // The lower case was only for the search. In bytes that are not UTF-8, offsets may have moved.
        let title = if text.len() == head.len() { &head[from..to] } else { &text.as_bytes()[from..to] };
        let title = String::from_utf8_lossy(title).split_whitespace().collect::<Vec<_>>().join(" ");
        (!title.is_empty()).then(|| Quoted::of(title.as_bytes()))
    };
    Some(title())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn web_page_is_recognised_and_named_by_its_title() {
        let title = |text: &str| is_one(text.as_bytes()).map(|title| title.map(|t| t.to_string()));
        let named = |name: &str| Some(Some(name.to_owned()));
        for (text, expected) in [
            ("<!DOCTYPE html><html><head><title>Sign in\n to Hotel</title>", named("Sign in to Hotel")),
            ("\n  <HTML lang=\"en\"><TITLE class=x>403</TITLE>", named("403")),
            ("<!-- a proxy --><html>", Some(None)),
            ("<?xml version=\"1.0\"?><!DOCTYPE html PUBLIC \"x\">", Some(None)),
            ("<html><title></title>", Some(None)),
            ("<html><title>cut", Some(None)),
            ("!<arch>\ndebian-binary", None),
            ("<xml>", None),
            ("<!-- never closed", None),
            ("a file that speaks of <html>", None),
            ("", None),
        ] {
            assert_eq!(title(text), expected, "{text}");
        }
        assert_eq!(is_one(b"\xff<html>"), None);
        assert_eq!(is_one("\u{feff}<html><title>é</title>".as_bytes()).flatten().unwrap().to_string(), "\\xc3\\xa9");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = is_one(&bytes);
            let _ = is_one(&[b"<html><title>", &bytes[..], b"</title>"].concat());
        }
    }
}
