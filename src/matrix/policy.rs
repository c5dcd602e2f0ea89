//! Reads the policy of a gate (`gate.yaml`): which bugs must be what, under which profiles, and what was accepted.

use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::file::{self, FileShape};
use super::problems::Collector;
use super::read::Fields;
use super::text::{expected_one_of, quote};
use super::tree::{Value, YamlNode};
use super::{Bugs, Problems, fields};
use crate::words::{BugId, ProfileName, State};

/// The keys of a policy, and of one acceptance.
const KEYS: [&str; 5] = ["bugs", "profiles", "seeds", "require-controls", "accept"];
const ACCEPT_KEYS: [&str; 6] = ["bug", "is", "profile", "reason", "by", "until"];

/// The most schedules that a policy may ask for.
pub const SEEDS_MAX: u32 = 100_000;

/// What a gate requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatePolicy {
    /// The bugs that are judged, with what each must be. Empty: all bugs, and each must not be there.
    pub bugs: Vec<(BugId, Requirement)>,
    /// The profiles to judge under, in the file's order.
    pub profiles: Vec<ProfileName>,
    /// The number of schedules to try.
    pub seeds: Option<u32>,
    /// Whether the gate needs built control kernels.
    pub requires_controls: bool,
    /// What was accepted.
    pub accepted: Vec<Acceptance>,
}

/// What a bug must be for the gate to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The kernel must not be affected.
    NotAffected,
    /// The kernel must be in one of these states.
    States(Vec<State>),
    /// It is judged and shown, but never closes the gate.
    Any,
}

/// The name of [`Requirement::Any`], and of [`Requirement::NotAffected`].
const ANY: &str = "any";
const NOT_AFFECTED: &str = "not-affected";

/// Something that would keep the gate from opening, and that somebody accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The bug.
    pub bug: BugId,
    /// What the cell may be.
    #[serde(rename = "is")]
    pub what: Acceptable,
    /// The profile; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    /// Why, in the words of whoever accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The last day on which it counts (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

/// What can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acceptable {
    /// The kernel has the bug.
    Affected,
    /// There is no verdict.
    Unknown,
    /// The question does not apply to the kernel.
    Skip,
    /// The fix has a defect.
    FixedWithDefect,
    /// The pass rests on silence alone.
    Unproven,
}

impl Acceptable {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Affected, Self::Unknown, Self::Skip, Self::FixedWithDefect, Self::Unproven];

    /// Its name in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::Unknown => "unknown",
            Self::Skip => "skip",
            Self::FixedWithDefect => "fixed-with-defect",
            Self::Unproven => "unproven",
        }
    }

    fn from_name(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|one| one.as_str() == name);
        named.ok_or_else(|| expected_one_of(name, Self::ALL.into_iter().map(Self::as_str)))
    }
}

impl Acceptance {
    /// Reads `BUG=WHAT`, or `BUG=WHAT:REASON`.
    ///
    /// # Errors
    /// The expected form, or why the bug is not known.
    pub fn parse(text: &str, bugs: &Bugs) -> Result<Self, String> {
        let form = || {
            format!(
                "expected BUG=WHAT or BUG=WHAT:REASON, as in `some-bug=unknown: no such hardware here`, found {}",
                quote(text)
            )
        };
        let (bug, rest) = text.split_once('=').ok_or_else(form)?;
        let (what, reason) = rest.split_once(':').map_or((rest, None), |(what, reason)| (what, Some(reason.trim())));
        let bug = bugs.find(bug.trim()).map_err(|error| error.to_string())?.id.clone();
        let what = Acceptable::from_name(what.trim())?;
        let reason = reason.filter(|reason| !reason.is_empty()).map(fields::line).transpose()?;
        Ok(Self { bug, what, profile: None, reason, by: None, until: None })
    }

    /// Whether it still counts on this day.
    pub fn counts_on(&self, today: Date) -> bool {
        self.until.is_none_or(|until| today <= until)
    }
}

impl GatePolicy {
    /// Reads the text of a policy. Messages name `path`.
    ///
    /// # Errors
    /// All its mistakes at once.
    pub fn parse(bytes: &[u8], path: &Path, bugs: &Bugs) -> Result<Self, Problems> {
        let shape = FileShape { file: "a gate's policy", root: "a mapping, as in `{ bugs: { some-bug: fixed } }`" };
        file::read(bytes, path, shape, |root, problems| policy(root, bugs, problems))
    }
}

