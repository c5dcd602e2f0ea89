//! Profiles on real boots: a file of sysctls and a kernel command line reach the guest, share boots if possible, and
//! are selected by name.

use serde_json::Value;

mod common;
use common::Lab;

const MATRIX: &str = "
bugs: [tcp-fragment-stall, syn-cookie-data-loss]
expect: { syn-cookie-data-loss: fail }
profiles:
  - { name: no-sack, sysctl-file: sack.conf, bugs: [tcp-fragment-stall] }
  - { name: no-ipv6, cmdline: ipv6.disable=1, bugs: [tcp-fragment-stall] }
  - { name: mistyped, sysctls: { net.ipv4.there_is_no_such_sysctl: 1 }, bugs: [tcp-fragment-stall] }
kernels:
  - name: debian-12
    apt: { package: linux-image-cloud-amd64, suite: bookworm }
";

fn lab() -> Lab {
    let lab = Lab::with_matrix(MATRIX);
    lab.write("sack.conf", "# ours\nnet.ipv4.tcp_sack = 0\nnet.ipv4.conf.*.rp_filter = 2\n");
    lab
}

fn judged<'a>(document: &'a Value, job: &str) -> &'a Value {
    let (bug, profile) = job.split_once('@').unwrap_or((job, "default"));
    let cells = document["cells"].as_array().unwrap_or_else(|| panic!("no cells in {document}"));
    let found = cells.iter().find(|c| c["bug"] == bug && c["profile"] == profile);
    found.unwrap_or_else(|| panic!("no cell {job} in {document:#}"))
}

#[test]
fn profile_settings_reach_the_guest() {
    let lab = lab();
    let names = ["default", "no-sack", "no-ipv6", "mistyped"];
    let args: Vec<&str> = names.iter().flat_map(|name| ["--profile", name]).collect();
    let (ran, document) = lab.judge(&args);
    // A profile that cannot be set has no verdict.
    ran.ends_with(3).says(&["sack.conf:3: net.ipv4.conf.*.rp_filter is not applied: it is a pattern"]);

    let boots = document["kernels"][0]["boots"].as_array().expect("boots");
    let jobs: Vec<&Value> = boots.iter().map(|boot| &boot["jobs"]).collect();
    let shared = serde_json::json!([
        "tcp-fragment-stall",
        "syn-cookie-data-loss",
        "tcp-fragment-stall@no-sack",
        "tcp-fragment-stall@mistyped"
    ]);
    assert_eq!(jobs, [&shared, &serde_json::json!(["tcp-fragment-stall@no-ipv6"])]);
    let console = |boot: &str| {
        let path = lab.result(&format!("debian-12/{boot}/console.log"));
        String::from_utf8_lossy(&std::fs::read(path).expect("a console")).into_owned()
    };
    assert!(!console("boot-1").contains("ipv6.disable=1") && console("boot-2").contains("ipv6.disable=1"));

    let outcome = |job: &str| judged(&document, job)["outcome"].clone();
    for job in ["tcp-fragment-stall", "tcp-fragment-stall@no-sack", "tcp-fragment-stall@no-ipv6"] {
        assert_eq!(outcome(job), "pass", "{:#}", judged(&document, job));
        assert!(lab.result(&format!("debian-12/{job}/ledger.json")).is_file(), "{job}");
    }
    assert_eq!(outcome("syn-cookie-data-loss"), "fail");
    let mistyped = judged(&document, "tcp-fragment-stall@mistyped");
    let reason = mistyped["reason"].as_str().unwrap_or_default();
    assert!(mistyped["outcome"] == "error" && reason.contains("net.ipv4.there_is_no_such_sysctl"), "{mistyped:#}");

    // The kernel itself shows that the file was applied: its SYN-ACK's options are MSS 1460, two no-operations and
    // SACK-permitted (RFC 2018, section 2), or no SACK-permitted.
    let permitted = [0x02, 0x04, 0x05, 0xb4, 0x01, 0x01, 0x04, 0x02];
    let permits = |job: &str| {
        let wire = std::fs::read(lab.result(&format!("debian-12/{job}/wire.pcapng"))).expect("a capture");
        wire.windows(permitted.len()).any(|bytes| bytes == permitted)
    };
    assert!(permits("tcp-fragment-stall") && permits("tcp-fragment-stall@no-ipv6"));
    assert!(!permits("tcp-fragment-stall@no-sack"));

    let first = lab.run(&["replay", "latest", "debian-12", "--accel", "tcg"]);
    first.ends_with(3);
    for words in ["not replayed: boot-2 judged it (--boot 2)", "this kernel has no such setting"] {
        assert!(first.stdout.contains(words), "{}", first.stdout);
    }
    let replayed = lab.run(&["replay", "latest", "debian-12", "--boot", "2", "--format", "json", "--accel", "tcg"]);
    replayed.ends_with(0);
    let again: Value = serde_json::from_str(&replayed.stdout).expect("JSON");
    assert_eq!(again["cells"].as_array().map(Vec::len), Some(1), "{again:#}");
    assert_eq!(judged(&again, "tcp-fragment-stall@no-ipv6")["outcome"], "pass");
}

