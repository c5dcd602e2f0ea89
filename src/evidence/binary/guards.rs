//! Finds guards: comparisons of half a field with another field, with the function's action above the limit.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{ConditionCode, FlowControl, Instruction, Mnemonic, Register};

use super::flow::Flow;
use super::function::MachineFunction;
use super::values::{Knowledge, MachineValue};

/// -ENOMEM (include/uapi/asm-generic/errno-base.h).
const ENOMEM: i64 = -12;
/// The most instructions to follow after a comparison.
const MOST_STEPS: usize = 10_000;

/// A comparison of half a field with another field of the same structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    /// The address of the comparison.
    pub(super) address: u64,
    /// The offset of the halved field in the structure.
    pub(super) half: i64,
    /// The offset of the other field.
    pub(super) field: i64,
    /// The number that is added to the other field.
    pub(super) plus: i64,
    /// The function's checks before it returns -ENOMEM if the half is greater; none if it doesn't return that.
    pub(super) refusal: Option<GuardRefusal>,
}

/// The checks between a guard and the return of -ENOMEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GuardRefusal {
    /// No checks.
    Straight,
    /// Some checks, perhaps of these arguments, counted from 1.
    Asking {
        /// The arguments that the function compares with a number.
        arguments: BTreeSet<u8>,
        /// The number of looked-up pointers that one argument must differ from before the function fails.
        spared: usize,
    },
}

impl Flow<'_> {
    /// The checks between a guard and the return of -ENOMEM; none if no such return is found.
    pub(super) fn refusal(
        &mut self,
        guard: &Guard,
        compare: &Instruction,
        before: &BTreeMap<u64, Knowledge>,
    ) -> Option<GuardRefusal> {
        let function = self.function;
        let half_is_first = before.get(&guard.address)?.is_half(compare, 0);
        // The jump of this comparison. Nothing in between may change the flags.
        let mut between = function.instructions.range(compare.next_ip()..).map(|(_, instruction)| instruction);
        let jump = between
            .find(|i| i.flow_control() != FlowControl::Next || i.rflags_modified() != 0)
            .filter(|i| i.flow_control() == FlowControl::ConditionalBranch)?;
        let over_is_taken = match (jump.condition_code(), half_is_first) {
            (ConditionCode::g, true) | (ConditionCode::l, false) => true,
            (ConditionCode::le, true) | (ConditionCode::ge, false) => false,
            _ => return None,
        };
        let start = if over_is_taken { jump.near_branch_target() } else { jump.next_ip() };
        let mut paths = vec![RefusalPath {
            at: start,
            state: before.get(&jump.ip())?.clone(),
            asked: BTreeSet::new(),
            compared: None,
            unlike: BTreeSet::new(),
            taken: BTreeSet::new(),
            straight: true,
        }];
        let mut refused: Vec<RefusalPath> = Vec::new();
        let mut steps = 0;
        while let Some(mut path) = paths.pop() {
            let Some(instruction) = function.instructions.get(&path.at) else { continue };
            steps += 1;
            if steps > MOST_STEPS {
                return None;
            }
            let returns = match instruction.flow_control() {
                FlowControl::Return => true,
                FlowControl::UnconditionalBranch => {
                    let names = function.calls.get(&path.at);
                    names.is_some_and(|names| names.iter().any(|name| name.contains("return_thunk")))
                }
                FlowControl::Next => false,
                // Follow a loop once.
                FlowControl::ConditionalBranch if path.taken.insert(path.at) => false,
                // After any other call the function does its work and no longer fails.
                FlowControl::Call | FlowControl::IndirectCall if looks_up(function, path.at) => false,
                _ => continue,
            };
            if returns {
                if path.state.get(Register::RAX) == Some(MachineValue::Number(ENOMEM)) {
                    refused.push(path);
                }
                continue;
            }
            if path.at != guard.address && guard_at(instruction, &path.state).is_some() {
                continue;
            }
            path.asked.extend(tested_argument(instruction, &path.state));
            path.straight &= instruction.flow_control() != FlowControl::ConditionalBranch;
            let unequal = unequal_side(instruction);
            if let (Some(next), Some(argument)) = (unequal, path.compared) {
                let unlike = path.unlike.iter().copied().chain([(argument, path.at)]).collect();
                paths.push(RefusalPath { at: next, unlike, compared: None, ..path.clone() });
            }
            if let Some(argument) = compared_argument(instruction, &path.state) {
                path.compared = Some(argument);
            } else if instruction.rflags_modified() != 0 {
                path.compared = None;
            }
            let counted = unequal.filter(|_| path.compared.is_some());
            self.step(instruction, &mut path.state);
            for next in function.successors(instruction).filter(|next| Some(*next) != counted) {
                paths.push(RefusalPath { at: next, ..path.clone() });
            }
        }
        // A clone's arguments differ from the source's. A check of an argument before the guard counts too.
        let asked_before = function
            .instructions
            .range(..guard.address)
            .any(|(at, instruction)| before.get(at).is_some_and(|state| tested_argument(instruction, state).is_some()));
        match asked(&refused)? {
            GuardRefusal::Straight if function.cloned || asked_before => {
                Some(GuardRefusal::Asking { arguments: BTreeSet::new(), spared: 0 })
            }
            GuardRefusal::Asking { spared, .. } if function.cloned => {
                Some(GuardRefusal::Asking { arguments: BTreeSet::new(), spared })
            }
            asked => Some(asked),
        }
    }
}

