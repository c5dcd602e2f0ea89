//! The witness `binary` on real kernels: those of the default matrix, and all control kernels, whose states are known.

use std::path::{Path, PathBuf};

use backproof::evidence::binary::{Binary, weigh};
use backproof::evidence::{Finding, StateSet, Strength};
use backproof::kernel::{Obtain, Store, obtain};
use backproof::matrix::{self, Bugs, KernelEntry, Source};
use backproof::recipe::Recipes;
use backproof::shim::Shim;
use backproof::words::{Expectation, Outcome};

mod common;
use common::Lab;

/// The kernels of the repository's matrix, or its control kernels: the entry, and its image. Optional kernels that are
/// no longer served are left out.
fn kernels(controls: bool) -> Vec<(KernelEntry, PathBuf)> {
    let bugs = Bugs::built_in();
    let matrix = matrix::parse(include_str!("../kernels.yaml"), "kernels.yaml".as_ref(), &bugs).expect("the matrix");
    let store = Store::open(None).expect("the cache");
    let shim = Shim::at(env!("CARGO_BIN_EXE_backproof").into());
    let with = Obtain { store: &store, shim: &shim, offline: false, refresh: false, locked: None, tell: &|_| {} };
    let opt_in = matrix.opt_in;
    // Opt-in kernels come from archives that a test cannot reach.
    let runs = |kernel: &KernelEntry| kernel.tags.is_disjoint(&opt_in);
    let wanted = matrix.kernels.into_iter().filter(|kernel| if controls { kernel.is_control() } else { runs(kernel) });
    let obtained = wanted.filter_map(|entry| match obtain(&entry.source, &with) {
        Ok(kernel) => Some((entry, kernel.image)),
        Err(error) if entry.optional && error.is_gone() => None,
        Err(error) => panic!("{}: {error}", entry.name),
    });
    obtained.collect()
}

/// The findings of all bugs for an image.
fn judge(name: &str, image: &Path) -> Vec<(String, Finding)> {
    let binary = Binary::open(image).unwrap_or_else(|error| panic!("{name}: {error}"));
    Bugs::built_in().iter().map(|bug| (bug.id.to_string(), weigh(bug, &binary))).collect()
}

/// Fails if a finding excludes the true state.
#[track_caller]
fn is_true(name: &str, bug: &str, finding: &Finding, truth: Expectation) {
    let possible = match truth {
        Expectation::State(state) => finding.states.contains(state),
        Expectation::Outcome(Outcome::Fail) => !finding.states.and(StateSet::affected()).is_empty(),
        Expectation::Outcome(Outcome::Pass) => !finding.states.and(StateSet::not_affected()).is_empty(),
        Expectation::Outcome(_) => true,
    };
    assert!(possible, "{name} {bug}: {truth:?}, and not {finding:?}");
    let knows = finding.states != StateSet::all();
    assert_eq!(finding.strength, if knows { Strength::Strong } else { Strength::Weak }, "{name} {bug}: {finding:?}");
    assert!(!finding.why.is_empty());
}

/// Whether the states decide between affected and not affected.
fn decides(finding: &Finding) -> bool {
    finding.states.and(StateSet::affected()).is_empty() != finding.states.and(StateSet::not_affected()).is_empty()
}

#[test]
fn matrix_kernels_are_judged_correctly_without_a_boot() {
    let kernels = kernels(false);
    assert!(kernels.len() >= 3, "most of the matrix is gone");
    for (entry, image) in kernels {
        for (bug, finding) in judge(entry.name.as_str(), &image) {
            is_true(entry.name.as_str(), &bug, &finding, entry.expected(&bug.parse().expect("a name")));
            assert!(decides(&finding), "{} {bug}: {finding:?}", entry.name);
        }
    }
}

