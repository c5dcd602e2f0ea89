use super::*;
use crate::matrix::Bugs;

#[test]
fn kernel_that_may_crash_is_not_probed() {
    let bugs = Bugs::built_in();
    let all: Vec<&Bug> = bugs.iter().collect();
    for release in ["4.14.138", "4.4.189-generic", "3.10.0-957.21.3.el7.x86_64", "", "unknown"] {
        assert!(matches!(probe_host(&all, release), Err(ProbeError::MayCrash(_))), "{release}");
    }
}

#[test]
fn remedy_names_the_setting_that_forbids_namespaces() {
    for (knobs, expected) in [
        (Knobs { root: true, ..Knobs::default() }, "container"),
        (Knobs { unprivileged_userns_clone: Some(0), ..Knobs::default() }, "unprivileged_userns_clone"),
        (Knobs { apparmor_restrict: Some(1), ..Knobs::default() }, "AppArmor"),
        (Knobs { max_user_namespaces: Some(0), ..Knobs::default() }, "max_user_namespaces"),
        (Knobs { unprivileged_userns_clone: Some(1), ..Knobs::default() }, "root may be allowed"),
    ] {
        assert!(remedy(&knobs).contains(expected), "{knobs:?}: {}", remedy(&knobs));
    }
}

#[test]
fn bug_without_a_report_is_not_probed_and_never_a_pass() {
    let bugs = Bugs::built_in();
    let all: Vec<&Bug> = bugs.iter().collect();
    let report = Report {
        job: all[0].id.to_string(),
        conclusion: backproof_protocol::Conclusion::NotAffected,
        why: "all well".to_owned(),
        checks: Vec::new(),
        reported: false,
        took_ms: 1,
    };
    let probed = settle(&all, &[Message::Report(report), Message::Note { text: "a remark".to_owned() }], None);
    // A conclusion without a check proves nothing.
    assert!(probed.verdicts.is_empty());
    assert_eq!(probed.not_probed.len(), all.len());
    assert_eq!(probed.notes, ["a remark"]);
}

#[test]
fn host_kernel_is_probed_or_the_reason_is_given() {
    let bugs = Bugs::built_in();
    let all: Vec<&Bug> = bugs.iter().collect();
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match probe_host(&all, &release) {
        Ok(probed) => assert_eq!(probed.verdicts.len() + probed.not_probed.len(), all.len(), "{probed:?}"),
        Err(ProbeError::MayCrash(_) | ProbeError::NotStarted(_) | ProbeError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
}
