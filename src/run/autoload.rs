//! Loads what programs make their kernel request. On an installed system modprobe would do that; a guest has only the modules
//! that its dossiers name. So the requests are written down, and the jobs boot again with the modules that answer them.

use std::collections::BTreeMap;

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

/// Modules that a job was booted with because its own program made the kernel request them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoloaded {
    /// Their names, in loading order.
    pub modules: Vec<String>,
    /// The folders of the boots before, which lacked some of them.
    pub before: Vec<String>,
}

/// Boots a kernel until each job is settled, with the modules that its programs make the kernel request.
pub(super) async fn boot_with_requested(bench: &Bench<'_>, trials: &[Trial<'_>]) -> BTreeMap<JobId, Booted> {
    let mut jobs = boot_all(bench, trials).await;
    let mut loaded: Vec<Module> = bench.modules.to_vec();
    for _ in 0..ROUNDS_MAX {
        let is_asking = |trial: &&Trial| jobs.get(&trial.id()).is_some_and(is_open);
        let mut asking: Vec<Trial> = trials.iter().filter(is_asking).copied().collect();
        let requested = |trial: &Trial| jobs.get(&trial.id()).map(|booted| booted.settlement.requested.clone());
        let answers = answers(bench, asking.iter().filter_map(requested).collect()).await;
        // What each job is booted with because of its own requests.
        let mut own: BTreeMap<JobId, Vec<String>> = BTreeMap::new();
        let mut added: Vec<Module> = Vec::new();
        for (trial, found) in asking.iter().zip(answers) {
            for module in found.into_iter().filter(|module| !has(&loaded, module)) {
                own.entry(trial.id()).or_default().push(module.name.clone());
                if !has(&added, &module) {
                    added.push(module);
                }
            }
        }
        asking.retain(|trial| own.contains_key(&trial.id()));
        if asking.is_empty() {
            break;
        }
        let names: Vec<&str> = added.iter().map(|module| module.name.as_str()).collect();
        let text = format!("programs made the kernel request modules; booting again with {}", names.join(", "));
        let _ = bench.events.send(Event::Note { kernel: bench.entry.name.clone(), text });
        loaded.extend(added);
        let again = boot_all(&Bench { modules: &loaded, ..*bench }, &asking).await;
        for (job, booted) in again {
            let booted = match jobs.remove(&job) {
                Some(before) => booted.after(before, own.remove(&job).unwrap_or_default()),
                None => booted,
            };
            jobs.insert(job, booted);
        }
    }
    jobs
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
