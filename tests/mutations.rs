//! Reproducers in a faulty environment: a wire that drops retransmissions, a peer that closes its window, a server that
//! never reads, a clock that jumps. They may end in an error, but never in a wrong verdict.
//!
//! The kernels are Debian 12's, and the controls that add or remove one bug.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use backproof::kernel::Kernel;
use backproof::matrix::Bugs;
use backproof::recipe::Recipes;
use backproof::vm::Boot;
use backproof::words::Expectation;
use backproof_protocol::{Conclusion, Job, Message, Mutation};

mod common;
use common::guests;

const STALL: &str = "tcp-fragment-stall";
const COOKIE: &str = "syn-cookie-data-loss";
const WINDOW: &str = "zero-window-user-timeout";

/// The faults that must be detected on Debian's kernel, because they remove the basis of the verdict.
const BITES: [(&str, Mutation); 6] = [
    (STALL, Mutation::DropRetransmissions),
    (STALL, Mutation::CloseWindow),
    (COOKIE, Mutation::NeverRead),
    (COOKIE, Mutation::ClampMss),
    (WINDOW, Mutation::DropRetransmissions),
    (WINDOW, Mutation::DropRepeatedAnswers),
];

/// A kernel and its true state.
struct Subject {
    name: String,
    kernel: Kernel,
    truth: BTreeMap<String, Conclusion>,
    stock: bool,
}

fn debian_12() -> Subject {
    let kernel = guests::debian_12();
    let truth = [(STALL, Conclusion::NotAffected), (COOKIE, Conclusion::Affected), (WINDOW, Conclusion::NotAffected)];
    let truth = truth.map(|(bug, truth)| (bug.to_owned(), truth)).into();
    Subject { name: "debian-12".to_owned(), kernel, truth, stock: true }
}

/// A control of a line. It is built first if it does not exist.
fn control(line: &str, name: &str) -> Subject {
    let kernel = guests::control(line, name);
    let recipes = Recipes::built_in();
    let expected = recipes.expected(recipes.control(name).expect("a control")).into_iter();
    let truth = expected.map(|(bug, expected)| {
        let truth = match expected {
            Expectation::State(state) if state.is_affected() => Conclusion::Affected,
            Expectation::State(_) => Conclusion::NotAffected,
            Expectation::Outcome(other) => panic!("{name}: {bug}: {other}"),
        };
        (bug.to_string(), truth)
    });
    let (name, stock) = (format!("{name} {line}"), name == "stock");
    Subject { name, kernel, truth: truth.collect(), stock }
}

/// Every bug under every fault and under none, in one boot.
async fn judge(subject: &Subject) -> Boot {
    let faults = [None].into_iter().chain(Mutation::ALL.map(Some));
    let mut jobs = Vec::new();
    for mutation in faults {
        for bug in Bugs::built_in().iter() {
            let deadline = bug.reproducer.as_ref().expect("a reproducer").deadline;
            let deadline = u64::try_from(deadline.as_millis()).expect("a deadline");
            let id = id(bug.id.as_str(), mutation);
            // Six run side by side.
            jobs.push(Job { id, mutation, ..Job::new(bug.id.as_str(), deadline * 2) });
        }
    }
    guests::boot_jobs(&subject.kernel, jobs).await
}

fn id(bug: &str, mutation: Option<Mutation>) -> String {
    format!("{bug} {mutation:?}")
}

#[tokio::test]
async fn reproducer_in_a_faulty_environment_is_never_wrong() {
    let (mut wrong, mut unjudged) = (Vec::new(), Vec::new());
    let controls = ["stock", "stall-break", "syn-cookie-strict", "zero-window-break"];
    let of_line = |line| controls.into_iter().map(move |name| control(line, name));
    for subject in [debian_12()].into_iter().chain(["6.1", "6.12"].into_iter().flat_map(of_line)) {
        let boot = judge(&subject).await;
        assert!(boot.end.is_ok(), "{}: {:?}", subject.name, boot.end);
        let mut table = format!("{}, {:.1} s\n", subject.name, boot.wall.as_secs_f64());
        for (bug, truth) in &subject.truth {
            for mutation in [None].into_iter().chain(Mutation::ALL.map(Some)) {
                let report = boot.report(&id(bug, mutation)).expect("a report of every job");
                let fault = mutation.map_or("none".to_owned(), |m| format!("{m:?}"));
                let (conclusion, why) = (report.conclusion, &report.why);
                let _ = writeln!(table, "  {bug} {fault} {conclusion:?} {} ms: {why}", report.took_ms);
                let bites = subject.stock && BITES.iter().any(|(b, m)| b == bug && Some(*m) == mutation);
                let right = if bites { conclusion == Conclusion::Error } else { conclusion == *truth };
                // It may detect the fault even if it need not.
                let told = || format!("{} {bug} {fault}: {conclusion:?}: {why}", subject.name);
                match conclusion {
                    _ if right => {}
                    // An overloaded host may be the cause of one error, but not of many: without a fault, and with one
                    // that doesn't matter to TCP, there is a verdict.
                    Conclusion::Error if matches!(mutation, None | Some(Mutation::JumpClock)) => unjudged.push(told()),
                    Conclusion::Error => {}
                    _ => wrong.push(told()),
                }
            }
        }
        println!("{table}");
        let jumps = boot.messages.iter().filter(|m| matches!(m, Message::Note { text } if text.contains("jumped")));
        // A job that was killed at its deadline cannot report it.
        let judged = |bug: &&String| {
            let report = boot.report(&id(bug, Some(Mutation::JumpClock)));
            report.is_some_and(|r| !matches!(r.conclusion, Conclusion::Error | Conclusion::Skip))
        };
        let expected = subject.truth.keys().filter(judged).count();
        assert!(jumps.count() >= expected, "{}: the clock did not jump where it had to", subject.name);
    }
    assert!(wrong.is_empty(), "wrong verdicts:\n{}", wrong.join("\n"));
    assert!(unjudged.is_empty(), "no verdict, though nothing was at fault:\n{}", unjudged.join("\n"));
}