fn policy(root: &YamlNode, bugs: &Bugs, problems: &mut Collector<'_>) -> Option<GatePolicy> {
    let fields = problems.mapping(root, "a gate's policy, as in `{ bugs: { some-bug: fixed } }`", &KEYS)?;
    let required = fields.get("bugs").map(|node| requirements(node, bugs, problems)).unwrap_or_default();
    let profiles = match fields.get("profiles") {
        Some(node) => problems.each(node, "profiles", |node, problems| problems.name(node, "a profile"))?,
        None => Vec::new(),
    };
    let seeds = fields.get("seeds").map(|node| problems.value(node, "number of seeds", seeds));
    let requires_controls = fields.get("require-controls").and_then(|node| problems.boolean(node)).unwrap_or(false);
    let accepted = match fields.get("accept") {
        Some(node) => problems.each(node, "acceptances", |node, problems| acceptance(node, bugs, problems))?,
        None => Vec::new(),
    };
    let seeds = match seeds {
        Some(read) => Some(read?),
        None => None,
    };
    Some(GatePolicy { bugs: required, profiles, seeds, requires_controls, accepted })
}

fn seeds(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=SEEDS_MAX).contains(number));
    number.ok_or_else(|| format!("expected a number from 1 to {SEEDS_MAX}"))
}

fn known(text: &str, bugs: &Bugs) -> Result<BugId, String> {
    bugs.find(text).map(|bug| bug.id.clone()).map_err(|error| error.to_string())
}

/// What each bug must be.
fn requirements(node: &YamlNode, bugs: &Bugs, problems: &mut Collector<'_>) -> Vec<(BugId, Requirement)> {
    let Value::Map(entries) = &node.value else {
        problems.wrong_type(node, "a mapping from bugs to what each must be, as in `{ some-bug: fixed }`");
        return Vec::new();
    };
    let mut found: Vec<(BugId, Requirement)> = Vec::new();
    for (key, value) in entries {
        let bug = match known(&key.text, bugs) {
            Ok(bug) if found.iter().any(|(other, _)| *other == bug) => {
                problems.add(&key.span, || format!("the bug `{bug}` is given twice"));
                None
            }
            Ok(bug) => Some(bug),
            Err(error) => {
                problems.add(&key.span, || error);
                None
            }
        };
        let requirement = requirement(value, problems);
        found.extend(bug.zip(requirement));
    }
    found
}

