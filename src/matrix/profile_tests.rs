use std::path::Path;

use backproof_protocol::SETTING_FAILED;

use super::*;
use crate::matrix::parse;

fn matrix(text: &str, path: &Path) -> Matrix {
    parse(text, path, &Bugs::built_in()).unwrap_or_else(|problems| panic!("expected a matrix:\n{problems}"))
}

fn choose(matrix: &Matrix, names: &[&str]) -> Result<Vec<Profile>, BadProfiles> {
    let names: Vec<ProfileName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    matrix.choose_profiles(&Bugs::built_in(), &names)
}

const MATRIX: &str = "
profiles:
  - { name: no-sack, sysctls: { net.ipv4.tcp_sack: 0 }, bugs: [tcp-fragment-stall] }
  - { name: quiet, cmdline: ipv6.disable=1 }
kernels:
  - { name: a, tree: linux }
";

#[test]
fn named_profiles_are_chosen_in_order() {
    let matrix = matrix(MATRIX, Path::new("m.yaml"));
    for (names, expected) in [
        (&[][..], "default"),
        (&["no-sack"], "no-sack"),
        (&["quiet", "default", "syn-cookies-off", "quiet"], "default syn-cookies-off quiet"),
        (&["all"], "default large-send-buffers syn-cookies-off large-queues no-sack quiet"),
    ] {
        let chosen = choose(&matrix, names).expect("profiles");
        let chosen: Vec<&str> = chosen.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(chosen.join(" "), expected, "{names:?}");
    }
}

#[test]
fn unknown_profile_is_reported_with_the_known_ones() {
    let matrix = matrix(MATRIX, Path::new("m.yaml"));
    let said = choose(&matrix, &["no-sak", "x"]).expect_err("unknown").to_string();
    assert!(said.contains("no profile `no-sak` in m.yaml or a bug's dossier: did you mean `no-sack`?"), "{said}");
    assert!(
        said.contains("no profile `x` in m.yaml or a bug's dossier: expected `default`, ") && said.lines().count() == 2,
        "{said}"
    );
}

#[test]
fn profile_without_a_bug_is_left_out() {
    let own = MATRIX.replace("tree: linux", "tree: linux, bugs: [syn-cookie-data-loss]");
    let matrix = matrix(&own, Path::new("m.yaml"));
    let names = |chosen: Vec<Profile>| chosen.iter().map(|p| p.name.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(names(choose(&matrix, &["no-sack", "quiet"]).expect("one")), "quiet");
    let said = choose(&matrix, &["no-sack"]).expect_err("nothing").to_string();
    assert!(said.starts_with("nothing to run"), "{said}");
}

#[test]
fn own_sysctls_override_those_of_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "
profiles:
  - { name: ours, sysctl-file: [a.conf, b.conf], sysctls: { net.core.somaxconn: 3 } }
kernels: [{ name: a, tree: linux }]
";
    let matrix = matrix(text, &folder.path().join("m.yaml"));
    assert!(choose(&matrix, &[]).is_ok(), "files of a profile that was not chosen are not needed");
    let said = choose(&matrix, &["ours"]).expect_err("no file").to_string();
    assert!(said.contains("a.conf: cannot read the sysctls of profile `ours`: No such file"), "{said}");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("a.conf", "net.ipv4.tcp_sack = 1\nnet.core.somaxconn = 1\n");
    write("b.conf", "net.ipv4.tcp_sack 0\n");
    let said = choose(&matrix, &["ours"]).expect_err("a mistake").to_string();
    assert!(said.contains("b.conf:1:1: `net.ipv4.tcp_sack 0` is not a setting"), "{said}");
    write("b.conf", "net.ipv4.tcp_sack = 0\nkernel.panic = 1\n");
    let chosen = choose(&matrix, &["ours"]).expect("a profile").remove(0);
    let expected = [("net.core.somaxconn", "3"), ("net.ipv4.tcp_sack", "0")];
    assert_eq!(chosen.sysctls, expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
    assert_eq!(chosen.left_out.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["kernel.panic"]);
}

#[test]
fn mitigating_profile_needs_an_applied_sysctl() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "
profiles:
  - { name: ours, sysctl-file: a.conf, mitigates: [syn-cookie-data-loss] }
kernels: [{ name: a, tree: linux }]
";
    let matrix = matrix(text, &folder.path().join("m.yaml"));
    let write = |text: &str| std::fs::write(folder.path().join("a.conf"), text).expect("a file");
    write("vm.swappiness = 1\n");
    let said = choose(&matrix, &["ours"]).expect_err("nothing to apply").to_string();
    assert!(said.contains("a.conf: profile `ours` applies no sysctl"), "{said}");
    write("net.ipv4.tcp_syncookies = 0\n");
    assert!(choose(&matrix, &["ours"]).is_ok());
}

#[test]
fn command_lines_too_long_together_are_rejected() {
    let long = "a".repeat(fields::CMDLINE_MAX / 2 + 1);
    let text =
        format!("profiles: [{{ name: p, cmdline: {long} }}]\nkernels: [{{ name: a, tree: l, cmdline: {long} }}]");
    let matrix = matrix(&text, Path::new("m.yaml"));
    let said = choose(&matrix, &["p"]).expect_err("too long").to_string();
    assert!(said.contains("of kernel `a` and of profile `p` have 1027 bytes together"), "{said}");
}

#[test]
fn mitigation_of_a_dossier_is_a_profile_for_its_bug() {
    for profile in Bugs::built_in().profiles() {
        assert_eq!(profile.bugs.len(), 1, "{}", profile.name);
        assert!(profile.says.is_some_and(|says| says.ends_with('.')), "{}", profile.name);
        assert!(profile.mitigates.iter().all(|bug| profile.bugs.contains(bug)));
        for (name, value) in &profile.sysctls {
            assert_eq!(sysctl::name(name).as_deref(), Ok(name.as_str()));
            assert_eq!(sysctl::value(value).as_deref(), Ok(value.as_str()));
        }
        assert!(!profile.sysctls.is_empty() && !profile.name.is_default(), "{}", profile.name);
    }
}

#[test]
fn refused_setting_is_named_with_its_own_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "
profiles:
  - { name: ours, sysctl-file: a.conf, sysctls: { net.ipv4.tcp_sack: 0 } }
kernels: [{ name: a, tree: linux }]
";
    let matrix = matrix(text, &folder.path().join("m.yaml"));
    let lines = "# ours\nnet.ipv4.tcp_congestion_control = bbr\nnet.ipv4.tcp_sack = 1\n";
    std::fs::write(folder.path().join("a.conf"), lines).expect("a file");
    let profile = choose(&matrix, &["ours"]).expect("a profile").remove(0);
    assert_eq!(profile.modules(), ["tcp_bbr".to_owned()].into());
    let file = folder.path().join("a.conf").display().to_string();
    for (name, place) in [
        ("net.ipv4.tcp_congestion_control", format!("(line 2 of {file}): ")),
        // The matrix's own value goes before the file's, and so does its place.
        ("net.ipv4.tcp_sack", "(profile `ours`): ".to_owned()),
    ] {
        let reason = format!("{SETTING_FAILED}{name} to `x`: No such file or directory (os error 2)");
        let said = profile.explain(&reason, &[]);
        assert!(said.starts_with(&format!("cannot set {name}=x {place}")), "{said}");
    }
}
