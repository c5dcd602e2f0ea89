//! Mistakes of dossiers with their messages, word for word: a user sees the text of `mistakes.txt`.

use std::path::Path;

use super::super::mistakes::{check_table, saying};
use super::super::{KEPT, Problems};
use super::check::KEYS;
use super::reproducer::{NEEDS_KEYS, Owner};
use super::{
    Bug, chain, check, crash, mitigation, positive_control, releases, reproducer, signature, source_signature, spans,
};

fn read(bytes: &[u8]) -> Result<Bug, Problems> {
    check::read(bytes, Path::new("bugs/mine.yaml"), Owner::User(Path::new("bugs")))
}

#[test]
fn every_mistake_in_the_table_is_reported_word_for_word() {
    check_table(include_str!("mistakes.txt"), |text| saying(&read(text.as_bytes())));
}

#[test]
fn reference_lists_every_key_and_its_examples_are_valid() {
    let reference = include_str!("../../../docs/dossiers.md");
    let lists: [&[&str]; 18] = [
        &KEYS,
        &mitigation::KEYS,
        &chain::KEYS,
        &chain::BACKPORT_KEYS,
        &releases::KEYS,
        &releases::STABLE_KEYS,
        &releases::DISTRIBUTION_KEYS,
        &spans::KEYS,
        &signature::KEYS,
        &source_signature::KEYS,
        &source_signature::CASE_KEYS,
        &source_signature::ELSEWHERE_KEYS,
        &signature::CASE_KEYS,
        &signature::STRING_KEYS,
        &reproducer::KEYS,
        &crash::KEYS,
        &positive_control::KEYS,
        &NEEDS_KEYS,
    ];
    for key in lists.into_iter().flatten() {
        assert!(reference.contains(&format!("`{key}`")), "{key}");
    }
    let examples: Vec<&str> = reference.split("```yaml\n").skip(1).filter_map(|e| e.split("```").next()).collect();
    assert!(examples.len() >= 3);
    for example in examples {
        // The name of its file.
        let id = example.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
        Bug::parse(example, Path::new(&format!("{id}.yaml"))).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

/// Any input gives a valid bug, or a valid message.
fn keeps_its_promises(bytes: &[u8]) {
    match read(bytes) {
        Ok(bug) => {
            assert_eq!(bug.id.as_str(), "mine");
            assert!(!bug.title.is_empty() && !bug.title.contains(char::is_control) && !bug.references.is_empty());
            assert!(bug.chain.is_sorted_by_key(|step| step.role), "{:?}", bug.chain);
            assert!(
                bug.chain.iter().all(|step| step.commit.is_some() || step.subject.is_some() && !step.files.is_empty())
            );
            let lines = bug.releases.iter().flat_map(|releases| &releases.stable);
            let roles = lines.flat_map(|line| line.steps.keys());
            assert!(roles.into_iter().all(|role| bug.chain.is_empty() || bug.chain.iter().any(|s| s.role == *role)));
            let of_source = |c: &super::SourceCase| c.has.len() + c.lacks.len() + c.elsewhere.len();
            for case in bug.source.iter().flat_map(|signature| &signature.cases) {
                assert!(!case.states.is_empty() && of_source(case) > 0);
            }
            assert!(bug.strings.iter().all(|string| string.text.len() >= 4 && !string.excludes.is_empty()));
            for case in bug.binary.iter().flat_map(|signature| &signature.cases) {
                assert!(!case.states.is_empty() && case.has.len() + case.lacks.len() > 0);
            }
        }
        Err(problems) => {
            assert!(!problems.problems.is_empty() && problems.problems.len() <= KEPT + 1);
            let said = problems.to_string();
            assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
        }
    }
}

mod properties {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::keeps_its_promises;

    /// A dossier with every key.
    const WHOLE: &str = include_str!("whole.yaml");

    /// Pieces that break YAML, and a dossier.
    const PIECES: [&str; 24] = [
        "\n", "\n  ", "\n- ", " ", "\t", "a", "5.10", "é", ": ", "{", "}", "[", "]", ", ", "'", "\"", "#", "break",
        "fix", "\u{1b}", "\0", "|\n", "role", "deadline",
    ];

    #[test]
    fn complete_dossier_is_valid() {
        assert!(super::read(WHOLE.as_bytes()).is_ok(), "{:?}", super::read(WHOLE.as_bytes()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_bytes_are_a_dossier_or_a_message(bytes in vec(any::<u8>(), 0..300)) {
            keeps_its_promises(&bytes);
        }

        #[test]
        fn a_dossier_with_slips_is_a_dossier_or_a_message(
            slips in vec((any::<Index>(), 0usize..8, select(&PIECES[..])), 1..4),
        ) {
            let mut text: Vec<char> = WHOLE.chars().collect();
            for (at, removed, put) in slips {
                let at = at.index(text.len());
                let end = text.len().min(at + removed);
                text.splice(at..end, put.chars());
            }
            keeps_its_promises(text.into_iter().collect::<String>().as_bytes());
        }

        #[test]
        fn dossier_without_some_lines_parses_or_says_why(gone in vec(any::<Index>(), 1..4)) {
            let lines: Vec<&str> = WHOLE.lines().collect();
            let gone: Vec<usize> = gone.iter().map(|at| at.index(lines.len())).collect();
            let left = lines.iter().enumerate().filter(|(at, _)| !gone.contains(at));
            let left: Vec<&str> = left.map(|(_, line)| *line).collect();
            keeps_its_promises(left.join("\n").as_bytes());
        }
    }
}
