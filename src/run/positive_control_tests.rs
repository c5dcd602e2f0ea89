use super::*;
use crate::evidence::{Finding, StateSet, Witness};
use crate::guest::GuestProgram;
use crate::matrix::{Bug, BuildOrigin, Profile, ReproducerSpec};
use crate::run::reach::CellReach;
use crate::run::settle::Settlement;

fn source(patches: &[&Path], revert: &[&Path]) -> BuildSource {
    let all = |paths: &[&Path]| paths.iter().map(|path| (*path).to_owned()).collect();
    let plain = BuildSource::plain(BuildOrigin::Tree("linux".into()));
    BuildSource { patches: all(patches), revert: all(revert), ..plain }
}

#[test]
fn patch_is_left_out_or_taken_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let (fix, copy, other) = (file("fix", "a change"), file("copy", "a change"), file("other", "another"));
    let gone = folder.path().join("gone");
    for (before, after) in [
        (source(&[], &[]), source(&[], &[&fix])),
        (source(&[&fix, &other], &[]), source(&[&other], &[])),
        (source(&[&copy], &[]), source(&[], &[])),
        (source(&[&other], &[&other]), source(&[&other], &[&other, &fix])),
    ] {
        assert_eq!(source_without(&before, &fix), after, "{before:?}");
    }
    // What cannot be read is not the same as something else that cannot be read.
    assert_eq!(source_without(&source(&[&gone], &[]), Path::new("/nonexistent")).patches, [gone]);
    // Opening a FIFO would wait for its writer.
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    assert_eq!(source_without(&source(&[&pipe], &[]), &fix).patches, [pipe]);
}

pub(in crate::run) fn booted(boots: Boots, seeds: Option<(u32, u32)>) -> Booted {
    let settlement = Settlement {
        boots,
        checks: Vec::new(),
        wire: Default::default(),
        crash: None,
        said: Vec::new(),
        guest_ms: None,
        fault: None,
        requested: Vec::new(),
    };
    Booted {
        settlement,
        release: None,
        folders: vec!["boot-2".to_owned()],
        seconds: 1.0,
        unexplained: None,
        shared_with: Vec::new(),
        cached: None,
        differs: None,
        seeds: seeds.map(|(affected, tried)| SeedCount { tried, affected, first: None, broken: 0 }),
        reach: CellReach::new(),
        positive_control: None,
        autoloaded: None,
        retried: Vec::new(),
    }
}

pub(in crate::run) fn showed(states: StateSet, strength: Strength) -> Boots {
    Boots::Showed(Finding::new(Witness::Runtime, states, strength, "exited"))
}

/// What a pass under this many seeds comes to beside a control of this kind: its strength (None without a verdict), and why.
fn told(kind: PositiveControl, control: Result<Booted, String>, silent: Option<u32>) -> (Option<Strength>, String) {
    let bug: BugId = "a-bug".parse().expect("a name");
    let dossier = Bug::of_program(Path::new("/bin/a-bug")).expect("a bug");
    let reproducer: ReproducerSpec = dossier.reproducer.expect("a reproducer");
    let profile = Profile::default_for(vec![bug.clone()]);
    let trial = Trial {
        bug: &bug,
        reproducer: &reproducer,
        program: None::<&GuestProgram>,
        profile: &profile,
        shares: false,
        strings: &[],
        added: &[],
    };
    let planned = PlannedControl { reproducer: reproducer.clone(), program: None, kind };
    let mut pass = booted(showed(StateSet::not_affected(), Strength::Weak), silent.map(|tried| (0, tried)));
    tell(&Unproven { trial, control: &planned }, control, &mut pass);
    assert!(pass.positive_control.is_some());
    match pass.settlement.boots {
        Boots::Showed(finding) => (Some(finding.strength), finding.why),
        Boots::Broke(reason) => (None, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn control_proves_refutes_or_leaves_a_pass() {
    let without = || PositiveControl::Without("fix.patch".into());
    let program = || PositiveControl::Program { path: "/x/shows".into(), args: vec!["it".to_owned()] };
    let bad = || showed(StateSet::affected(), Strength::Weak);
    let good = || showed(StateSet::not_affected(), Strength::Weak);
    let (weak, strong) = (Some(Strength::Weak), Some(Strength::Strong));
    for (kind, control, silent, strength, why) in [
        (
            without(),
            Ok(booted(bad(), Some((5, 5)))),
            Some(5),
            strong,
            "this kernel without fix.patch shows the bug: exited",
        ),
        // A single boot of each, and too few.
        (without(), Ok(booted(bad(), None)), None, weak, "may be chance: --seeds 5 suffices"),
        (without(), Ok(booted(bad(), Some((3, 3)))), Some(3), weak, "may be chance: --seeds 5 suffices"),
        (program(), Ok(booted(bad(), None)), None, strong, "`shows it` shows the bug: exited"),
        (program(), Ok(booted(good(), None)), None, None, "`shows it` must show the bug, but does not: exited"),
        (without(), Err("no\nspace".to_owned()), None, weak, "(this kernel without fix.patch) has no result: no"),
        (without(), Ok(booted(Boots::Broke("hung".to_owned()), None)), None, weak, "has no result: hung"),
        (without(), Ok(booted(bad(), Some((1, 10)))), Some(10), weak, "may be chance: --seeds "),
        (without(), Ok(booted(bad(), Some((40, 400)))), Some(400), strong, "shows the bug"),
        (without(), Ok(booted(bad(), Some((10, 10)))), Some(10), strong, "shows the bug"),
        // How often another program shows something says nothing of this one.
        (program(), Ok(booted(bad(), Some((1, 10)))), Some(10), strong, "shows the bug"),
    ] {
        let (found, said) = told(kind, control, silent);
        assert!(found == strength && said.contains(why), "{found:?} {said}");
    }
}
