use super::*;
use crate::evidence::binary::fixture::{self, OF_6_1};
use crate::evidence::binary::snippets::{self, code};
use crate::matrix::Bugs;
use crate::verdict::{Case, Verdict};
use crate::words::State;

const COUNTER: &str = "TCPWqueueTooBig";

fn stall() -> Bug {
    Bugs::built_in().get(&"tcp-fragment-stall".parse().unwrap()).unwrap().clone()
}

/// A kernel with this tcp_fragment(), with or without its table of symbols.
fn kernel(fragment: &str, strings: &[&str], has_symbols: bool) -> Binary {
    let functions = fixture::with_caller(vec![("tcp_fragment", code(fragment)), ("skb_split", vec![0xc3; 16])]);
    let (mut image, table) = fixture::vmlinux(OF_6_1, &functions, strings);
    if !has_symbols {
        image[table].fill(0);
    }
    Binary::read(image).unwrap()
}

/// The verdict, its state, whether that is a guess, and why a hint was not heard.
fn judged(bug: &Bug, name: &str, binary: Binary) -> (Verdict, Option<State>, bool, String) {
    let exhibits = Exhibits { release: Some(release_of(name)), binary: Some(Ok(binary)), ..Exhibits::default() };
    let judged = Case::of_findings(exhibits.look(bug).findings);
    (judged.verdict, judged.state, judged.state_guessed, judged.reason.unwrap_or_default())
}

#[test]
fn a_file_whose_code_cannot_be_read_has_no_verdict_by_its_number() {
    use snippets::{BREAK, FIXED_ADD, HALF_FIX, NO_LIMIT};
    let package = "linux-image-4.19.0-5-amd64_4.19.37-5+deb10u1_amd64.deb";
    for (name, fragment, strings) in [
        // The break and the half fix put into a release that never had them, and the fix into one that needs it.
        ("4.19.51", HALF_FIX, &[COUNTER][..]),
        ("5.2.1", FIXED_ADD, &[COUNTER]),
        ("4.19.51", NO_LIMIT, &[]),
        ("4.19.62", FIXED_ADD, &[COUNTER]),
        ("4.19.57", BREAK, &[]),
        (package, HALF_FIX, &[COUNTER]),
        ("4.15.0-51-generic", NO_LIMIT, &[]),
    ] {
        let (verdict, state, _, _) = judged(&stall(), name, kernel(fragment, strings, false));
        assert_eq!((verdict, state), (Verdict::Unknown, None), "{name} {strings:?}");
    }
    let (.., why) = judged(&stall(), "5.2.1", kernel(FIXED_ADD, &[COUNTER], false));
    assert!(why.contains(": binary could not see (the image has the string TCPWqueueTooBig"), "{why}");
    assert!(why.contains("kallsyms") && why.ends_with("a hint does not stand in for it"), "{why}");
}

#[test]
fn a_file_whose_code_is_read_is_judged_by_it_whatever_its_number() {
    use snippets::{BREAK, FIXED_ADD, HALF_FIX, NO_LIMIT};
    for (name, fragment, strings, verdict, state) in [
        ("4.19.51", HALF_FIX, &[COUNTER][..], Verdict::Affected, State::HalfFixed),
        ("5.2.1", FIXED_ADD, &[COUNTER], Verdict::NotAffected, State::Fixed),
        ("4.19.57", NO_LIMIT, &[], Verdict::NotAffected, State::NeverHad),
        ("4.19.62", BREAK, &[COUNTER], Verdict::Affected, State::Affected),
    ] {
        // `skb_split` has to be called for the kernel that never had the break.
        let fragment = if fragment == NO_LIMIT { calls_split(fragment) } else { code(fragment) };
        let functions = fixture::with_caller(vec![("tcp_fragment", fragment), ("skb_split", vec![0xc3; 16])]);
        let binary = Binary::read(fixture::vmlinux(OF_6_1, &functions, strings).0).unwrap();
        let got = judged(&stall(), name, binary);
        assert_eq!((got.0, got.1, got.2), (verdict, Some(state), false), "{name}");
    }
}

