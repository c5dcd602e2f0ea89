//! Finds clocks: comparisons of the time since a field was set with a limit. Also finds whether a function resets the
//! field.

use std::collections::BTreeSet;

use iced_x86::{FlowControl, Instruction, Mnemonic};

use super::facts::{CodeFacts, FieldWrite, WrittenValue};
use super::function::MachineFunction;
use super::values::{FieldPlace, Knowledge, MachineValue};

/// A comparison of the time since a field was set with a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// The global variable that holds the time.
    pub(super) time: u64,
    /// The field that holds the start time.
    pub(super) since: FieldPlace,
    /// The call that computed the limit from another field.
    pub(super) limit: u64,
}

/// The clock that a comparison reads, if any.
pub(super) fn clock(instruction: &Instruction, state: &Knowledge) -> Option<Clock> {
    if instruction.mnemonic() != Mnemonic::Cmp {
        return None;
    }
    match (state.operand(instruction, 0)?, state.operand(instruction, 1)?) {
        (MachineValue::Elapsed(time, since), MachineValue::Made(limit, of))
        | (MachineValue::Made(limit, of), MachineValue::Elapsed(time, since))
            if since != of =>
        {
            Some(Clock { time, since, limit })
        }
        _ => None,
    }
}

impl CodeFacts {
    /// Whether the function stores this global variable in a 4-byte field.
    pub(super) fn notes(&self, time: u64, (argument, at): FieldPlace) -> bool {
        self.writes.iter().any(|write| {
            write.argument == argument && write.bytes.start == at && write.value == WrittenValue::Global(time)
        })
    }

    /// Whether the function sets a 4-byte field to 0 on all paths through some place where it stores this global
    /// variable in another field. None if the code does not tell.
    pub(super) fn forgets(&self, function: &MachineFunction, time: u64, (argument, at): FieldPlace) -> Option<bool> {
        if function.cloned || function.has_table() {
            return None;
        }
        let field = at..at + 4;
        let touches = |write: &&FieldWrite| write.bytes.start < field.end && field.start < write.bytes.end;
        let clears = |write: &&FieldWrite| {
            let whole = write.bytes.start <= field.start && field.end <= write.bytes.end;
            whole && write.value == WrittenValue::Zero
        };
        let on_field = || self.writes.iter().filter(|write| write.argument == argument).filter(touches);
        if !on_field().all(|write| clears(&write)) {
            return None;
        }
        let clearing: BTreeSet<u64> = on_field().map(|write| write.address).collect();
        let elsewhere = |write: &&FieldWrite| !touches(write) && write.value == WrittenValue::Global(time);
        let notes: Vec<u64> = self.writes.iter().filter(elsewhere).map(|write| write.address).collect();
        if notes.is_empty() {
            return None;
        }
        let forgets = |traps| {
            notes.iter().any(|&place| {
                let ways = Ways { function, avoided: &clearing, traps };
                let before = ways.reach(&function.entries, |instruction| instruction.ip() == place);
                !(before && ways.reach(&[place], |instruction| leaves(function, instruction)))
            })
        };
        // Without a table of traps, a BUG() looks like a WARN(). The answer must be the same for both.
        Some(forgets(true)).filter(|forgets_at_all| *forgets_at_all == forgets(false))
    }
}

/// Whether the function returns here, or tail-calls another one.
fn leaves(function: &MachineFunction, instruction: &Instruction) -> bool {
    let outside = |next| !function.instructions.contains_key(&next);
    !function.ends_at(instruction) && function.successors(instruction).all(outside)
}

/// The paths through a function, except those through some instructions.
struct Ways<'a> {
    function: &'a MachineFunction,
    avoided: &'a BTreeSet<u64>,
    /// Whether they continue after a trap (`ud2`).
    traps: bool,
}

impl Ways<'_> {
    /// Whether a path leads from these places to a matching instruction.
    fn reach(&self, from: &[u64], sought: impl Fn(&Instruction) -> bool) -> bool {
        let mut seen = BTreeSet::new();
        let mut places: Vec<u64> = from.to_vec();
        while let Some(at) = places.pop() {
            let there = self.function.instructions.get(&at).filter(|_| !self.avoided.contains(&at));
            let there = there.filter(|there| self.traps || there.flow_control() != FlowControl::Exception);
            let Some(instruction) = there.filter(|_| seen.insert(at)) else { continue };
            if sought(instruction) {
                return true;
            }
            places.extend(self.function.successors(instruction));
        }
        false
    }
}
