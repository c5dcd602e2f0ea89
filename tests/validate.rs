//! `backproof validate`: the gate of real kernels, what is left for a rollout, and bad input.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

mod common;
use common::tiny_kernel::{Act, image};
use common::{Lab, Ran};

const STALL: &str = "tcp-fragment-stall";
const COOKIES: &str = "syn-cookie-data-loss";

/// `validate --format json` with more arguments: its exit, and its document if it printed one.
fn validated(lab: &Lab, args: &[&str]) -> (Ran, Value) {
    let ran = lab.run(&[&["validate", "--accel", "tcg", "--format", "json"], args].concat());
    let document = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    (ran, document)
}

/// A document of the newest run.
#[track_caller]
fn left(lab: &Lab, name: &str) -> Value {
    let path = lab.result(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// The package of Debian 12's newest cloud kernel, fetched by apt into this folder.
fn package(lab: &Lab) -> PathBuf {
    let folder = lab.path("packages");
    fs::create_dir_all(&folder).expect("a folder");
    let depends = std::process::Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]).output();
    let depends = String::from_utf8_lossy(&depends.expect("apt-cache").stdout).into_owned();
    let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: ")).expect("a kernel's package");
    let fetched = std::process::Command::new("apt-get").args(["download", name]).current_dir(&folder).output();
    let fetched = fetched.expect("apt-get");
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let found = fs::read_dir(&folder).expect("the folder").find_map(|entry| Some(entry.ok()?.path()));
    found.expect("a package")
}

#[test]
fn gate_of_a_debian_package_is_bound_to_its_bytes() {
    let lab = Lab::new();
    let candidate = lab.path("candidate.deb");
    fs::rename(package(&lab), &candidate).expect("a package");
    let (ran, open) = validated(&lab, &["candidate.deb", "--baseline", "debian-12"]);
    ran.ends_with(0);
    assert_eq!((&open["gate"], &open["exit_code"]), (&"open".into(), &0.into()), "{open:#}");
    let cookies = open["cells"].as_array().and_then(|cells| cells.iter().find(|cell| cell["bug"] == COOKIES));
    let cookies = cookies.expect("every bug is judged");
    assert_eq!((&cookies["counts"], &cookies["verdict"]), (&false.into(), &"affected".into()));
    assert_eq!(open["difference"]["cells"], Value::Array(vec![]), "{open:#}");
    assert_eq!(open["difference"]["not_compared"], Value::Null, "{open:#}");

    // What is attached names what was judged, and nothing else.
    let statement = left(&lab, "validation.intoto.json");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicate"]["result"], "PASSED");
    assert_eq!(statement["predicate"]["warnedTests"], serde_json::json!([format!("{COOKIES}@default")]));
    let vex = left(&lab, "validation.openvex.json");
    let status = |bug: &str| {
        let statements = vex["statements"].as_array().expect("statements");
        statements.iter().find(|one| one["vulnerability"]["name"] == bug).map(|one| one["status"].clone())
    };
    assert_eq!((status(STALL), status(COOKIES)), (Some("fixed".into()), Some("affected".into())));
    let page = fs::read_to_string(lab.result("validation.md")).expect("a page");
    assert!(page.starts_with("# OPEN: candidate.deb\n"), "{page}");
    for document in ["validation.intoto.json", "validation.openvex.json", "validation.json"] {
        let document = lab.result(document);
        let document = document.to_str().expect("UTF-8");
        let check = |file: &str| lab.run(&["validate", "--check", document, file]);
        check("candidate.deb").ends_with(0);
        let mut changed = fs::read(&candidate).expect("the package");
        changed.push(0);
        lab.write("changed.deb", changed);
        let ran = check("changed.deb");
        ran.ends_with(1);
        assert!(ran.stdout.contains("NO MATCH"), "{}", ran.stdout);
    }

    // A bug without a fix closes the gate only if it is named, and opens it again if it is accepted.
    let (ran, closed) = validated(&lab, &["candidate.deb", "--bug", COOKIES]);
    ran.ends_with(1);
    assert_eq!(closed["gate"], "closed");
    assert_eq!(left(&lab, "validation.intoto.json")["predicate"]["result"], "FAILED");
    let accept = format!("{COOKIES}=affected: no cookies on these hosts");
    let (ran, accepted) = validated(&lab, &["candidate.deb", "--bug", COOKIES, "--accept", &accept]);
    ran.ends_with(0);
    assert_eq!(accepted["cells"][0]["accepted"]["reason"], "no cookies on these hosts");

    // A team's policy requires a state, and an acceptance ends.
    let policy = format!(
        "bugs: {{ {STALL}: never-had, {COOKIES}: not-affected }}\naccept:\n  \
         - {{ bug: {COOKIES}, is: affected, reason: x, until: 2019-07-01 }}\n"
    );
    lab.write("gate.yaml", policy);
    let (ran, closed) = validated(&lab, &["candidate.deb", "--policy", "gate.yaml"]);
    ran.ends_with(1);
    let reasons = closed["reasons"].to_string();
    assert!(reasons.contains("requires never-had, and it is fixed"), "{reasons}");
    assert!(reasons.contains("accepted until 2019-07-01, which is over"), "{reasons}");
    assert_eq!(closed["policy"]["name"], "gate.yaml");
    // Its own settings keep the bug from showing.
    lab.write("sysctl.d/10-cookies.conf", "net.ipv4.tcp_syncookies = 0\n");
    let (_, mitigated) = validated(&lab, &["candidate.deb", "--bug", COOKIES, "--sysctl", "sysctl.d"]);
    assert_eq!(mitigated["cells"][0]["profile"], "own", "{mitigated:#}");
    assert_ne!(mitigated["cells"][0]["outcome"], "fail", "{mitigated:#}");
}

