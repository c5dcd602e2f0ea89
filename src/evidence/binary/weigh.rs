//! Weighs a kernel's machine code against a bug's signatures.

use super::Binary;
use super::facts::{self, Asked, Facts, Guard};
use super::function::Function;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::matrix::{Bug, Case, MachinePattern, Refusal, Signature, Upstream};
use crate::words::{Role, State};

/// What the machine code says about a bug.
///
/// Each of the bug's `binary:` signatures is about one function; those that say something narrow each other down. The
/// finding leaves all states, with the reason, where nothing could be seen or nothing that is seen is known.
pub fn weigh(bug: &Bug, binary: &Binary) -> Finding {
    if bug.binary.is_empty() {
        return Finding::unknown(Witness::Binary, format!("no signature of {} is known for machine code", bug.id));
    }
    let mut states = StateSet::all();
    let mut reasons = Vec::new();
    let mut silent = Vec::new();
    for signature in &bug.binary {
        match judge(signature, binary) {
            Ok((possible, why)) => {
                states = states.and(possible);
                reasons.push(why);
            }
            Err(why) => silent.push(why),
        }
    }
    if reasons.is_empty() {
        return Finding::unknown(Witness::Binary, silent.join("; "));
    }
    if states.is_empty() {
        return Finding::unknown(
            Witness::Binary,
            format!("what the functions look like contradicts each other: {}", reasons.join("; ")),
        );
    }
    let states = without_impossible(states, bug, binary.release());
    if states == StateSet::all() {
        Finding::unknown(Witness::Binary, reasons.join("; "))
    } else {
        let (witness, strength, why) = (Witness::Binary, Strength::Strong, reasons.join("; "));
        Finding { witness, states, strength, why, mitigated: false, artefacts: Vec::new() }
    }
}

/// What one function says, or why it says nothing.
fn judge(signature: &Signature, binary: &Binary) -> Result<(StateSet, String), String> {
    let name = &signature.function;
    let cases = &signature.cases;
    let symbols = binary.symbols.as_ref().map_err(|error| format!("{name} was not found in the image: {error}"))?;
    let function = Function::read(name, &binary.memory, symbols).map_err(|error| format!("{name} {error}"))?;
    let facts = facts::analyse(&function).ok_or_else(|| format!("{name} is too long a function to follow"))?;
    let seen = Seen { binary, function: &function, facts: &facts };
    let place = format!("{name} at {:#x} ({} bytes)", function.entries[0], function.length);
    match cases.iter().find(|case| seen.fits(case)) {
        Some(case) => {
            let states = case.states.iter().copied().collect();
            Ok((states, format!("{place} {}: {}", seen.describe(cases), case.says)))
        }
        None => Err(format!("{place} {}, which is like none of the known forms", seen.describe(cases))),
    }
}

/// One function, as it was understood.
struct Seen<'a> {
    binary: &'a Binary,
    function: &'a Function,
    facts: &'a Facts,
}

impl Seen<'_> {
    fn fits(&self, case: &Case) -> bool {
        case.has.iter().all(|pattern| self.has(pattern)) && !case.lacks.iter().any(|pattern| self.has(pattern))
    }

    fn has(&self, pattern: &MachinePattern) -> bool {
        match pattern {
            MachinePattern::Text(text) => self.binary.has_string(text),
            MachinePattern::Calls(name) => self.function.calls.values().any(|names| names.contains(name)),
            MachinePattern::Adds(numbers) => self.facts.numbers.iter().any(|number| numbers.contains(number)),
            MachinePattern::Halves => self.facts.halves,
            MachinePattern::Sums { argument, at, shift } => {
                self.facts.uses.get(&(*argument, *at)).is_some_and(|uses| {
                    // A clone's arguments are not the source's.
                    !self.function.cloned && uses.sums == 1 && uses.others == 0 && uses.shifts.contains(shift)
                })
            }
            MachinePattern::Guard { plus, then } => {
                self.facts.guards.iter().any(|guard| plus.contains(&guard.plus) && refuses(guard, *then))
            }
        }
    }

    /// What was seen of that which the patterns ask for, with its figures. Reads well after the function's name.
    fn describe(&self, cases: &[Case]) -> String {
        let asked = || cases.iter().flat_map(|case| case.has.iter().chain(&case.lacks));
        let mut parts = Vec::new();
        if asked().any(|pattern| matches!(pattern, MachinePattern::Guard { .. })) {
            parts.extend(self.facts.guards.iter().map(describe_guard));
            if parts.is_empty() {
                parts.push("compares no half of a field with another".to_owned());
            }
        }
        let mut places: Vec<_> = asked()
            .filter_map(|pattern| match pattern {
                MachinePattern::Sums { argument, at, .. } => Some((*argument, *at)),
                _ => None,
            })
            .collect();
        places.dedup();
        parts.extend(places.into_iter().map(|(argument, at)| {
            let (sums, others) = self.facts.uses.get(&(argument, at)).map_or((0, 0), |uses| (uses.sums, uses.others));
            format!("adds or subtracts the field {at:#x} behind its argument {argument} {sums}×, and uses it {others}× otherwise")
        }));
        if parts.is_empty() { "was read".to_owned() } else { parts.join(", ") }
    }
}

fn describe_guard(guard: &Guard) -> String {
    let plus = if guard.plus == 0 { String::new() } else { format!(" plus {:#x}", guard.plus) };
    let then = match &guard.refusal {
        None => String::new(),
        Some(Asked::Nothing) => " and returns -ENOMEM at once".to_owned(),
        Some(Asked::Something { arguments, spared }) => {
            let asked = match arguments.iter().map(u8::to_string).collect::<Vec<_>>() {
                none if none.is_empty() => "after asking more".to_owned(),
                some => format!("after looking at its argument {}", some.join(" and ")),
            };
            let spared = match spared {
                0 => String::new(),
                some => format!(", unless an argument is one of {some} that it looks up"),
            };
            format!(" and returns -ENOMEM {asked}{spared}")
        }
    };
    let Guard { half, field, address, .. } = guard;
    format!("compares half of the field at {half:#x} with the one at {field:#x}{plus} (at {address:#x}){then}")
}

fn refuses(guard: &Guard, then: Option<Refusal>) -> bool {
    match (then, &guard.refusal) {
        (None, _)
        | (Some(Refusal::Straight), Some(Asked::Nothing))
        | (Some(Refusal::Asking), Some(Asked::Something { .. })) => true,
        (Some(Refusal::AskingArgument(number)), Some(Asked::Something { arguments, .. })) => {
            arguments.contains(&number)
        }
        (Some(Refusal::Sparing(number)), Some(Asked::Something { spared, .. })) => *spared >= usize::from(number),
        _ => false,
    }
}

/// Takes out `fixed-with-defect` where the kernel is too new for it: backports of the fix have the defect only before
/// the version that the dossier's `fix-of-fix` names.
fn without_impossible(states: StateSet, bug: &Bug, release: &str) -> StateSet {
    let step = bug.chain.iter().find(|step| step.role == Role::FixOfFix);
    let own = Upstream::prefix(release).map(|(own, ..)| own.line());
    match step.and_then(|step| step.only_before).zip(own) {
        Some((bound, own)) if own >= bound.line() => {
            states.iter().filter(|state| *state != State::FixedWithDefect).collect()
        }
        _ => states,
    }
}

#[cfg(test)]
#[path = "weigh_tests.rs"]
mod tests;
