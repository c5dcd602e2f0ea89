//! Weighs a kernel's machine code against a bug's signatures.

use super::Binary;
use super::clocks::Clock;
use super::facts::{self, CodeFacts};
use super::function::MachineFunction;
use super::guards::{Guard, GuardRefusal};
use crate::evidence::{Finding, Limit, StateSet, Strength, Witness};
use crate::matrix::{Bug, MachinePattern, Refusal, Signature, SignatureCase, TellingString, Upstream};
use crate::words::{Role, State};

/// Weighs a kernel's machine code for a bug.
///
/// Each of the bug's `binary:` signatures is about one function. All results, and the bug's `strings:`, which need no
/// symbols, narrow the states together. If nothing could be seen, or nothing known was seen, the finding leaves all
/// states and gives the reason.
pub fn weigh(bug: &Bug, binary: &Binary) -> Finding {
    let strings: Vec<&TellingString> = bug.strings.iter().filter(|string| binary.has_string(&string.text)).collect();
    if bug.binary.is_empty() && strings.is_empty() {
        return Finding::aside(Witness::Binary, format!("the dossier of {} has no binary signature", bug.id));
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
    for string in strings {
        states = states.and(string.excluded().complement());
        reasons.push(format!("the image has the string {}: {}", string.text, string.says));
    }
    let (bad, good) = (states.and(StateSet::affected()), states.and(StateSet::not_affected()));
    if !bad.is_empty() && !good.is_empty() {
        // Reasons for seeing nothing matter only if the rest decides nothing.
        reasons.extend(silent);
    }
    if states == StateSet::all() {
        return Finding::unknown(Witness::Binary, reasons.join("; "));
    }
    if states.is_empty() {
        return Finding::unknown(
            Witness::Binary,
            format!("the functions contradict each other: {}", reasons.join("; ")),
        );
    }
    let states = without_impossible(states, bug, binary.release());
    // Without a signature only strings were checked, not the code.
    let limit = bug.binary.is_empty().then_some(Limit::Aside);
    Finding { limit, ..Finding::new(Witness::Binary, states, Strength::Strong, reasons.join("; ")) }
}

/// The states and the reason from one function, or why there are none.
fn judge(signature: &Signature, binary: &Binary) -> Result<(StateSet, String), String> {
    let name = &signature.function;
    let cases = &signature.cases;
    let symbols = binary.symbols.as_ref().map_err(|error| format!("{name} was not found in the image: {error}"))?;
    let function = MachineFunction::read(name, &binary.memory, symbols).map_err(|error| format!("{name} {error}"))?;
    let facts = facts::analyse(&function).ok_or_else(|| format!("{name} is too long to analyse"))?;
    let seen = FunctionReading { binary, function: &function, facts: &facts };
    let place = format!("{name} at {:#x} ({} bytes)", function.entries[0], function.length);
    for case in cases {
        match seen.fits(case) {
            Ok(true) => {
                let states = case.states.iter().copied().collect();
                return Ok((states, format!("{place} {}: {}", seen.describe(cases), case.says)));
            }
            Ok(false) => {}
            Err(why) => return Err(format!("{place} {}: {why}", seen.describe(cases))),
        }
    }
    Err(format!("{place} {}, which is none of the known forms", seen.describe(cases)))
}

/// The analysis of one function.
struct FunctionReading<'a> {
    binary: &'a Binary,
    function: &'a MachineFunction,
    facts: &'a CodeFacts,
}

