use super::*;
use crate::guest::{self, RootfsShelf};
use crate::matrix::{Bug, Bugs};

fn profile(name: &str, cmdline: Option<&str>) -> Profile {
    let name = name.parse().expect("a name");
    Profile { name, cmdline: cmdline.map(str::to_owned), ..Profile::default_for(Vec::new()) }
}

pub(in crate::run) fn trial<'a>(bug: &'a Bug, profile: &'a Profile) -> Trial<'a> {
    Trial {
        bug: &bug.id,
        reproducer: bug.reproducer.as_ref().expect("a reproducer"),
        program: None,
        profile,
        shares: false,
        strings: &[],
        added: &[],
    }
}

/// A program that can run: the agent is one.
fn own_program() -> GuestProgram {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), guest::AGENT).expect("a file");
    GuestProgram::load(&"a-bug".parse().expect("a name"), file.path(), &[], None, &mut RootfsShelf::default())
        .expect("a program")
}

#[test]
fn trials_share_a_boot_unless_cmdline_or_tenant_differs() {
    let bugs = Bugs::built_in();
    let profiles = [
        profile("default", None),
        profile("quiet", Some("quiet")),
        profile("sysctls", None),
        profile("also-quiet", Some("quiet")),
        profile("loud", Some("debug")),
    ];
    let bug = bugs.iter().next().expect("a bug");
    let own = own_program();
    let names: Vec<BugId> = ["a", "b", "c", "d"].map(|name| name.parse().expect("a name")).into();
    let mut trials: Vec<Trial> = profiles.iter().map(|profile| trial(bug, profile)).collect();
    // Programs of four bugs under three profiles; the last two bugs' trust each other.
    for (index, id) in names.iter().enumerate() {
        let of_bug = |profile| Trial { bug: id, program: Some(&own), shares: index > 1, ..trial(bug, profile) };
        trials.extend(profiles[..3].iter().map(of_bug));
    }
    let told =
        |trial: &Trial| if trial.program.is_some() { trial.id().to_string() } else { trial.profile.name.to_string() };
    let told = |group: &Vec<Trial>| group.iter().map(told).collect::<Vec<_>>().join(" ");
    let groups = by_guest(&trials);
    let expected = [
        "default sysctls",
        "quiet also-quiet",
        "loud",
        "a a@sysctls",
        "a@quiet",
        "b b@sysctls",
        "b@quiet",
        "c c@sysctls d d@sysctls",
        "c@quiet d@quiet",
    ];
    assert_eq!(groups.iter().map(told).collect::<Vec<_>>(), expected);
    for group in &groups {
        for trial in group {
            let shared: Vec<String> = trial.shared_with(group).iter().map(ToString::to_string).collect();
            let partner = match trial.bug.as_str() {
                "c" => vec!["d"],
                "d" => vec!["c"],
                _ => vec![],
            };
            assert_eq!(shared, partner, "{}", trial.id());
        }
    }
}

#[test]
fn job_has_sysctls_and_more_time_on_a_busy_host() {
    let bugs = Bugs::built_in();
    let bug = bugs.iter().next().expect("a bug");
    let mut tuned = profile("tuned", None);
    tuned.sysctls.insert("net.ipv4.tcp_sack".to_owned(), "0".to_owned());
    let job = |natural| trial(bug, &tuned).job(natural, 1);
    assert_eq!((job(false).id, job(false).bug), (format!("{}@tuned", bug.id), bug.id.to_string()));
    assert_eq!((job(true).natural, &job(true).sysctls), (true, &tuned.sysctls));
    assert!(job(true).deadline_ms > job(false).deadline_ms);
    let own = own_program();
    let job_of_own = Trial { program: Some(&own), ..trial(bug, &tuned) }.job(false, 1);
    assert_eq!((job(false).program, job_of_own.program), (None, Some(own.path())));
    let busy = trial(bug, &tuned).job(false, 4);
    assert_eq!(busy.deadline_ms, 4 * job(false).deadline_ms);
}

#[test]
fn program_whose_taint_or_leak_counts_has_its_own_guest() {
    use backproof_protocol::KernelBook::{Leaks, Taint};
    let own = own_program();
    for (crash, books) in [
        ("{ kinds: [oops], frames: [f] }", &[][..]),
        ("{ taint: [W] }", &[Taint]),
        ("{ kinds: [memory-leak], frames: [f] }", &[Leaks]),
        ("{ kinds: [memory-leak, oops], frames: [f], taint: [W] }", &[Taint, Leaks]),
    ] {
        let text = format!(
            "id: a-bug\ntitle: A bug\nsummary: It is there.\nreferences: [a test]\nreproducer:\n  program: ./x\n  deadline: \
             5s\n  crash: {crash}\n"
        );
        let bug = Bug::parse(&text, std::path::Path::new("a-bug.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
        let profiles = [profile("default", None), profile("sysctls", None)];
        let of = |profile| Trial { program: Some(&own), shares: true, ..trial(&bug, profile) };
        let trials: Vec<Trial> = profiles.iter().map(of).collect();
        assert_eq!(trials[0].job(false, 1).run.books, books, "{crash}");
        assert_eq!(by_guest(&trials).len(), if books.is_empty() { 1 } else { 2 }, "{crash}");
    }
}