#[test]
fn profile_with_a_global_sysctl_is_compared_one_after_another() {
    // vm.swappiness is not per namespace, so nothing can run beside it, as with tcp_syncookies of 4.4.
    let lab = Lab::with_matrix(
        "
bugs: [syn-cookie-data-loss]
expect: { syn-cookie-data-loss: fail }
profiles:
  - name: ours
    sysctls: { net.ipv4.tcp_syncookies: 0, vm.swappiness: 10 }
    mitigates: [syn-cookie-data-loss]
  - { name: undeclared, sysctls: { net.ipv4.tcp_syncookies: 0 } }
  - { name: useless, sysctls: { vm.swappiness: 10 } }
kernels:
  - name: debian-12
    apt: { package: linux-image-cloud-amd64, suite: bookworm }
",
    );
    let names = ["default", "ours", "undeclared", "useless"];
    let args: Vec<&str> = names.iter().flat_map(|name| ["--profile", name]).collect();
    let (ran, document) = lab.judge(&args);
    // A pass that the matrix does not expect.
    ran.ends_with(1);
    for (profile, outcome, mitigated) in
        [("default", "fail", false), ("ours", "pass", true), ("undeclared", "pass", true), ("useless", "fail", false)]
    {
        let cell = judged(&document, &format!("syn-cookie-data-loss@{profile}"));
        let got = (cell["outcome"].as_str(), cell["mitigated"].as_bool().unwrap_or(false));
        assert_eq!(got, (Some(outcome), mitigated), "{cell:#}");
    }
    let advice = judged(&document, "syn-cookie-data-loss@undeclared")["advice"].to_string();
    assert!(advice.contains("add `mitigates: [syn-cookie-data-loss]` to the profile"), "{advice}");
}

#[test]
fn modules_that_values_of_sysctls_name_are_loaded() {
    let lab = Lab::with_matrix(
        "
bugs: [tcp-fragment-stall, syn-cookie-data-loss, zero-window-user-timeout]
expect: { syn-cookie-data-loss: fail }
profiles:
  - { name: production, sysctl-file: 10-ours.conf }
  - { name: mistyped, sysctl-file: 20-mistyped.conf, bugs: [tcp-fragment-stall] }
  - { name: absent, sysctl-file: 30-absent.conf, bugs: [tcp-fragment-stall] }
kernels:
  - name: debian-12
    apt: { package: linux-image-cloud-amd64, suite: bookworm }
",
    );
    // Both are modules of Debian's kernel; cubic is built in, and pfifo_fast is a part of the kernel.
    lab.write(
        "10-ours.conf",
        "net.core.default_qdisc = fq\nnet.ipv4.tcp_congestion_control = bbr\n\
         net.ipv4.tcp_allowed_congestion_control = reno cubic bbr\n",
    );
    lab.write("20-mistyped.conf", "# ours\n\nnet.core.default_qdisc = fqq\n");
    lab.write("30-absent.conf", "net.ipv4.tcp_low_latencies = 1\n");
    let args = ["--profile", "default", "--profile", "production", "--profile", "mistyped", "--profile", "absent"];
    let (ran, document) = lab.judge(&args);
    ran.ends_with(3);
    // default_qdisc is not per namespace, so the reproducers run one after another in the first.
    for (bug, outcome) in
        [("tcp-fragment-stall", "pass"), ("syn-cookie-data-loss", "fail"), ("zero-window-user-timeout", "pass")]
    {
        for job in [bug.to_owned(), format!("{bug}@production")] {
            assert_eq!(judged(&document, &job)["outcome"], outcome, "{:#}", judged(&document, &job));
        }
    }
    let boot = std::fs::read(lab.result("debian-12/boot-1/boot.json")).expect("a boot");
    let boot: Value = serde_json::from_slice(&boot).expect("JSON");
    let modules: Vec<&str> =
        boot["plan"]["modules"].as_array().expect("modules").iter().filter_map(Value::as_str).collect();
    assert!(["sch_fq.ko", "tcp_bbr.ko"].iter().all(|module| modules.contains(module)), "{modules:?}");
    for (profile, start, cause) in [
        ("mistyped", "cannot set net.core.default_qdisc=fqq (line 3 of ", "sch_fqq isn't available in this kernel"),
        ("absent", "cannot set net.ipv4.tcp_low_latencies=1 (line 1 of ", "this kernel has no such setting"),
    ] {
        let cell = judged(&document, &format!("tcp-fragment-stall@{profile}"));
        let reason = cell["reason"].as_str().unwrap_or_default();
        assert!(cell["outcome"] == "error" && reason.starts_with(start) && reason.contains(cause), "{cell:#}");
        assert!(reason.contains("; remove ") && !reason.contains("os error"), "{reason}");
    }
}

#[test]
fn bad_profile_is_reported_before_a_boot() {
    let lab = lab();
    let unknown = lab.run(&["run", "--profile", "no-sak"]);
    unknown.ends_with(2).says(&["no profile `no-sak`", "did you mean `no-sack`?"]);
    lab.write("sack.conf", "net.ipv4.tcp_sack\n");
    let broken = lab.run(&["run", "--profile", "no-sack"]);
    broken.ends_with(2).says(&["sack.conf:1:1: `net.ipv4.tcp_sack` is not a setting: expected `name = value`"]);
    let nothing = lab.run(&["run", "--profile", "no-ipv6", "--bug", "syn-cookie-data-loss"]);
    nothing.ends_with(2).says(&["nothing to run"]);
    assert!(!lab.path("results").exists());
}
