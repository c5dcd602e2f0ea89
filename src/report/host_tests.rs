use super::*;
use crate::host::counters::{Absence, TcpExtCounters};
use crate::host::{HostReading, Socket, Sockets, bitten};

fn reading(too_big: u64, waiting: Vec<WaitingSocket>) -> HostReading {
    let counters = WATCHED.map(|name| (name.to_owned(), if name == "TCPWqueueTooBig" { too_big } else { 0 }));
    let sockets = Sockets { connections: 12, waiting_in_all: waiting.len(), waiting, ..Sockets::default() };
    let namespace = Namespace {
        name: "host".to_owned(),
        processes: 120,
        counters: Some(TcpExtCounters { values: counters.into(), absent_means: Absence::NotThere }),
        settings: SETTINGS.map(|name| (name.to_owned(), "4096 131072 6291456".to_owned())).into(),
        sockets: Some(sockets),
        ..Namespace::default()
    };
    let host = HostFacts {
        release: Some("6.1.0-25-amd64".to_owned()),
        livepatches: Some(Vec::new()),
        floods: Some(Vec::new()),
        ..HostFacts::default()
    };
    HostReading { host, namespaces: vec![namespace] }
}

fn document(reading: HostReading) -> HostDocument {
    let bitten = bitten::judge(&reading);
    HostDocument::new(reading, bitten, &[], &[])
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn healthy_host_fits_one_screen_answer_first() {
    let text = plain(&document(reading(0, Vec::new())).text(Style::default().explaining(true)));
    assert!(text.starts_with("Linux 6.1.0-25-amd64: no sign that it was bitten\n"), "{text}");
    assert!(text.lines().count() <= 24, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn bitten_host_shows_the_connection_and_the_remedy() {
    let socket = Socket {
        local: "10.0.0.1:3306".to_owned(),
        remote: "10.0.0.2:40000".to_owned(),
        process: Some("mysqld\u{1b}[2J (1234)".to_owned()),
        wmem_queued: Some(22680),
        sndbuf: Some(8192),
        ..Socket::default()
    };
    let waiting = vec![WaitingSocket { complaint: Complaint::Silent, socket }];
    let text = plain(&document(reading(31, waiting)).text(Style::default().explaining(true)));
    assert!(text.starts_with("Linux 6.1.0-25-amd64: BITTEN NOW\n"), "{text}");
    for wanted in ["10.0.0.1:3306 → 10.0.0.2:40000", "22680 bytes queued", "SO_SNDBUF", "ss -K"] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn namespaces_that_say_nothing_share_a_line() {
    let mut reading = reading(0, Vec::new());
    let quiet = reading.namespaces[0].clone();
    reading.namespaces.extend((0..40).map(|n| Namespace { name: format!("docker {n}"), ..quiet.clone() }));
    reading.namespaces[7].counters = None;
    reading.namespaces[7].unseen.push("counters: it could not be entered".to_owned());
    let text = plain(&document(reading).text(Style::default().explaining(true)));
    assert!(text.contains("39 with all counters at zero: docker 0, docker 1"), "{text}");
    assert!(text.contains("not seen: counters: it could not be entered"), "{text}");
    assert!(text.lines().count() <= 30, "{text}");
}

#[test]
fn exposure_to_one_bug_does_not_hide_an_unknown_one() {
    let mut reading = reading(0, Vec::new());
    let namespace = &mut reading.namespaces[0];
    namespace.sockets = None;
    let counters = namespace.counters.as_mut().expect("counters");
    counters.values.insert("SyncookiesRecv".to_owned(), 3);
    let text = plain(&document(reading).text(Style::default()));
    let answer = "Linux 6.1.0-25-amd64: was exposed; unknown for zero-window-user-timeout\n";
    assert!(text.starts_with(answer), "{text}");
}
