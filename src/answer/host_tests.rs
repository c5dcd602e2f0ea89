use super::*;
use crate::evidence::{StateSet, Strength, Witness};
use crate::host::{Complaint, Socket, Sockets, Waiting};

fn reading(waiting: Vec<Waiting>) -> Reading {
    let sockets = Sockets { connections: 12, waiting_in_all: waiting.len(), waiting, ..Sockets::default() };
    let namespace = Namespace { name: "host".to_owned(), sockets: Some(sockets), ..Namespace::default() };
    let host = Host { release: Some("6.1.0-25-amd64".to_owned()), ..Host::default() };
    Reading { host, namespaces: vec![namespace] }
}

fn ledger(states: StateSet) -> Ledger {
    let finding = Finding { states, strength: Strength::Strong, ..Finding::unknown(Witness::Runtime, "seen") };
    Ledger { findings: vec![finding] }
}

#[test]
fn the_exit_code_is_the_kernel_s_verdict_and_not_the_traces() {
    let bug = || -> BugId { "tcp-fragment-stall".parse().expect("a name") };
    let broken = [(bug(), "it broke".to_owned())];
    let bitten = || Bitten { bug: bug(), bitten: Answer::Now, evidence: Vec::new(), remedies: Vec::new() };
    for (verdicts, not_probed, expected) in [
        (vec![], &[][..], 0),
        (vec![(bug(), ledger(StateSet::affected()))], &[], 1),
        (vec![(bug(), ledger(StateSet::not_affected()))], &[], 0),
        (vec![(bug(), ledger(StateSet::all()))], &[], 3),
        (vec![(bug(), ledger(StateSet::EMPTY))], &[], 1),
        (vec![], &broken, 3),
        (vec![(bug(), ledger(StateSet::affected()))], &broken, 1),
    ] {
        let document = HostDocument::new(reading(Vec::new()), vec![bitten()], &verdicts, not_probed);
        assert_eq!(document.exit_code(), expected, "{verdicts:?}");
    }
    assert_eq!(HostDocument::new(Reading::default(), Vec::new(), &[], &[]).exit_code(), 3);
}

#[test]
fn the_document_comes_back_from_its_json() {
    let waiting = vec![Waiting { complaint: Complaint::ZeroWindow, socket: Socket::default() }];
    let whole = HostDocument::new(reading(waiting), Vec::new(), &[], &[]);
    let text = serde_json::to_string(&whole).expect("serialises");
    assert_eq!(serde_json::from_str::<HostDocument>(&text).expect("a document"), whole);
}
