//! How often kernel functions were entered while a reproducer ran.

use std::collections::BTreeMap;
use std::fmt;

use backproof_protocol::{FunctionEntries, Reach};
use serde::{Deserialize, Serialize};

use super::boot_end::guest_words;
use crate::evidence::Strength;
use crate::verdict::Boots;

/// How often a function was entered in all boots of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionReach {
    /// The boots that counted it.
    pub boots: u32,
    /// Its entries in all of them.
    pub entries: u64,
    /// Why a boot did not count it, if one did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<String>,
}

/// How often each function of [`RunPlan::reach`](super::RunPlan::reach) was entered, by name.
pub type CellReach = BTreeMap<String, FunctionReach>;

impl FunctionReach {
    /// Whether it was entered: known if it was, or if every boot counted.
    pub fn was_entered(&self) -> Option<bool> {
        if self.entries > 0 {
            return Some(true);
        }
        (self.boots > 0 && self.not_counted.is_none()).then_some(false)
    }

    fn add(&mut self, counted: &Result<u64, String>) {
        match counted {
            Ok(entries) => {
                self.boots = self.boots.saturating_add(1);
                self.entries = self.entries.saturating_add(*entries);
            }
            Err(why) => _ = self.not_counted.get_or_insert_with(|| why.clone()),
        }
    }
}

/// `never ran`, `ran 14 times in 3 boots`, `not counted: …`.
impl fmt::Display for FunctionReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.not_counted.as_deref();
        match (self.boots, self.entries) {
            (0, _) => return write!(f, "not counted: {}", why.unwrap_or("no boot finished")),
            (_, 0) => f.write_str("never ran")?,
            (_, 1) => f.write_str("ran once")?,
            (_, entries) => write!(f, "ran {entries} times")?,
        }
        if self.boots > 1 {
            write!(f, " in {} boots", self.boots)?;
        }
        why.map_or(Ok(()), |why| write!(f, "; not counted in others: {why}"))
    }
}

/// What one boot counted of a job: entries of each function, or why there are none. `said` comes from the guest, so only
/// functions that were asked for are kept.
pub(super) fn counted(asked: &[String], said: Option<&Reach>) -> BTreeMap<String, Result<u64, String>> {
    let of = |name: &String| match said {
        None => Err("the reproducer did not run to its end".to_owned()),
        Some(Reach { unavailable: Some(why), .. }) => Err(guest_words(why)),
        Some(Reach { functions, .. }) => match functions.get(name) {
            None => Err("the guest did not count it".to_owned()),
            // A missed entry is an entry.
            Some(FunctionEntries::Counted { entries, missed }) => Ok(entries.saturating_add(*missed)),
            Some(FunctionEntries::NotCounted(why)) => Err(guest_words(why)),
        },
    };
    asked.iter().map(|name| (name.clone(), of(name))).collect()
}

/// The sum of all boots of a job.
pub(super) fn sum<'a>(boots: impl Iterator<Item = &'a BTreeMap<String, Result<u64, String>>>) -> CellReach {
    let mut reach = CellReach::new();
    for (name, counted) in boots.flatten() {
        reach.entry(name.clone()).or_default().add(counted);
    }
    reach
}

/// Adds to a finding whether the functions ran that a dossier names. Without them, silence shows nothing.
pub(super) fn tell_reach(wanted: &[String], counted: &CellReach, boots: &mut Boots) {
    let Boots::Showed(finding) = boots else { return };
    if wanted.is_empty() || finding.is_affected() || finding.strength != Strength::Weak {
        return;
    }
    let counted: Vec<_> = wanted.iter().filter_map(|name| Some((name, counted.get(name)?))).collect();
    let shown: Vec<String> = counted.iter().map(|(name, reach)| format!("{name} {reach}")).collect();
    if !counted.is_empty() && counted.iter().all(|(_, reach)| reach.was_entered() == Some(false)) {
        let why = format!("its silence shows nothing, because it did not reach the code: {}", shown.join(", "));
        *boots = Boots::Broke(why);
    } else {
        finding.why += &format!("; {}", shown.join(", "));
    }
}