fn requirement(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Requirement> {
    if let Value::List(_) = node.value {
        return problems
            .each(node, "states", |node, problems| problems.value(node, "state", state))
            .map(Requirement::States);
    }
    problems.value(node, "requirement", |text| match text {
        ANY => Ok(Requirement::Any),
        NOT_AFFECTED => Ok(Requirement::NotAffected),
        text => {
            let names = [ANY, NOT_AFFECTED].into_iter().chain(State::ALL.into_iter().map(State::as_str));
            let named = State::ALL.into_iter().find(|state| state.as_str() == text);
            named.map(|state| Requirement::States(vec![state])).ok_or_else(|| expected_one_of(text, names))
        }
    })
}

fn state(text: &str) -> Result<State, String> {
    let named = State::ALL.into_iter().find(|state| state.as_str() == text);
    named.ok_or_else(|| expected_one_of(text, State::ALL.into_iter().map(State::as_str)))
}

fn acceptance(node: &YamlNode, bugs: &Bugs, problems: &mut Collector<'_>) -> Option<Acceptance> {
    let fields =
        problems.mapping(node, "what is accepted, as in `{ bug: some-bug, is: unknown, reason: … }`", &ACCEPT_KEYS)?;
    let bug = problems.needed(&fields, "bug", node);
    let bug = bug.and_then(|node| problems.value(node, "bug", |text| known(text, bugs)));
    let what = problems.needed(&fields, "is", node);
    let what = what.and_then(|node| problems.value(node, "acceptance", Acceptable::from_name));
    // Nobody remembers it when the page is read.
    let reason = problems.needed(&fields, "reason", node);
    let reason = reason.and_then(|node| problems.value(node, "reason", fields::line));
    let mut sound = true;
    let mut optional = |key: &str, problems: &mut Collector<'_>, fields: &Fields<'_>| -> Option<String> {
        let node = fields.get(key)?;
        let read = problems.value(node, key, fields::line);
        sound &= read.is_some();
        read
    };
    let by = optional("by", problems, &fields);
    let profile = fields.get("profile").map(|node| problems.name(node, "a profile"));
    let until = fields.get("until").map(|node| {
        problems
            .value(node, "day", |text| text.parse::<Date>().map_err(|_| "expected a day, as in 2026-12-31".to_owned()))
    });
    let (profile, until) =
        (profile.map_or(Some(None), |read| read.map(Some)), until.map_or(Some(None), |read| read.map(Some)));
    let read = Acceptance { bug: bug?, what: what?, profile: profile?, reason: Some(reason?), by, until: until? };
    sound.then_some(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<GatePolicy, String> {
        GatePolicy::parse(text.as_bytes(), Path::new("gate.yaml"), &Bugs::built_in()).map_err(|error| error.to_string())
    }

    #[test]
    fn policy_is_read_whole() {
        let text = "
bugs:
  tcp-fragment-stall: [fixed, never-had]
  syn-cookie-data-loss: any
  zero-window-user-timeout: not-affected
profiles: [default, ours]
seeds: 20
require-controls: true
accept:
  - { bug: tcp-fragment-stall, is: unknown, profile: ours, reason: no TCP there, by: Jo, until: 2026-12-31 }
  - { bug: CVE-2019-11478, is: skip, reason: the same }
";
        let policy = read(text).unwrap();
        let stall: BugId = "tcp-fragment-stall".parse().unwrap();
        assert_eq!(policy.bugs[0], (stall.clone(), Requirement::States(vec![State::Fixed, State::NeverHad])));
        assert_eq!((&policy.bugs[1].1, &policy.bugs[2].1), (&Requirement::Any, &Requirement::NotAffected));
        assert_eq!((policy.seeds, policy.requires_controls, policy.profiles.len()), (Some(20), true, 2));
        let [first, second] = policy.accepted.as_slice() else { panic!("{policy:?}") };
        assert_eq!((first.what, first.by.as_deref()), (Acceptable::Unknown, Some("Jo")));
        assert_eq!((&second.bug, second.until), (&stall, None));
        for (day, counts) in [("2026-12-30", true), ("2026-12-31", true), ("2027-01-01", false)] {
            assert_eq!(first.counts_on(day.parse().unwrap()), counts, "{day}");
            assert!(second.counts_on(day.parse().unwrap()));
        }
    }

    #[test]
    fn mistakes_are_named_with_what_was_expected() {
        for (text, says) in [
            ("bugs: { tcp-fragment-stal: fixed }", "tcp-fragment-stall"),
            ("bugs: { tcp-fragment-stall: fixd }", "`fixed`"),
            ("bugs: [tcp-fragment-stall]", "a mapping from bugs"),
            ("bug: {}", "unknown key `bug`"),
            ("seeds: 0", "from 1 to"),
            ("require-controls: perhaps", "`true` or `false`"),
            ("accept: [{ bug: tcp-fragment-stall, is: unknown }]", "the key `reason` is missing"),
            ("accept: [{ bug: tcp-fragment-stall, is: fine, reason: x }]", "`unknown`"),
            ("accept: [{ bug: tcp-fragment-stall, is: skip, reason: x, until: soon }]", "a day"),
            ("bugs: { tcp-fragment-stall: fixed, CVE-2019-11478: any }", "given twice"),
            ("x", "a gate's policy"),
            ("", "the file is empty"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn acceptance_of_the_command_line_has_a_bug_and_a_word() {
        let bugs = Bugs::built_in();
        let read = |text: &str| Acceptance::parse(text, &bugs);
        let whole = read("tcp-fragment-stall=unknown: no TCP: none at all").unwrap();
        assert_eq!((whole.what, whole.reason.as_deref()), (Acceptable::Unknown, Some("no TCP: none at all")));
        assert_eq!(read("tcp-fragment-stall=skip").unwrap().reason, None);
        for (text, says) in [
            ("tcp-fragment-stall", "BUG=WHAT"),
            ("tcp=unknown", "tcp"),
            ("tcp-fragment-stall=good", "expected"),
            ("", "BUG=WHAT"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            words in prop::collection::vec(prop::sample::select(vec![
                "bugs", "accept", "seeds", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ",", "tcp-fragment-stall", "fixed", "any",
                "is", "until", "2026-12-31", "unknown", "reason", "&a", "*a", "\"", "1",
            ]), 0..40),
        ) {
            let _ = read(&words.concat());
        }
    }
}