/// The code with a call of skb_split() behind it.
fn calls_split(hex: &str) -> Vec<u8> {
    let code = code(hex);
    let with = |call: Vec<u8>| [&code[..], &call, &[0xc3]].concat();
    let sketch = vec![("tcp_fragment", with(vec![0; 5])), ("skb_split", vec![0xc3; 16])];
    with(fixture::call(&sketch, "tcp_fragment", code.len(), "skb_split"))
}

#[test]
fn without_any_signature_a_package_s_version_decides_and_a_bare_number_does_not() {
    let bug = Bug { binary: Vec::new(), strings: Vec::new(), ..stall() };
    let package = "linux-image-4.19.0-5-amd64_4.19.37-5+deb10u1_amd64.deb";
    for (name, verdict, state) in [
        (package, Verdict::Affected, Some(State::HalfFixed)),
        ("4.15.0-58-generic", Verdict::Affected, Some(State::HalfFixed)),
        ("4.19.57", Verdict::Unknown, None),
        ("4.19.62", Verdict::Unknown, None),
        ("4.19.57-mine", Verdict::Unknown, None),
        // Ubuntu's build of mainline says that it is one.
        ("4.19.57-041957-generic", Verdict::Affected, Some(State::HalfFixed)),
    ] {
        let (got, of, guessed, _) = judged(&bug, name, kernel(snippets::BREAK, &[], true));
        assert_eq!((got, of, guessed), (verdict, state, state.is_some()), "{name}");
    }
}

#[test]
fn a_string_excludes_states_where_the_bug_has_no_other_signature() {
    let bug = Bug { binary: Vec::new(), ..stall() };
    for (name, strings, verdict) in [
        ("4.15.0-51-generic", &[][..], Verdict::NotAffected),
        ("4.15.0-51-generic", &[COUNTER], Verdict::Unknown),
        ("4.15.0-58-generic", &[COUNTER], Verdict::Affected),
    ] {
        assert_eq!(judged(&bug, name, kernel(snippets::NO_LIMIT, strings, true)).0, verdict, "{name} {strings:?}");
    }
}

#[test]
fn a_folder_that_was_built_into_is_told_from_a_tree() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["tree", "gone", "old", "new"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    std::fs::write(
        at("tree/Makefile"),
        "# SPDX-License-Identifier: GPL-2.0\nVERSION = 4\nPATCHLEVEL = 19\nSUBLEVEL = 51\n",
    )
    .unwrap();
    // As scripts/mkmakefile writes it before 5.4, and the Makefile since.
    let old = "# Automatically generated by mkmakefile: don't edit\n\nVERSION = 4\nPATCHLEVEL = 19\n";
    std::fs::write(at("old/Makefile"), old).unwrap();
    std::fs::write(at("gone/Makefile"), old).unwrap();
    std::fs::write(at("new/Makefile"), "# Automatically generated by Makefile: don't edit\ninclude ../tree/Makefile\n")
        .unwrap();
    std::os::unix::fs::symlink("../tree", at("old/source")).unwrap();
    std::os::unix::fs::symlink(at("tree"), at("new/source")).unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("gone/source")).unwrap();
    for (name, is_output, source) in [
        ("tree", false, Some("tree")),
        ("old", true, Some("old/source")),
        ("new", true, Some("new/source")),
        ("gone", true, None),
        ("", false, Some("")),
    ] {
        assert_eq!(is_output_folder(&at(name)), is_output, "{name}");
        assert_eq!(source_folder(&at(name)), source.map(at), "{name}");
    }
    let files = SourceFolder::open(&source_folder(&at("old")).unwrap()).unwrap();
    assert_eq!(source::release(&files).unwrap().as_deref(), Some("4.19.51"));
}
