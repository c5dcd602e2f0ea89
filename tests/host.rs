//! `backproof host` on this machine, on saved output, and with `--probe`.

use std::fs;

use serde_json::Value;

mod common;
use common::{Lab, Ran};

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

fn bug<'a>(document: &'a Value, name: &str) -> &'a Value {
    let bugs = document["bugs"].as_array().expect("bugs");
    bugs.iter().find(|bug| bug["bug"] == name).unwrap_or_else(|| panic!("{name} is not in {document:#}"))
}

#[test]
fn live_host_is_read_and_not_changed() {
    let lab = Lab::new();
    let setting = || fs::read_to_string("/proc/sys/net/ipv4/tcp_syncookies").ok();
    let before = setting();
    let ran = lab.run(&["host", "--format", "json"]);
    // The test may run on any kernel.
    assert!([0, 1, 3].contains(&ran.code), "{}: {}", ran.code, ran.stderr);
    let document = document(&ran);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    assert_eq!(document["host"]["release"], release.trim());
    assert!(!document["namespaces"].as_array().expect("namespaces").is_empty());
    let witness = &bug(&document, "tcp-fragment-stall")["findings"][0];
    assert!(witness["witness"] == "version" && witness["strength"] == "weak", "{witness:#}");
    let one = lab.run(&["host", "--format", "json", "--bug", "syn-cookie-data-loss"]);
    assert_eq!(self::document(&one)["bugs"].as_array().map(Vec::len), Some(1));
    assert_eq!(setting(), before);
}

#[test]
fn own_dossiers_are_judged_for_a_saved_host() {
    let lab = Lab::new();
    lab.write("uname", "Linux db1 4.19.57 #1 SMP Wed Jul 3 12:00:00 UTC 2019 x86_64 GNU/Linux\n");
    let dossier = "title: A bug\nsummary: It is in some releases.\nreferences: [x]\nreleases:\n  mainline: { break: \
                   5.2-rc6, fix: 5.3-rc2 }\n  stable:\n    - { line: \"4.19\", steps: { break: 4.19.52, fix: 4.19.62 } }\n  \
                   sources: [x]\nchain:\n  - { role: break, commit: 0123456789ab, subject: x, effect: x }\n  - { role: fix, \
                   commit: ab0123456789, subject: y, effect: y }\n";
    lab.write("bugs/my-bug.yaml", format!("id: my-bug\n{dossier}"));
    let ran = lab.run(&["host", "--from", "uname", "--dossiers", "bugs", "--bug", "my-bug", "--format", "json"]);
    ran.ends_with(1);
    let document = document(&ran);
    assert_eq!(document["bugs"].as_array().map(Vec::len), Some(1), "{document:#}");
    let mine = bug(&document, "my-bug");
    assert_eq!((&mine["verdict"], &mine["bitten"]), (&"affected".into(), &Value::Null), "{mine:#}");
    lab.write("bugs/wrong.yaml", "id: wrong\n");
    lab.run(&["host", "--from", "uname", "--dossiers", "bugs"]).ends_with(2).says(&["wrong.yaml"]);
}

#[test]
fn saved_host_report_fits_a_hundred_columns() {
    let lab = Lab::new();
    lab.write("saved/uname", "Linux db1 4.19.57 #1 SMP Wed Jul 3 12:00:00 UTC 2019 x86_64 GNU/Linux\n");
    lab.write(
        "saved/nstat",
        "#kernel\nTcpExtSyncookiesSent 0 0.0\nTcpExtTCPWqueueTooBig 31 0.0\nIpExtInOctets 1 0.0\n",
    );
    lab.write(
        "saved/ss",
        "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nESTAB 0 21984 10.0.0.1:3306 10.0.0.2:40000\n\
         \t skmem:(r0,rb16384,t0,tb8192,f1896,w22680,o0,bl0,d0) rto:37760 backoff:7 lastsnd:60000 unacked:4\n",
    );
    let ran = lab.run(&["host", "--from", "saved"]);
    ran.ends_with(1);
    for words in [
        "Linux 4.19.57: affected by tcp-fragment-stall",
        "BITTEN NOW",
        "kernel: AFFECTED (half-fixed",
        "10.0.0.1:3306 → 10.0.0.2:40000",
        "SO_SNDBUF",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 100), "{}", ran.stdout);
    let several = lab.run(&["host", "--format", "json", "--from", "saved/uname", "--from", "saved/nstat"]);
    let document = document(&several);
    assert_eq!(document["host"]["release"], "4.19.57");
    assert_eq!(bug(&document, "tcp-fragment-stall")["bitten"], "may-have-been");
}

#[test]
fn junk_and_missing_files_are_rejected() {
    let lab = Lab::new();
    lab.write("junk", [0xff; 4096]);
    lab.run(&["host", "--from", "junk"]).ends_with(2).says(&["junk", "netstat -s"]);
    lab.run(&["host", "--from", "absent"]).ends_with(2).says(&["absent"]);
    lab.run(&["host", "--from", "junk", "--probe"]).ends_with(2);
}

#[test]
fn probe_judges_each_bug_or_says_why_not() {
    let lab = Lab::new();
    let ran = lab.run(&["host", "--probe", "--format", "json"]);
    assert!([0, 1, 3].contains(&ran.code), "{}: {}", ran.code, ran.stderr);
    let document = document(&ran);
    for name in ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout"] {
        let bug = bug(&document, name);
        let findings = bug["findings"].as_array().expect("findings");
        let ran = findings.iter().any(|finding| finding["witness"] == "runtime");
        assert_eq!(ran, bug["not_probed"].is_null(), "{bug:#}");
    }
}
