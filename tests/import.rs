//! Tests and reproducers of others, in trees of their formats, imported and run on a real kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

mod common;
use common::{Lab, cell};
use serde_json::{Value, json};

/// A matrix of Debian 12's kernel.
const MATRIX: &str = "kernels:\n  - name: debian-12\n    apt: { package: linux-image-cloud-amd64, suite: bookworm }\n";

/// Builds a C program in the lab.
fn build(lab: &Lab, to: &str, flags: &[&str], source: &str) {
    let source = lab.write(&format!("{to}.c"), source);
    let built = Command::new("cc").args(flags).args(["-O1", "-o"]).arg(lab.path(to)).arg(source).status().expect("cc");
    assert!(built.success());
}

/// A program that prints a line and exits.
fn says(line: &str, code: i32) -> String {
    format!("#include <stdio.h>\nint main(void) {{ puts(\"{line}\"); return {code}; }}\n")
}

/// An import's exit and document.
#[track_caller]
fn import(lab: &Lab, arguments: &[&str], code: i32) -> Value {
    let ran = lab.run(&[&["import"], arguments, &["--to", "bugs", "--format", "json"]].concat());
    ran.ends_with(code);
    serde_json::from_str(&ran.stdout).unwrap_or(Value::Null)
}

fn ltp(lab: &Lab) {
    let test = |name: &str| json!({ "fname": format!("testcases/{name}.c"), "tags": [["CVE", "2020-1111"]] });
    let mut passes = test("passes01");
    passes["doc"] = json!(["[Description]", "", "Test that passes", "everywhere"]);
    passes["tags"] = json!([["linux-git", "0123456789abcdef0123456789abcdef01234567"]]);
    passes["needs_kconfigs"] = json!(["CONFIG_NET=y"]);
    let tests = json!({ "passes01": passes, "fails01": test("fails01"), "scripted01": test("scripted01"),
        "plain01": { "fname": "testcases/plain01.c" } });
    let suite = json!({ "name": "Linux Test Project", "short_name": "LTP", "version": "20260529" });
    let metadata = json!({ "testsuite": suite, "defaults": { "timeout": 30 }, "tests": tests });
    lab.write("ltp/metadata/ltp.json", metadata.to_string());
    let path = |name: &str| format!("ltp/testcases/{name}");
    build(lab, &path("passes01"), &["-static"], &says("passes01.c:9: TPASS: no crash", 0));
    // Its libraries are taken along.
    build(lab, &path("fails01"), &[], &says("fails01.c:9: TFAIL: the write succeeded", 1));
    let script = lab.write(&path("scripted01"), "#!/bin/sh\n");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn imported_programs_are_judged_on_a_real_kernel() {
    let lab = Lab::with_matrix(MATRIX);
    ltp(&lab);
    let document = import(&lab, &["ltp", "ltp"], 0);
    assert_eq!((&document["schema_version"], &document["version"]), (&json!(1), &json!("20260529")));
    assert_eq!(document["imported"].as_array().map(Vec::len), Some(2), "{document:#}");
    assert_eq!(document["rejected_by_kind"], json!({ "script": 1 }));
    assert_eq!((&document["rejected"][0]["name"], &document["not_selected"]), (&json!("scripted01"), &json!(1)));

    lab.write("st/kselftest-list.txt", "net:tls\nnet:run.sh\n");
    lab.write("st/net/run.sh", "#!/bin/sh\n");
    lab.write("st/net/config", "CONFIG_NET=y\n");
    build(&lab, "st/net/tls", &["-static"], &says("TAP version 13\\n1..1\\nok 1 tls", 0));
    import(&lab, &["kselftest", "st"], 0);

    let crash = "#include <fcntl.h>\n#include <unistd.h>\nint main(void) { int f = open(\"/proc/sysrq-trigger\", \
                 O_WRONLY); if (write(f, \"c\", 1)) for (;;) pause(); }\n";
    lab.write("syz/crash.c", crash);
    lab.write("syz/lives.c", "int main(void) { for (;;) ; }\n");
    import(&lab, &["syz", "syz/crash.c"], 3);
    import(&lab, &["syz", "syz/crash.c", "--title", "kernel panic: sysrq triggered crash"], 0);

    let tool = "#include <stdio.h>\n#include <string.h>\nint main(int n, char **a) { char s[99] = \"\"; FILE *f = \
                fopen(a[n - 1], \"r\"); if (!f) return 1; fread(s, 1, 98, f); if (!strstr(s, \"loss\")) return 0; fprintf(stderr, \
                \"%s:2: error handling packet: live packet field tcp_seq: expected: 1\\n\", a[n - 1]); return 1; }\n";
    build(&lab, "packetdrill", &["-static"], tool);
    lab.write("good.pkt", "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n");
    lab.write("bad.pkt", "// loss\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n");
    import(&lab, &["packetdrill", "good.pkt", "bad.pkt", "--with", "packetdrill"], 0);

    let table = [
        ("passes01", "pass", "1 TPASS, 0 TFAIL"),
        ("fails01", "fail", "TFAIL: the write succeeded"),
        ("net-tls", "pass", "1 ok, 0 not ok"),
        ("crash", "fail", "sysrq triggered crash"),
        ("good", "pass", "saw what its script expects"),
        ("bad", "fail", "error handling packet: live packet field tcp_seq"),
    ];
    let chosen: Vec<&str> = table.iter().flat_map(|(bug, ..)| ["--bug", bug]).collect();
    let (ran, document) = lab.judge(&[&["--dossiers", "bugs"], &chosen[..]].concat());
    ran.ends_with(1);
    for (bug, outcome, why) in table {
        let cell = cell(&document, "debian-12", bug);
        assert_eq!(cell["outcome"], outcome, "{cell:#}");
        let findings = cell["findings"].as_array().expect("findings");
        let runtime = findings.iter().find(|finding| finding["witness"] == "runtime").unwrap_or(&Value::Null);
        assert!(runtime["why"].as_str().is_some_and(|said| said.contains(why)), "{bug}: {runtime:#}");
    }

    let listed = lab.run(&["bugs", "show", "passes01", "--dossiers", "bugs"]);
    listed.ends_with(0);
    assert!(listed.stdout.contains("Test that passes") && listed.stdout.contains("0123456789ab"), "{}", listed.stdout);
}

#[test]
fn import_says_what_it_did_and_what_it_could_not() {
    let lab = Lab::new();
    ltp(&lab);
    let ran = lab.run(&["import", "ltp", "ltp", "--to", "bugs"]);
    ran.ends_with(0);
    for words in [
        "imported  passes01    Test that passes",
        "rejected  scripted01  a script: a guest has no interpreter",
        "ltp 20260529: 2 imported, 1 rejected",
        "1  script",
        "1  not selected",
        "backproof run --dossiers bugs",
    ] {
        assert!(ran.stdout.contains(words), "no `{words}` in\n{}", ran.stdout);
    }
    let again = lab.run(&["import", "ltp", "ltp", "--to", "bugs"]);
    assert!(again.ends_with(0).stdout.contains("current   passes01"), "{}", again.stdout);
    lab.run(&["import", "ltp", "ltp", "--cve", "CVE-1999-0001", "--to", "none"]).ends_with(3);
    lab.run(&["import", "ltp", "ltp", "--cve", "2020", "--to", "none"]).ends_with(2).says(&["CVE-2017-8890"]);
    lab.run(&["import", "ltp", "bugs", "--to", "none"])
        .ends_with(2)
        .says(&["cannot import bugs: it is not a tree of LTP"]);
    assert!(!lab.path("none").exists());
    lab.write("file", "");
    lab.run(&["import", "ltp", "ltp", "--to", "file"]).ends_with(3).says(&["cannot write file"]);
}

/// With `LTP_ROOT`, a built tree of LTP: imports it, and judges Debian 12's kernel by the tests of CVEs that need nothing.
#[test]
#[ignore = "needs LTP_ROOT, a built tree of LTP; takes minutes"]
fn real_ltp_is_imported_and_run() {
    let Some(root) = std::env::var_os("LTP_ROOT") else { panic!("LTP_ROOT names no built tree of LTP") };
    let lab = Lab::with_matrix(MATRIX);
    let root = Path::new(&root).canonicalize().expect("LTP_ROOT");
    let document = import(&lab, &["ltp", root.to_str().expect("UTF-8")], 0);
    let imported = document["imported"].as_array().expect("a list");
    assert!(imported.len() > 100, "{:#}", document["rejected"]);
    let (_, document) = lab.judge(&["--dossiers", "bugs", "--bug", "uname04"]);
    assert_eq!(cell(&document, "debian-12", "uname04")["outcome"], "pass");
}
