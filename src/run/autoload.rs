//! Loads what programs make their kernel request. On an installed system modprobe would do that; a guest has only the modules
//! that its dossiers name. So the requests are written down, and each job boots again with the modules that answer its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::boots::{Bench, Booted, boot_all};
use super::event::Event;
use super::settle::Settlement;
use super::trial::Trial;
use crate::kernel::Module;
use crate::verdict::Boots;
use crate::words::JobId;

/// How often a job may boot again: a protocol's module may request that of a transport, and so on.
const ROUNDS_MAX: usize = 3;

/// The most bytes of modules to add for one job.
const ADDED_MAX: usize = 64 << 20;

/// Modules that a job was booted with because its own program made the kernel request them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoloaded {
    /// Their names, in loading order. Some may have refused to load, such as those for another processor.
    pub modules: Vec<String>,
    /// The folders of the boots before, which lacked some of them.
    pub before: Vec<String>,
}

/// Boots a kernel until each job is settled, with the modules that its program makes the kernel request.
pub(super) async fn boot_with_requested(bench: &Bench<'_>, trials: &[Trial<'_>]) -> BTreeMap<JobId, Booted> {
    let mut jobs = boot_all(bench, trials).await;
    let mut added: BTreeMap<JobId, Vec<Module>> = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let is_asking = |trial: &&Trial| jobs.get(&trial.id()).is_some_and(is_open);
        let asking: Vec<Trial> = trials.iter().filter(is_asking).copied().collect();
        let requested = |trial: &Trial| jobs.get(&trial.id()).map(|booted| booted.settlement.requested.clone());
        let answers = answers(bench, asking.iter().filter_map(requested).collect()).await;
        let mut new: BTreeMap<JobId, Vec<String>> = BTreeMap::new();
        for (trial, found) in asking.iter().zip(answers) {
            let own = added.entry(trial.id()).or_default();
            for module in found {
                let bytes: usize = own.iter().map(|known| known.bytes.len()).sum();
                let is_new = !has(bench.modules, &module) && !has(own, &module);
                if is_new && bytes.saturating_add(module.bytes.len()) <= ADDED_MAX {
                    new.entry(trial.id()).or_default().push(module.name.clone());
                    own.push(module);
                }
            }
        }
        let with_added = |trial: &Trial<'_>| new.contains_key(&trial.id()).then(|| added.get(&trial.id())).flatten();
        let again = asking.iter().filter_map(|trial| Some(Trial { added: with_added(trial)?, ..*trial }));
        let again: Vec<Trial> = again.collect();
        if again.is_empty() {
            break;
        }
        let names: BTreeSet<&str> = new.values().flatten().map(String::as_str).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let text = format!("programs made the kernel request modules; booting again with {}", names.join(", "));
        let _ = bench.events.send(Event::Note { kernel: bench.entry.name.clone(), text });
        for (job, booted) in boot_all(bench, &again).await {
            let booted = match jobs.remove(&job) {
                Some(before) => booted.after(before, new.remove(&job).unwrap_or_default()),
                None => booted,
            };
            jobs.insert(job, booted);
        }
    }
    jobs
}

/// The modules to load for these trials: those of all, and those that their programs made the kernel request.
pub(super) fn modules_of(all: &[Module], trials: &[Trial<'_>]) -> Vec<Module> {
    let mut modules = all.to_vec();
    for module in trials.iter().flat_map(|trial| trial.added) {
        if !has(&modules, module) {
            modules.push(module.clone());
        }
    }
    modules
}

fn has(modules: &[Module], module: &Module) -> bool {
    modules.iter().any(|known| known.name == module.name)
}

/// Whether the kernel requested modules that could change what a job showed.
fn is_open(booted: &Booted) -> bool {
    let Settlement { boots, requested, .. } = &booted.settlement;
    !requested.is_empty() && !matches!(boots, Boots::Showed(finding) if finding.is_affected())
}

/// The modules that answer the requests of each job, in loading order.
async fn answers(bench: &Bench<'_>, requested: Vec<Vec<String>>) -> Vec<Vec<Module>> {
    if requested.is_empty() {
        return Vec::new();
    }
    let kernel = bench.kernel.clone();
    let answer = move || requested.iter().map(|names| kernel.modules_on_request(names)).collect();
    // Thousands of modules may have to be read for their aliases.
    tokio::task::spawn_blocking(answer).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::positive_control::tests::{booted, showed};
    use super::super::trial::tests::trial;
    use super::*;
    use crate::evidence::{StateSet, Strength};

    fn of(boots: Boots, folder: &str) -> Booted {
        Booted { folders: vec![folder.to_owned()], ..booted(boots, None) }
    }

    fn silent() -> Boots {
        showed(StateSet::not_affected(), Strength::Weak)
    }

    #[test]
    fn boot_with_modules_is_the_last_word() {
        let broke = || Boots::Broke("it died\n[ 1.0] last line".to_owned());
        let affected = || showed(StateSet::affected(), Strength::Weak);
        let after = |now, before| of(now, "boot-2").after(of(before, "boot-1"), vec!["rds".to_owned()]);
        let loaded = Autoloaded { modules: vec!["rds".to_owned()], before: vec!["boot-1".to_owned()] };
        // A crash with the modules is no pass, whatever the boot without them showed.
        let table = [
            (affected(), silent()),
            (silent(), silent()),
            (silent(), broke()),
            (broke(), broke()),
            (broke(), silent()),
        ];
        for (now, before) in table {
            let merged = after(now.clone(), before);
            assert_eq!(format!("{:?}", merged.settlement.boots), format!("{now:?}"));
            assert_eq!(merged.autoloaded.as_ref(), Some(&loaded));
            assert_eq!((merged.folders, merged.seconds), (vec!["boot-1".to_owned(), "boot-2".to_owned()], 2.0));
        }
    }

    #[test]
    fn only_open_questions_are_asked_again() {
        let with = |boots, requested: &[&str]| {
            let mut one = of(boots, "boot-1");
            one.settlement.requested = requested.iter().map(|&name| name.to_owned()).collect();
            is_open(&one)
        };
        assert!(with(silent(), &["net-pf-21"]) && with(Boots::Broke("x".to_owned()), &["net-pf-21"]));
        assert!(!with(silent(), &[]) && !with(showed(StateSet::affected(), Strength::Weak), &["net-pf-21"]));
    }

    #[test]
    fn guest_has_each_module_once() {
        let module = |name: &str| Module { name: name.to_owned(), bytes: Vec::new() };
        let (all, own) = ([module("tun")], [module("tun"), module("rds")]);
        let bug = crate::matrix::Bugs::built_in().iter().next().cloned().expect("a bug");
        let profile = crate::matrix::Profile::default_for(vec![bug.id.clone()]);
        let trial = Trial { added: &own, ..trial(&bug, &profile) };
        let names = |modules: Vec<Module>| modules.into_iter().map(|module| module.name).collect::<Vec<_>>();
        assert_eq!(names(modules_of(&all, &[trial, trial])), ["tun", "rds"]);
        assert_eq!(names(modules_of(&all, &[Trial { added: &[], ..trial }])), ["tun"]);
    }
}