impl FunctionReading<'_> {
    /// Whether it fits the case, or why that is unknown. A clear mismatch ends the check early.
    fn fits(&self, case: &SignatureCase) -> Result<bool, String> {
        let wanted = case.has.iter().map(|pattern| (pattern, true));
        let mut doubt = None;
        for (pattern, wanted) in wanted.chain(case.lacks.iter().map(|pattern| (pattern, false))) {
            match self.has(pattern) {
                Ok(has) if has != wanted => return Ok(false),
                Ok(_) => {}
                Err(why) => doubt = Some(why),
            }
        }
        doubt.map_or(Ok(true), Err)
    }

    fn has(&self, pattern: &MachinePattern) -> Result<bool, String> {
        Ok(match pattern {
            MachinePattern::Elapsed(name) => self.clocks(name).next().is_some(),
            MachinePattern::Forgotten(by) => {
                let Some(clock) = self.facts.clocks.first() else { return Ok(false) };
                return self.forgotten(clock, by);
            }
            MachinePattern::Text(text) => self.binary.has_string(text),
            MachinePattern::Calls(name) => self.function.calls.values().flatten().any(|called| is_of(called, name)),
            MachinePattern::Adds(numbers) => self.facts.numbers.iter().any(|number| numbers.contains(number)),
            MachinePattern::Halves => self.facts.halves,
            MachinePattern::Sums { argument, at, shift } => {
                self.facts.uses.get(&(*argument, *at)).is_some_and(|uses| {
                    // A clone's arguments differ from the source's.
                    !self.function.cloned && uses.sums == 1 && uses.others == 0 && uses.shifts.contains(shift)
                })
            }
            MachinePattern::Guard { plus, then } => {
                self.facts.guards.iter().any(|guard| plus.contains(&guard.plus) && refuses(guard, *then))
            }
        })
    }

    /// The clocks whose limit this function computes. A clone's arguments differ from the source's.
    fn clocks<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Clock> {
        let all = self.facts.clocks.iter().filter(|_| !self.function.cloned);
        all.filter(move |clock| {
            let makes = self.function.calls.get(&clock.limit).is_some_and(|names| names.contains(name));
            clock.since.0 == 1 && makes && self.facts.notes(clock.time, clock.since)
        })
    }

    /// Whether another function resets a clock's start time, or why that is unknown.
    fn forgotten(&self, clock: &Clock, by: &str) -> Result<bool, String> {
        let symbols = self.binary.symbols.as_ref().map_err(|error| format!("{by} was not found: {error}"))?;
        let other = MachineFunction::read(by, &self.binary.memory, symbols).map_err(|error| format!("{by} {error}"))?;
        let facts = facts::analyse(&other).ok_or_else(|| format!("{by} is too long to analyse"))?;
        let forgets = facts.forgets(&other, clock.time, clock.since);
        forgets.ok_or_else(|| format!("it is unknown whether {by} resets the field at {:#x}", clock.since.1))
    }

    /// Describes the observations that the patterns ask for. Reads well after the function's name.
    fn describe(&self, cases: &[SignatureCase]) -> String {
        let asked = || cases.iter().flat_map(|case| case.has.iter().chain(&case.lacks));
        let mut parts = Vec::new();
        if asked().any(|pattern| matches!(pattern, MachinePattern::Guard { .. })) {
            parts.extend(self.facts.guards.iter().map(describe_guard));
            if parts.is_empty() {
                parts.push("never compares half of a field with another".to_owned());
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
            format!(
                "adds or subtracts the field at {at:#x} of argument {argument} {sums}×, and uses it {others}× otherwise"
            )
        }));
        if asked().any(|pattern| matches!(pattern, MachinePattern::Elapsed(_))) {
            let since = |clock: &Clock| {
                format!("compares the time since the field at {:#x} was set with a limit", clock.since.1)
            };
            parts.extend(self.facts.clocks.iter().map(since));
        }
        if parts.is_empty() { "was read".to_owned() } else { parts.join(", ") }
    }
}

/// Whether a symbol belongs to a function or its clone: `name.constprop.0`.
fn is_of(symbol: &str, function: &str) -> bool {
    symbol.strip_prefix(function).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn describe_guard(guard: &Guard) -> String {
    let plus = if guard.plus == 0 { String::new() } else { format!(" plus {:#x}", guard.plus) };
    let then = match &guard.refusal {
        None => String::new(),
        Some(GuardRefusal::Straight) => " and returns -ENOMEM at once".to_owned(),
        Some(GuardRefusal::Asking { arguments, spared }) => {
            let asked = match arguments.iter().map(u8::to_string).collect::<Vec<_>>() {
                none if none.is_empty() => "after further checks".to_owned(),
                some => format!("after checking its argument {}", some.join(" and ")),
            };
            let spared = match spared {
                0 => String::new(),
                some => format!(", unless an argument is one of {some} looked-up pointers"),
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
        | (Some(Refusal::Straight), Some(GuardRefusal::Straight))
        | (Some(Refusal::Asking), Some(GuardRefusal::Asking { .. })) => true,
        (Some(Refusal::AskingArgument(number)), Some(GuardRefusal::Asking { arguments, .. })) => {
            arguments.contains(&number)
        }
        (Some(Refusal::Sparing(number)), Some(GuardRefusal::Asking { spared, .. })) => *spared >= usize::from(number),
        _ => false,
    }
}

/// Removes `fixed-with-defect` if the kernel is too new for it: backports of the fix have the defect only before the
/// version in the dossier's `fix-of-fix`.
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