#[test]
fn every_control_is_judged_correctly_without_a_boot() {
    Lab::with_matrix(include_str!("../kernels.yaml")).run(&["controls", "build"]).ends_with(0);
    let kernels = kernels(true);
    assert_eq!(kernels.len(), Recipes::built_in().pairs().count());
    let mut words = Vec::new();
    for (entry, image) in &kernels {
        let name = entry.name.as_str();
        let Source::Control { control, .. } = &entry.source else { panic!("{name} is no control") };
        for (bug, finding) in judge(name, image) {
            // A cell is skipped if the kernel lacks an option that its reproducer needs; the code is the stock
            // kernel's.
            let truth = match entry.expected(&bug.parse().expect("a name")) {
                Expectation::Outcome(Outcome::Skip) if control.as_str() != "no-syn-cookies" => {
                    let stock = kernels.iter().find(|(other, _)| is_stock(other, entry)).expect("a stock kernel");
                    stock.0.expected(&bug.parse().expect("a name"))
                }
                truth => truth,
            };
            is_true(name, &bug, &finding, truth);
            if control.as_str().ends_with("-no-kallsyms") {
                assert!(!decides(&finding) && finding.why.contains("without CONFIG_KALLSYMS"), "{name}: {finding:?}");
                continue;
            }
            if bug != "syn-cookie-data-loss" {
                assert!(decides(&finding), "{name} {bug}: {finding:?}");
            }
            if bug == "tcp-fragment-stall" {
                words.extend(finding.states.only());
            }
            // A kernel unlike all known ones must not be judged.
            if bug == "syn-cookie-data-loss" {
                let strange = ["syn-cookie-strict", "no-syn-cookies"].contains(&control.as_str());
                assert_eq!(decides(&finding), !strange, "{name}: {finding:?}");
            }
        }
    }
    // All steps that the controls change were distinguished.
    for state in ["never-had", "affected", "half-fixed"] {
        assert!(words.iter().any(|word| word.as_str() == state), "{state} was never said: {words:?}");
    }
}

/// A release is only a hint, so it must not decide if the code is unreadable.
#[test]
fn image_without_symbols_needs_a_boot_for_a_verdict() {
    let lab = Lab::with_matrix(include_str!("../kernels.yaml"));
    lab.run(&["controls", "build", "--line", "6.1"]).ends_with(0);
    let unreadable = kernels(true).into_iter().filter(|(entry, _)| entry.name.as_str().ends_with("-no-kallsyms"));
    let images: Vec<_> = unreadable.map(|(_, image)| image).collect();
    assert_eq!(images.len(), 2);
    for image in &images {
        let image = image.to_str().expect("a path");
        let ran = lab.run(&["affected", image, "--bug", "tcp-fragment-stall", "--explain"]);
        ran.ends_with(3);
        // However the lines are wrapped.
        let said: Vec<&str> = ran.stdout.split_whitespace().collect();
        assert!(said.join(" ").contains("without CONFIG_KALLSYMS"), "{}", ran.stdout);
    }
}

fn is_stock(entry: &KernelEntry, of: &KernelEntry) -> bool {
    match (&entry.source, &of.source) {
        (Source::Control { control, line }, Source::Control { line: wanted, .. }) => {
            control.as_str() == "stock" && line == wanted
        }
        _ => false,
    }
}

#[test]
fn damaged_kernel_is_an_error_or_judged_correctly() {
    let kernels = kernels(false);
    let (_, image) = kernels.iter().find(|(entry, _)| entry.name.as_str() == "debian-12").expect("Debian 12");
    let whole = std::fs::read(image).expect("its image");
    for part in [0, 1, 100, 600, 5_000, whole.len() / 100, whole.len() / 2, whole.len() - 100_000] {
        let error = Binary::read(whole[..part].to_vec()).map(|binary| binary.release().to_owned());
        assert!(error.is_err(), "{part} bytes: {error:?}");
    }
    let bugs = Bugs::built_in();
    let stall = bugs.get(&"tcp-fragment-stall".parse().expect("a name")).expect("the bug");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..5 {
        let mut damaged = whole.clone();
        for _ in 0..3 {
            // xorshift64 gives the same places in every run.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = state as usize % damaged.len();
            damaged[at] ^= 0x10;
        }
        if let Ok(binary) = Binary::read(damaged) {
            let finding = weigh(stall, &binary);
            assert!(!finding.states.and(StateSet::not_affected()).is_empty(), "{finding:?}");
        }
    }
}