/// A path after a guard.
#[derive(Clone)]
struct RefusalPath {
    at: u64,
    state: Knowledge,
    asked: BTreeSet<u8>,
    /// The argument that the last comparison compared with a pointer.
    compared: Option<u8>,
    /// The arguments that differ from such a pointer, each with the jump that decides it.
    unlike: BTreeSet<(u8, u64)>,
    /// The jumps on the path.
    taken: BTreeSet<u64>,
    straight: bool,
}

/// The checks on these paths to -ENOMEM; none if there is no path.
fn asked(ways: &[RefusalPath]) -> Option<GuardRefusal> {
    if let [only] = ways
        && only.straight
    {
        return Some(GuardRefusal::Straight);
    }
    let unlike = |way: &RefusalPath, argument| way.unlike.iter().filter(|(of, _)| *of == argument).count();
    // An argument is exempt only if every path exempts it. A path for an empty queue has no pointer and compares the
    // argument with 0, so it does not count.
    let spared = |argument| {
        let ways = ways.iter().filter(|way| !way.asked.contains(&argument));
        ways.map(|way| unlike(way, argument)).min().unwrap_or(0)
    };
    ways.first()?;
    let arguments = ways.iter().flat_map(|way| &way.asked).copied().collect();
    Some(GuardRefusal::Asking { arguments, spared: (1..=6).map(spared).max().unwrap_or(0) })
}

/// The guard at an instruction, if any.
pub(super) fn guard_at(instruction: &Instruction, state: &Knowledge) -> Option<Guard> {
    if instruction.mnemonic() != Mnemonic::Cmp {
        return None;
    }
    let (mut half, mut field) = (state.operand(instruction, 0)?, state.operand(instruction, 1)?);
    if state.is_half(instruction, 1) {
        (half, field) = (field, half);
    }
    match (half, field) {
        (
            MachineValue::Field { argument: 1, at: half, halved: true, plus: less },
            MachineValue::Field { argument: 1, at: field, halved: false, plus },
        ) if half != field => {
            let plus = plus.checked_sub(less)?;
            Some(Guard { address: instruction.ip(), half, field, plus, refusal: None })
        }
        _ => None,
    }
}

/// The argument that the instruction compares with a number.
fn tested_argument(instruction: &Instruction, state: &Knowledge) -> Option<u8> {
    let (first, second) = (state.operand(instruction, 0), state.operand(instruction, 1));
    match (instruction.mnemonic(), first, second) {
        (Mnemonic::Test, Some(MachineValue::Argument(argument, 0)), Some(MachineValue::Argument(other, 0)))
            if argument == other =>
        {
            Some(argument)
        }
        (Mnemonic::Cmp, Some(MachineValue::Argument(argument, 0)), Some(MachineValue::Number(_))) => Some(argument),
        _ => None,
    }
}

/// The argument that the instruction compares with a looked-up pointer.
fn compared_argument(instruction: &Instruction, state: &Knowledge) -> Option<u8> {
    if instruction.mnemonic() != Mnemonic::Cmp {
        return None;
    }
    match (state.operand(instruction, 0), state.operand(instruction, 1)) {
        (Some(MachineValue::Argument(..)), Some(MachineValue::Argument(..))) => None,
        (Some(MachineValue::Argument(argument, 0)), other) | (other, Some(MachineValue::Argument(argument, 0)))
            if !matches!(other, Some(MachineValue::Number(_))) =>
        {
            Some(argument)
        }
        _ => None,
    }
}

/// Whether the call looks up the first or last node of a tree (lib/rbtree.c), such as a queue's head or tail.
fn looks_up(function: &MachineFunction, at: u64) -> bool {
    function.calls.get(&at).is_some_and(|names| names.contains("rb_first") || names.contains("rb_last"))
}

/// The target of a jump if the compared values differ; none for other instructions.
fn unequal_side(instruction: &Instruction) -> Option<u64> {
    match (instruction.flow_control(), instruction.condition_code()) {
        (FlowControl::ConditionalBranch, ConditionCode::ne) => Some(instruction.near_branch_target()),
        (FlowControl::ConditionalBranch, ConditionCode::e) => Some(instruction.next_ip()),
        _ => None,
    }
}
