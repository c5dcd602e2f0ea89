use backproof_protocol::{Capture, Conclusion, Hello, Reach, Report};
use proptest::prelude::*;

use super::*;

fn plan(bugs: &[&str]) -> Vec<Job> {
    bugs.iter().map(|bug| Job::new(bug, 1000)).collect()
}

fn hello(version: u32) -> Message {
    Message::Hello(Hello {
        version,
        agent: "0".into(),
        release: "6.1.0".into(),
        build: "#1".into(),
        cpus: 1,
        uptime_ms: 1000,
        features: BTreeMap::new(),
    })
}

fn started(job: &str) -> Message {
    Message::Started { job: job.into(), tainted: None, uptime_ms: None }
}

fn report(job: &str) -> Message {
    Message::Report(Report {
        job: job.into(),
        conclusion: Conclusion::NotAffected,
        why: "retransmitted".into(),
        checks: Vec::new(),
        reported: false,
        took_ms: 1,
    })
}

fn reach(job: &str) -> Message {
    Message::Reach(Reach { job: job.into(), functions: BTreeMap::new(), unavailable: None })
}

fn end(reports: u32) -> Message {
    Message::End { reports }
}

fn line(message: &Message) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("JSON");
    line.push(b'\n');
    line
}

/// Sends all bytes in one piece; returns the accepted messages and the fault.
fn say(jobs: &[&str], bytes: &[u8]) -> (Conversation, Vec<Message>, Result<(), ProtocolFault>) {
    let mut talk = Conversation::new(&plan(jobs));
    let mut messages = Vec::new();
    let result = talk.push(bytes, |m| messages.push(m));
    (talk, messages, result)
}

#[test]
fn a_whole_talk_is_taken_in_order() {
    let all = [hello(VERSION), started("a"), started("b"), report("b"), report("a"), reach("a"), end(2)];
    let bytes: Vec<u8> = all.iter().flat_map(line).collect();
    let (talk, messages, result) = say(&["a", "b"], &bytes);
    assert_eq!(result, Ok(()));
    assert_eq!(messages, all);
    assert!(talk.ended());
}

#[test]
fn every_protocol_fault_has_its_name() {
    let greeting = line(&hello(VERSION));
    let after = |bytes: &[u8]| [greeting.as_slice(), bytes].concat();
    let talk = |messages: &[Message]| after(&messages.iter().flat_map(line).collect::<Vec<u8>>());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a report before the hello", line(&report("a")), "`report` before the hello"),
        ("another version", line(&hello(VERSION + 1)), "version 4 of the protocol"),
        ("a second hello", talk(&[hello(VERSION)]), "a second hello"),
        ("an unknown job", talk(&[started("x\ny")]), "`started` of job `x\u{fffd}y`, which is not in the plan"),
        ("a report without a start", talk(&[report("a")]), "`report` of job `a`, which has not started"),
        ("a second report", talk(&[started("a"), report("a"), report("a")]), "which has already reported"),
        ("a second start", talk(&[started("a"), started("a")]), "which has started but not reported"),
        ("an end too early", talk(&[end(0)]), "the end, while job `a` has not started"),
        ("a reach before its report", talk(&[started("a"), reach("a")]), "which has started but not reported"),
        ("a lost report", talk(&[started("a"), report("a"), end(2)]), "the end announces 2 reports, but 1 arrived"),
        (
            "something after the end",
            talk(&[started("a"), report("a"), end(1), started("a")]),
            "`started` after the end",
        ),
        ("no JSON", after(b"hello world\n"), "a line that is not a message"),
        ("a known type without its fields", after(b"{\"type\":\"end\"}\n"), "missing field `reports`"),
        ("JSON that is no object", after(b"[1]\n"), "a line that is not a message"),
        ("nesting without end", after(&[[b'['; 60_000].as_slice(), b"\n"].concat()), "a line that is not a message"),
        ("not UTF-8", after(b"\xff\xfe\n"), "a line that is not UTF-8"),
        ("a line of 10 MB", after(&vec![b'x'; 10 << 20]), "a line of more than 65536 bytes, beginning `xxx"),
    ];
    for (name, bytes, want) in cases {
        let (_, _, result) = say(&["a"], &bytes);
        let fault = result.expect_err(name).to_string();
        assert!(fault.contains(want), "{name}: {fault}");
        assert!(fault.len() < 1000, "{name}: {} bytes", fault.len());
    }
}

