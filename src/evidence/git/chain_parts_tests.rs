//! Chains with several steps of one role.

use super::fixture::*;
use crate::evidence::Strength;
use crate::words::{Role, State};

const PART: &str = "tcp: tell fragment() what is in the queue";

fn carries(oid: git2::Oid) -> String {
    format!("x: a vendor's subject\n\ncommit {oid} upstream.\n")
}

#[test]
fn fix_of_two_commits_needs_both() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let part = fixture.line(mainline.tip, &[(PART, MENDED)]);
    fixture.branch("master", part);
    let mut bug = bug(&mainline);
    bug.releases = None;
    bug.chain[3] = step(Role::Fix, Some(part), PART);
    let base = fixture.commit(&[mainline.v4_19], "Linux 4.19.50", &[("Makefile", &makefile("4.19.50"))]);
    let broken = fixture.line(base, &[(&carries(mainline.break_), BROKEN)]);
    fixture.branch("broken", broken);
    fixture.branch("first", fixture.line(broken, &[(&carries(mainline.fix), FIXED)]));
    let only_part = format!("{BROKEN}nothing_in_an_empty_retransmit_queue\n");
    fixture.branch("second", fixture.line(broken, &[(&carries(part), &only_part)]));
    let both = [(&*carries(mainline.fix), FIXED), (&*carries(part), MENDED)];
    fixture.branch("both", fixture.line(broken, &both));
    let index = fixture.index();
    for (revision, state) in [
        ("v4.19", State::NeverHad),
        ("broken", State::Affected),
        ("first", State::HalfFixed),
        ("second", State::HalfFixed),
        ("both", State::Fixed),
        ("v5.2-rc6", State::HalfFixed),
        ("v5.3-rc2", State::HalfFixed),
        ("master", State::Fixed),
    ] {
        let testimony = index.ask(&bug, revision).unwrap();
        let finding = &testimony.finding;
        assert_eq!(finding.states.only(), Some(state), "{revision}: {}", finding.why);
        assert_eq!(finding.strength, Strength::Strong, "{revision}: {}", finding.why);
        assert_eq!(testimony.steps.iter().filter(|step| step.role == Role::Fix).count(), 2);
    }
}

#[test]
fn one_of_two_breaks_is_enough() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.releases = None;
    bug.chain[1].role = Role::Break;
    bug.chain.truncate(3);
    let base = fixture.commit(&[mainline.v4_19], "Linux 4.19.50", &[("Makefile", &makefile("4.19.50"))]);
    fixture.tag("v4.19.50", base);
    fixture.branch("first", fixture.line(base, &[(&carries(mainline.break_), BROKEN)]));
    let second = fixture.line(base, &[(&carries(mainline.half_fix), HALF)]);
    fixture.branch("second", second);
    fixture.branch("fixed", fixture.line(second, &[(&carries(mainline.fix), FIXED)]));
    let index = fixture.index();
    for (revision, state) in [
        ("v4.19", State::NeverHad),
        ("first", State::Affected),
        ("second", State::Affected),
        ("fixed", State::Fixed),
        ("v5.2-rc6", State::Affected),
        ("master", State::Fixed),
    ] {
        let finding = index.ask(&bug, revision).unwrap().finding;
        assert_eq!(finding.states.only(), Some(state), "{revision}: {}", finding.why);
    }
}
