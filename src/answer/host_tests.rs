use super::*;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::host::{Complaint, Socket, Sockets, WaitingSocket};
use crate::verdict::Case;
use crate::words::State;

fn reading(waiting: Vec<WaitingSocket>) -> HostReading {
    let sockets = Sockets { connections: 12, waiting_in_all: waiting.len(), waiting, ..Sockets::default() };
    let namespace = Namespace { name: "host".to_owned(), sockets: Some(sockets), ..Namespace::default() };
    let host = HostFacts { release: Some("6.1.0-25-amd64".to_owned()), ..HostFacts::default() };
    HostReading { host, namespaces: vec![namespace] }
}

fn seen(states: StateSet) -> Judgement {
    Case::of_findings(vec![Finding {
        states,
        strength: Strength::Strong,
        ..Finding::unknown(Witness::Runtime, "seen")
    }])
}

#[test]
fn exit_code_is_the_kernels_verdict_not_the_traces() {
    let bug = || -> BugId { "tcp-fragment-stall".parse().expect("a name") };
    let broken = [(bug(), "it broke".to_owned())];
    let bitten = || Bitten { bug: bug(), bitten: BittenAnswer::Now, evidence: Vec::new(), remedies: Vec::new() };
    for (verdicts, not_probed, expected) in [
        (vec![], &[][..], 0),
        (vec![(bug(), seen(StateSet::affected()))], &[], 1),
        (vec![(bug(), seen(StateSet::not_affected()))], &[], 0),
        (vec![(bug(), seen(StateSet::all()))], &[], 3),
        (vec![(bug(), seen(StateSet::EMPTY))], &[], 1),
        (vec![], &broken, 3),
        (vec![(bug(), seen(StateSet::affected()))], &broken, 1),
    ] {
        let document = HostDocument::new(reading(Vec::new()), vec![bitten()], &verdicts, not_probed);
        assert_eq!(document.exit().code(), expected, "{verdicts:?}");
    }
    for (states, code) in [(StateSet::affected(), 0), (StateSet::all(), 0), (StateSet::EMPTY, 1)] {
        let verdicts = [(bug(), seen(states))];
        let document = HostDocument::new(reading(Vec::new()), vec![bitten()], &verdicts, &[]).leaving_out(&[bug()]);
        assert_eq!(document.exit().code(), code, "{states:?}");
        assert_eq!(document.bugs[0].judgement.is_some(), !document.bugs[0].counts);
    }
    assert_eq!(HostDocument::new(HostReading::default(), Vec::new(), &[], &[]).exit().code(), 3);
}

#[test]
fn kernel_without_the_bug_is_never_bitten() {
    let bug: BugId = "tcp-fragment-stall".parse().expect("a name");
    let remedies =
        || vec!["to remove the bug, boot a kernel with the fix, or load a live patch that has it".to_owned()];
    let counted = |n| {
        let mut reading = reading(Vec::new());
        let counters = serde_json::json!({ "values": { "TCPWqueueTooBig": n }, "absent_means": "not-there" });
        reading.namespaces[0].counters = Some(serde_json::from_value(counters).expect("counters"));
        reading
    };
    let of = |state: State| seen([state].into_iter().collect());
    for (state, counter, expected, said) in [
        (State::Affected, 4, BittenAnswer::Now, ""),
        (State::Fixed, 4, BittenAnswer::MayHaveBeen, "a fixed kernel refuses and counts too"),
        (State::NeverHad, 4, BittenAnswer::MayHaveBeen, "conflict"),
        (State::NeverHad, 0, BittenAnswer::MayHaveBeen, "not affected"),
    ] {
        let bitten = Bitten { bug: bug.clone(), bitten: BittenAnswer::Now, evidence: Vec::new(), remedies: remedies() };
        let document = HostDocument::new(counted(counter), vec![bitten], &[(bug.clone(), of(state))], &[]);
        let answer = &document.bugs[0];
        assert_eq!(answer.bitten, Some(expected), "{state}");
        assert_eq!(answer.remedies.is_empty(), expected != BittenAnswer::Now, "{state}");
        assert!(answer.evidence.concat().contains(said), "{state}: {:?}", answer.evidence);
    }
    let not = Bitten { bug: bug.clone(), bitten: BittenAnswer::Not, evidence: Vec::new(), remedies: Vec::new() };
    let document = HostDocument::new(counted(0), vec![not], &[(bug, of(State::Fixed))], &[]);
    assert_eq!((document.bugs[0].bitten, document.bugs[0].evidence.len()), (Some(BittenAnswer::Not), 0));
}

#[test]
fn document_survives_its_json() {
    let waiting = vec![WaitingSocket { complaint: Complaint::ZeroWindow, socket: Socket::default() }];
    let whole = HostDocument::new(reading(waiting), Vec::new(), &[], &[]);
    let text = serde_json::to_string(&whole).expect("serialises");
    assert_eq!(serde_json::from_str::<HostDocument>(&text).expect("a document"), whole);
}