#[test]
fn what_a_newer_agent_may_add_is_ignored() {
    let mut bytes = line(&hello(VERSION));
    bytes.extend_from_slice(b"{\"type\":\"weather\",\"sky\":\"blue\"}\r\n\r\n");
    bytes.extend_from_slice(b"{\"type\":\"note\",\"text\":\"x\",\"more\":1}\r\n");
    let (_, messages, result) = say(&[], &bytes);
    assert_eq!(result, Ok(()));
    assert_eq!(messages.len(), 2);
}

#[test]
fn a_line_of_the_full_length_is_taken() {
    let mut talk = Conversation::new(&plan(&["a"]));
    talk.push(&line(&hello(VERSION)), |_| {}).expect("a hello");
    let empty = line(&Message::Note { text: String::new() }).len();
    let note = |length: usize| line(&Message::Note { text: "x".repeat(length - empty) });
    assert_eq!(note(MAX_LINE).len(), MAX_LINE);
    assert_eq!(talk.push(&note(MAX_LINE), |_| {}), Ok(()));
    assert!(matches!(talk.push(&note(MAX_LINE + 1), |_| {}), Err(ProtocolFault::TooLong { .. })));
}

#[test]
fn messages_without_end_are_cut_off() {
    let mut talk = Conversation::new(&plan(&[]));
    talk.push(&line(&hello(VERSION)), |_| {}).expect("a hello");
    let note = line(&Message::Note { text: "x".into() }).repeat(1000);
    let (mut taken, mut fault) = (0, None);
    for _ in 0..20 {
        if let Err(f) = talk.push(&note, |_| taken += 1) {
            fault = Some(f);
            break;
        }
    }
    assert_eq!(fault, Some(ProtocolFault::TooMuch));
    assert!(taken < MAX_MESSAGES);
}

#[test]
fn kind_of_equals_the_json_type() {
    let capture = Message::Capture(Capture { job: "a".into(), packed: String::new() });
    let note = Message::Note { text: String::new() };
    for message in [hello(1), started("a"), capture, report("a"), reach("a"), note, end(0)] {
        let json = serde_json::to_value(&message).expect("JSON");
        assert_eq!(json["type"], kind_of(&message));
    }
}

/// Pieces of a talk, right and wrong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(line(&hello(VERSION))),
        Just(line(&started("a"))),
        Just(line(&report("a"))),
        (0u32..3).prop_map(|n| line(&end(n))),
        Just(b"{\"type\":\"new\"}\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..50),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn agent_end_means_that_every_job_has_reported(
        pieces in proptest::collection::vec(piece(), 0..12)
    ) {
        let (talk, messages, _) = say(&["a"], &pieces.concat());
        let has = |f: fn(&Message) -> bool| messages.iter().filter(|&m| f(m)).count();
        prop_assert!(has(|m| matches!(m, Message::Hello(_))) <= 1);
        if talk.ended() {
            prop_assert_eq!(has(|m| matches!(m, Message::Report(_))), 1);
            prop_assert!(matches!(messages.first(), Some(Message::Hello(_))));
            prop_assert_eq!(messages.last(), Some(&end(1)));
        }
    }

    #[test]
    fn read_boundaries_do_not_change_messages(
        pieces in proptest::collection::vec(piece(), 0..8),
        at in 0usize..400,
    ) {
        let bytes = pieces.concat();
        let at = at.min(bytes.len());
        let (_, whole, fault) = say(&["a"], &bytes);
        let mut talk = Conversation::new(&plan(&["a"]));
        let mut cut = Vec::new();
        let result = talk.push(&bytes[..at], |m| cut.push(m)).and_then(|()| talk.push(&bytes[at..], |m| cut.push(m)));
        prop_assert_eq!(cut, whole);
        prop_assert_eq!(result, fault);
    }
}
