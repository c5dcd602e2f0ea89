use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

const GREETING: &str =
    r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}"#;

fn status(status: &str) -> String {
    format!(r#"{{"return": {{"status": "{status}", "singlestep": false, "running": {}}}}}"#, status == "running")
}

fn event(name: &str, data: &str) -> String {
    format!(r#"{{"timestamp": {{"seconds": 1, "microseconds": 2}}, "event": "{name}", "data": {data}}}"#)
}

/// Plays QEMU: expects each command in its turn, and answers with these lines. Returns the observations.
async fn play(turns: Vec<(&str, Vec<String>)>, requests: Vec<Request>) -> Vec<Qmp> {
    let (here, there) = UnixStream::pair().expect("a pair");
    let (news, mut heard) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    let qemu = async move {
        let (read, mut write) = there.into_split();
        let mut commands = BufReader::new(read).lines();
        write.write_all(format!("{GREETING}\r\n").as_bytes()).await.expect("a listener");
        let mut requests = requests.into_iter();
        for (command, answers) in turns {
            if matches!(command, "inject-nmi" | "quit") {
                ask.send(requests.next().expect("a request")).expect("a listener");
            }
            let said = commands.next_line().await.expect("UTF-8").expect("a command");
            assert!(said.contains(&format!("\"{command}\"")), "{said}, expected {command}");
            for answer in answers {
                write.write_all(format!("{answer}\r\n").as_bytes()).await.expect("a listener");
            }
        }
        // QEMU hangs up here; who asks stays until the talk is over.
        ask
    };
    let ((), _ask) = tokio::join!(talk(here, news, asked), qemu);
    let mut learned = Vec::new();
    while let Some(news) = heard.recv().await {
        if !matches!(news, Qmp::Line(_)) {
            learned.push(news);
        }
    }
    learned
}

#[tokio::test]
async fn stop_is_queried_and_unknown_events_are_ignored() {
    let ok = || r#"{"return": {}}"#.to_owned();
    let learned = play(
        vec![
            ("qmp_capabilities", vec![ok()]),
            ("query-status", vec![status("running"), event("A_NEW_ONE", "{}"), event("STOP", "{}")]),
            (
                "query-status",
                vec![status("internal-error"), event("SHUTDOWN", r#"{"guest": true, "reason": "guest-reset"}"#)],
            ),
        ],
        Vec::new(),
    )
    .await;
    let stopped = Qmp::Stopped { status: "internal-error".to_owned() };
    let shutdown = Qmp::Shutdown { reason: "guest-reset".to_owned() };
    assert!(learned.contains(&stopped), "{learned:?}");
    assert!(learned.contains(&shutdown), "{learned:?}");
}

#[tokio::test]
async fn guest_stopped_before_the_negotiation_is_noticed() {
    let turns = vec![
        ("qmp_capabilities", vec![r#"{"return": {}}"#.to_owned()]),
        ("query-status", vec![status("internal-error")]),
    ];
    assert_eq!(play(turns, Vec::new()).await, [Qmp::Stopped { status: "internal-error".to_owned() }]);
}

#[tokio::test]
async fn an_nmi_that_qemu_refuses_is_told() {
    for (answer, taken) in [
        (r#"{"return": {}}"#, true),
        (r#"{"error": {"class": "GenericError", "desc": "machine does not provide NMIs"}}"#, false),
    ] {
        let (done, answered) = oneshot::channel();
        let turns = vec![
            ("qmp_capabilities", vec![r#"{"return": {}}"#.to_owned()]),
            ("query-status", vec![status("running")]),
            ("inject-nmi", vec![answer.to_owned()]),
        ];
        play(turns, vec![Request::InjectNmi(done)]).await;
        assert_eq!(answered.await, Ok(taken));
    }
}