#[test]
fn kernel_that_does_not_boot_gets_no_answer_with_its_words() {
    let lab = Lab::new();
    let words = "[    0.1] Kernel panic - not syncing: no memory\r\n";
    lab.write("bzImage", image(&[Act::Console(words.to_owned()), Act::Halt]));
    let (ran, document) = validated(&lab, &["bzImage", "--bug", STALL]);
    ran.ends_with(3);
    assert_eq!(document["gate"], "no-answer");
    assert!(document["reasons"].to_string().contains("Kernel panic"), "{document:#}");
    let statement = left(&lab, "validation.intoto.json");
    assert_eq!(statement["predicate"]["result"], "FAILED");
}

#[test]
fn bad_input_is_named_before_anything_boots() {
    let lab = Lab::new();
    lab.write("bzImage", image(&[Act::Halt]));
    lab.write("notes.txt", "no kernel\n");
    lab.write("bad.yaml", "bugs: { tcp-fragment-stal: fixed }\n");
    lab.write("other.json", "{\"a\": 1}");
    lab.write("empty.d/readme", "");
    for (args, words) in [
        (&["6.1.0-25-amd64"][..], &["a release's name cannot be booted", "backproof affected"][..]),
        (&["missing.deb"], &["no such file"]),
        (&["notes.txt"], &["neither a package nor an image"]),
        (&["bzImage", "--baseline", "missing.deb"], &["no such file"]),
        (&["bzImage", "--policy", "bad.yaml"], &["tcp-fragment-stall", "bad.yaml:1"]),
        (&["bzImage", "--policy", "missing.yaml"], &["cannot read the policy"]),
        (&["bzImage", "--accept", "tcp-fragment-stall=fine"], &["expected", "unknown"]),
        (&["bzImage", "--accept", "tcp"], &["BUG=WHAT"]),
        (&["bzImage", "--bug", "tcp-stall"], &["tcp-fragment-stall"]),
        (&["bzImage", "--profile", "none-such"], &["none-such"]),
        (&["bzImage", "--sysctl", "empty.d"], &["no *.conf"]),
        (&["bzImage", "--seeds", "0"], &["0"]),
        (&["--check", "other.json", "bzImage"], &["it names no sha256"]),
        (&["--check", "notes.txt", "bzImage"], &["no document of `backproof validate`"]),
        (&["--check", "missing.json", "bzImage"], &["missing.json"]),
    ] {
        let ran = lab.run(&[&["validate"], args].concat());
        ran.ends_with(2).says(words);
        assert!(ran.stdout.is_empty(), "{args:?}: {}", ran.stdout);
    }
    assert!(!lab.path("results").exists(), "nothing was run");
}
