//! Mistakes with their messages, word for word: a user sees the text of `mistakes.txt`.

use std::path::Path;

use super::{Bugs, KEPT, Matrix, Problems, parse};

fn read(text: &str) -> Result<Matrix, Problems> {
    parse(text, Path::new("kernels.yaml"), &Bugs::built_in())
}

fn said(text: &str) -> String {
    saying(&read(text))
}

/// The message without trailing spaces, which the tables do not keep.
pub(super) fn saying<T>(read: &Result<T, Problems>) -> String {
    let said = read.as_ref().map_or_else(ToString::to_string, |_| "nothing".to_owned());
    said.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Compares a table of mistakes and their messages with the current messages.
#[track_caller]
pub(super) fn check_table(table: &str, said: impl Fn(&str) -> String) {
    let mut wrong = String::new();
    for case in table.split("==== ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap_or((case, ""));
        let (yaml, expected) = rest.split_once("---- says\n").unwrap_or((rest, ""));
        let said = said(yaml);
        if said != expected.trim_end() {
            wrong += &format!("==== {name}\n{yaml}---- says\n{said}\n\n");
        }
    }
    assert!(wrong.is_empty(), "these say something else now:\n{wrong}");
}

#[test]
fn every_mistake_in_the_table_is_reported_word_for_word() {
    check_table(include_str!("mistakes.txt"), said);
}

#[test]
fn long_list_of_mistakes_is_cut_and_counted() {
    let text = "kernels:\n".to_owned() + &"  - linux\n".repeat(1000);
    let problems = read(&text).err();
    let kept = problems.as_ref().map(|p| (p.problems.len(), p.more));
    assert_eq!(kept, Some((KEPT, 1000 - KEPT)));
    let said = problems.map(|p| p.to_string()).unwrap_or_default();
    assert!(said.ends_with("\nand 950 more: 1000 mistakes in kernels.yaml"), "{said}");
}

#[test]
fn hostile_megabyte_is_rejected_before_its_end() {
    let fill =
        |start: &str, piece: &str| start.to_owned() + &piece.repeat((super::FILE_MAX - start.len()) / piece.len());
    for (text, expected) in [
        ("[".to_owned() + &"a: b, ".repeat(60_000), "more than 50000 values"),
        (fill("", "- &a x\n- *a\n"), "more than 50000 values"),
        (fill("", "["), "nested too deeply"),
        (fill("", "? "), "nested more than 16 levels deep"),
        (fill("", "---\n"), "a second document starts here"),
        (fill("", "\0"), "U+0000 is not allowed"),
        (fill("'", "a"), "not valid YAML"),
        (fill("#", "a"), "the file is empty"),
        (fill("#", "a") + "more", "larger than 1024 KiB"),
    ] {
        let said = said(&text);
        assert!(said.contains(expected), "{}: {said}", &text[..10]);
    }
}

#[test]
fn unprintable_bytes_are_reported_with_their_place() {
    let kernel = "kernels:\n  - name: a\n    tree: linux\n";
    for (text, expected) in [
        // The parser would end here, and the second kernel would be missing silently.
        (
            format!("{kernel}\0  - name: b\n    tree: b\n"),
            "kernels.yaml:4:1: the character U+0000 is not allowed in YAML",
        ),
        (format!("{kernel}# \u{1b}[2J\n"), "kernels.yaml:4:3: the character U+001B is not allowed in YAML"),
        (format!("{kernel}# \u{9b}\n"), "kernels.yaml:4:3: the character U+009B is not allowed in YAML"),
    ] {
        assert!(said(&text).starts_with(expected), "{}", said(&text));
    }
    for (bytes, expected) in [
        (&b"kernels:\n  - name: a\xff\n"[..], "kernels.yaml:2:12: the byte 0xff is not UTF-8"),
        (&b"\xff\xfe"[..], "kernels.yaml:1:1: the byte 0xff is not UTF-8"),
        (&b"a: \xe2\x82"[..], "kernels.yaml:1:4: the byte 0xe2 is not UTF-8"),
    ] {
        let said = super::read(bytes, Path::new("kernels.yaml"), &Bugs::built_in()).map_err(|p| p.to_string());
        assert!(matches!(&said, Err(said) if said.starts_with(expected)), "{said:?}");
    }
}

#[test]
fn file_that_is_no_matrix_is_rejected_as_a_whole() {
    let load = |path: &str| super::load(Path::new(path), &Bugs::built_in()).map_err(|p| p.to_string());
    let missing = load("there-is-no-such-file.yaml");
    assert!(
        matches!(&missing, Err(e) if e.starts_with("there-is-no-such-file.yaml: cannot read the matrix: No such file"))
    );
    let folder = load("src");
    assert!(matches!(&folder, Err(e) if e.contains("Is a directory")), "{folder:?}");
    let endless = load("/dev/zero");
    assert!(matches!(&endless, Err(e) if e.starts_with("/dev/zero: the file is larger than 1024 KiB")), "{endless:?}");
}

/// Any input gives a valid matrix, or a valid message.
fn keeps_its_promises(bytes: &[u8]) {
    match super::read(bytes, Path::new("kernels.yaml"), &Bugs::built_in()) {
        Ok(matrix) => {
            let names: std::collections::BTreeSet<_> = matrix.kernels.iter().map(|k| &k.name).collect();
            assert!(!matrix.kernels.is_empty() && names.len() == matrix.kernels.len());
            for kernel in &matrix.kernels {
                assert!(!kernel.bugs.is_empty());
                assert!(kernel.expect.keys().all(|bug| kernel.bugs.contains(bug)));
            }
        }
        Err(problems) => {
            assert!(!problems.problems.is_empty() && problems.problems.len() <= KEPT + 1);
            let lines = bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() + 1;
            for place in problems.problems.iter().filter_map(|p| p.place.as_ref()) {
                assert!((1..=lines).contains(&place.line) && place.column >= 1, "{place:?}");
                assert!(place.snippet.chars().count() <= 110 && place.caret.end <= 112, "{place:?}");
            }
            let said = problems.to_string();
            assert!(said.lines().all(|line| line.chars().count() < 600), "{said}");
            assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
        }
    }
}

mod properties {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::keeps_its_promises;

    const DEFAULT: &str = include_str!("../../kernels.yaml");

    /// Pieces that make YAML, whole and broken.
    const PIECES: [&str; 44] = [
        "kernels:",
        "bugs:",
        "expect:",
        "opt-in:",
        "name:",
        "apt:",
        "deb:",
        "image:",
        "tree:",
        "tags:",
        "memory:",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        " ",
        "\t",
        "a",
        "5.10",
        "é",
        "- ",
        ": ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
        "!!str ",
        "<<: ",
        "|\n",
        ">-\n",
        "'",
        "\"",
        "\\",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\r\n",
        "\u{feff}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_bytes_are_a_matrix_or_a_message(bytes in vec(any::<u8>(), 0..300)) {
            keeps_its_promises(&bytes);
        }

        #[test]
        fn any_pieces_of_yaml_are_a_matrix_or_a_message(pieces in vec(select(&PIECES[..]), 0..60)) {
            keeps_its_promises(pieces.concat().as_bytes());
        }

        #[test]
        fn the_default_matrix_with_slips_is_a_matrix_or_a_message(
            slips in vec((any::<Index>(), 0usize..6, select(&PIECES[..])), 1..6),
        ) {
            let mut text: Vec<char> = DEFAULT.chars().collect();
            for (at, removed, put) in slips {
                let at = at.index(text.len());
                let end = text.len().min(at + removed);
                text.splice(at..end, put.chars());
            }
            keeps_its_promises(text.into_iter().collect::<String>().as_bytes());
        }
    }
}
