//! Finds what a function compares with what, and what it makes of its arguments' fields.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use iced_x86::{ConditionCode, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::flow::{ARGUMENTS, Flow, halves, successors};
use super::function::Function;
use super::values::{Place, State, Value};

/// -ENOMEM (include/uapi/asm-generic/errno-base.h).
const ENOMEM: i64 = -12;
/// Instructions that are followed behind a comparison.
const MOST_STEPS: usize = 10_000;

/// Half of a field, compared with another of the same structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    /// The address of the comparison.
    pub(super) address: u64,
    /// Where the halved field is in the structure.
    pub(super) half: i64,
    /// Where the other is.
    pub(super) field: i64,
    /// What is added to the other.
    pub(super) plus: i64,
    /// What becomes of it where half is more.
    pub(super) refusal: Option<Asked>,
}

/// What a function asks between a guard and returning -ENOMEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// Something; among it perhaps these arguments, counted from 1.
    Something {
        /// The arguments that are compared with a number.
        arguments: BTreeSet<u8>,
        /// With how many things that are no numbers one argument is compared, each of which it must not be to be refused.
        spared: usize,
    },
}

/// The time since a field was set, compared with a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// The global variable that is the time.
    pub(super) time: u64,
    /// The field.
    pub(super) since: Place,
    /// The call that made the limit of another field.
    pub(super) limit: u64,
}

/// What is written to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// 0.
    Zero,
    /// A global variable.
    Global(u64),
    /// Something else.
    Other,
}

/// What a function does, as far as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its guards, by address.
    pub(super) guards: Vec<Guard>,
    /// The numbers that it adds, subtracts, compares with or loads.
    pub(super) numbers: BTreeSet<i64>,
    /// Whether anything is shifted right by one with its sign.
    pub(super) halves: bool,
    /// Its clocks.
    pub(super) clocks: Vec<Clock>,
    /// What it writes to fields: where, to which bytes, and what.
    pub(super) writes: Vec<(u64, u8, Range<i64>, Written)>,
    /// How each field, by its argument and place, is used.
    pub(super) uses: BTreeMap<Place, Uses>,
}

/// What becomes of a field, by the number of instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Something is added to it, or subtracted, or it from something.
    pub(super) sums: usize,
    /// Anything else is computed from it, or it is passed or stored somewhere.
    pub(super) others: usize,
    /// By how many bits a sum with it is shifted right.
    pub(super) shifts: BTreeSet<u8>,
}

/// Analyses a function. None where it is beyond this analysis.
pub(super) fn analyse(function: &Function) -> Option<Facts> {
    let mut flow = Flow { function, before: BTreeMap::new(), info: InstructionInfoFactory::new() };
    flow.run()?;
    Some(flow.facts())
}

impl Flow<'_> {
    fn facts(&mut self) -> Facts {
        let mut facts = Facts::default();
        let before = self.before.clone();
        for (at, instruction) in &self.function.instructions {
            facts.halves |= instruction.mnemonic() == Mnemonic::Sar && halves(instruction);
            facts.numbers.extend(numbers(instruction));
            if let Some(state) = before.get(at) {
                self.count_uses(instruction, state, &mut facts.uses);
                facts.clocks.extend(clock(instruction, state));
                facts.writes.extend(self.write(instruction, state));
            }
            let Some(mut guard) = before.get(at).and_then(|state| guard(instruction, state)) else { continue };
            guard.refusal = self.refusal(&guard, instruction, &before);
            facts.guards.push(guard);
        }
        facts
    }

    /// What an instruction writes to a field.
    fn write(&mut self, instruction: &Instruction, state: &State) -> Option<(u64, u8, Range<i64>, Written)> {
        let written = |access| {
            matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
        };
        let info = self.info.info(instruction);
        if instruction.has_segment_prefix() || !info.used_memory().iter().any(|used| written(used.access())) {
            return None;
        }
        let Some(Value::Argument(argument, at)) = state.address(instruction) else { return None };
        let what = match (instruction.mnemonic(), instruction.op1_kind()) {
            // What is short: `and $0` takes fewer bytes than `mov $0`.
            (Mnemonic::Mov | Mnemonic::And, kind) if is_immediate(kind) && instruction.immediate(1) == 0 => {
                Written::Zero
            }
            (Mnemonic::Mov, OpKind::Register) => match state.whole(instruction.op1_register()) {
                Some(Value::Number(0)) => Written::Zero,
                Some(Value::Global(of)) => Written::Global(of),
                _ => Written::Other,
            },
            _ => Written::Other,
        };
        let size = i64::try_from(instruction.memory_size().size()).ok().filter(|size| *size > 0).unwrap_or(64);
        Some((instruction.ip(), argument, at..at.checked_add(size)?, what))
    }

    /// Counts what an instruction makes of fields.
    fn count_uses(&mut self, instruction: &Instruction, state: &State, uses: &mut BTreeMap<Place, Uses>) {
        let mnemonic = instruction.mnemonic();
        let operands = (state.operand(instruction, 0), state.operand(instruction, 1));
        let shifts = matches!(mnemonic, Mnemonic::Shr | Mnemonic::Sar) && instruction.op1_kind() == OpKind::Immediate8;
        if let (true, Some(sum @ Value::SumWith(..))) = (shifts, operands.0) {
            for place in sum.summands().into_iter().flatten() {
                uses.entry(place).or_default().shifts.insert(instruction.immediate8());
            }
        }
        // To move it around, or to add a number, is no use yet.
        let onto_stack = matches!(state.address(instruction), Some(Value::Stack(_)));
        let moves = match mnemonic {
            Mnemonic::Mov | Mnemonic::Movsxd => instruction.op0_kind() == OpKind::Register || onto_stack,
            Mnemonic::Push | Mnemonic::Pop | Mnemonic::Bswap | Mnemonic::Cdqe => true,
            Mnemonic::Add | Mnemonic::Sub => matches!(operands.1, Some(Value::Number(_))),
            Mnemonic::Lea => instruction.memory_index() == Register::None,
            _ => false,
        };
        if moves {
            return;
        }
        let read = |access| {
            matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
        };
        let info = self.info.info(instruction);
        let registers = info.used_registers().iter().filter(|used| read(used.access())).map(|used| used.register());
        let mut values: Vec<Value> = registers.filter_map(|register| state.whole(register)).collect();
        if info.used_memory().iter().any(|used| read(used.access())) {
            let in_memory = [operands.0, operands.1].into_iter().zip([instruction.op0_kind(), instruction.op1_kind()]);
            values.extend(in_memory.filter(|(_, kind)| *kind == OpKind::Memory).filter_map(|(value, _)| value));
        }
        if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            values.extend(ARGUMENTS.into_iter().filter_map(|register| state.whole(register)));
        }
        let fields: BTreeSet<_> = values.into_iter().filter_map(Value::field).collect();
        let sums = matches!(mnemonic, Mnemonic::Add | Mnemonic::Sub | Mnemonic::Lea);
        for field in fields {
            let used = uses.entry(field).or_default();
            if sums {
                used.sums += 1;
            } else {
                used.others += 1;
            }
        }
    }

    /// What the function asks between a guard and returning -ENOMEM; none where it is not seen to do that.
    fn refusal(&mut self, guard: &Guard, compare: &Instruction, before: &BTreeMap<u64, State>) -> Option<Asked> {
        let function = self.function;
        let half_is_first = before.get(&guard.address)?.is_half(compare, 0);
        // The jump that belongs to it: nothing between changes the flags.
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
        let mut paths = vec![Path {
            at: start,
            state: before.get(&jump.ip())?.clone(),
            asked: BTreeSet::new(),
            compared: None,
            unlike: BTreeSet::new(),
            taken: BTreeSet::new(),
            straight: true,
        }];
        let mut refused: Vec<Path> = Vec::new();
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
                // A loop is gone through once.
                FlowControl::ConditionalBranch if path.taken.insert(path.at) => false,
                // Behind any other call the function has gone on to its work.
                FlowControl::Call | FlowControl::IndirectCall if looks_up(function, path.at) => false,
                _ => continue,
            };
            if returns {
                if path.state.get(Register::RAX) == Some(Value::Number(ENOMEM)) {
                    refused.push(path);
                }
                continue;
            }
            if path.at != guard.address && self::guard(instruction, &path.state).is_some() {
                continue;
            }
            path.asked.extend(tested_argument(instruction, &path.state));
            path.straight &= instruction.flow_control() != FlowControl::ConditionalBranch;
            let unequal = unequal_side(instruction);
            if let (Some(next), Some(argument)) = (unequal, path.compared) {
                let unlike = path.unlike.iter().copied().chain([(argument, path.at)]).collect();
                paths.push(Path { at: next, unlike, compared: None, ..path.clone() });
            }
            if let Some(argument) = compared_argument(instruction, &path.state) {
                path.compared = Some(argument);
            } else if instruction.rflags_modified() != 0 {
                path.compared = None;
            }
            let counted = unequal.filter(|_| path.compared.is_some());
            self.step(instruction, &mut path.state);
            for next in successors(instruction).filter(|next| Some(*next) != counted) {
                paths.push(Path { at: next, ..path.clone() });
            }
        }
        // A clone's arguments are not the source's, and what was asked of an argument before the guard narrows it, too.
        let asked_before = function
            .instructions
            .range(..guard.address)
            .any(|(at, instruction)| before.get(at).is_some_and(|state| tested_argument(instruction, state).is_some()));
        match asked(&refused)? {
            Asked::Nothing if function.cloned || asked_before => {
                Some(Asked::Something { arguments: BTreeSet::new(), spared: 0 })
            }
            Asked::Something { spared, .. } if function.cloned => {
                Some(Asked::Something { arguments: BTreeSet::new(), spared })
            }
            asked => Some(asked),
        }
    }
}

/// One of the ways behind a guard.
#[derive(Clone)]
struct Path {
    at: u64,
    state: State,
    asked: BTreeSet<u8>,
    /// The argument that the flags compare with something that is no number.
    compared: Option<u8>,
    /// The arguments that were found to be unlike such a thing, each with the jump that told.
    unlike: BTreeSet<(u8, u64)>,
    /// The jumps that it came through.
    taken: BTreeSet<u64>,
    straight: bool,
}

/// What is asked on these ways to a refusal; none where there is no way.
fn asked(ways: &[Path]) -> Option<Asked> {
    if let [only] = ways
        && only.straight
    {
        return Some(Asked::Nothing);
    }
    let unlike = |way: &Path, argument| way.unlike.iter().filter(|(of, _)| *of == argument).count();
    // Whom one way refuses all the same is not spared. Where nothing was found to compare with, because a queue is empty,
    // an argument is compared with 0 instead: such a way refuses whom the others may spare, and says nothing.
    let spared = |argument| {
        let ways = ways.iter().filter(|way| !way.asked.contains(&argument));
        ways.map(|way| unlike(way, argument)).min().unwrap_or(0)
    };
    ways.first()?;
    let arguments = ways.iter().flat_map(|way| &way.asked).copied().collect();
    Some(Asked::Something { arguments, spared: (1..=6).map(spared).max().unwrap_or(0) })
}

/// The guard that an instruction is.
fn guard(instruction: &Instruction, state: &State) -> Option<Guard> {
    if instruction.mnemonic() != Mnemonic::Cmp {
        return None;
    }
    let (mut half, mut field) = (state.operand(instruction, 0)?, state.operand(instruction, 1)?);
    if state.is_half(instruction, 1) {
        (half, field) = (field, half);
    }
    match (half, field) {
        (
            Value::Field { argument: 1, at: half, halved: true, plus: less },
            Value::Field { argument: 1, at: field, halved: false, plus },
        ) if half != field => {
            let plus = plus.checked_sub(less)?;
            Some(Guard { address: instruction.ip(), half, field, plus, refusal: None })
        }
        _ => None,
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
}

/// The clock that a comparison reads.
fn clock(instruction: &Instruction, state: &State) -> Option<Clock> {
    if instruction.mnemonic() != Mnemonic::Cmp {
        return None;
    }
    match (state.operand(instruction, 0)?, state.operand(instruction, 1)?) {
        (Value::Elapsed(time, since), Value::Made(limit, of))
        | (Value::Made(limit, of), Value::Elapsed(time, since))
            if since != of =>
        {
            Some(Clock { time, since, limit })
        }
        _ => None,
    }
}

impl Facts {
    /// Whether the function sets a field, of 4 bytes, to this global variable.
    pub(super) fn notes(&self, time: u64, (argument, at): Place) -> bool {
        self.writes
            .iter()
            .any(|(_, of, bytes, what)| *of == argument && bytes.start == at && *what == Written::Global(time))
    }

    /// Whether the function sets a field, of 4 bytes, to 0 on all ways through some place where it notes this global
    /// variable in another field. None where that cannot be told.
    pub(super) fn forgets(&self, function: &Function, time: u64, (argument, at): Place) -> Option<bool> {
        if function.cloned || function.has_table() {
            return None;
        }
        let field = at..at + 4;
        let touching = |bytes: &Range<i64>| bytes.start < field.end && field.start < bytes.end;
        let on_field = || self.writes.iter().filter(|(_, of, bytes, _)| *of == argument && touching(bytes));
        let whole = |bytes: &Range<i64>| bytes.start <= field.start && field.end <= bytes.end;
        if on_field().any(|(_, _, bytes, what)| !(whole(bytes) && *what == Written::Zero)) {
            return None;
        }
        let clears: BTreeSet<u64> = on_field().map(|(ip, ..)| *ip).collect();
        let notes = self.writes.iter().filter(|(_, _, bytes, what)| *what == Written::Global(time) && !touching(bytes));
        let mut places = notes.map(|(ip, ..)| *ip).peekable();
        places.peek()?;
        Some(places.any(|place| {
            let before = reaches(function, &function.entries, &clears, |at, _| at == place);
            let leaves = |_, instruction: &Instruction| {
                successors(instruction).all(|next| !function.instructions.contains_key(&next))
            };
            !(before && reaches(function, &[place], &clears, leaves))
        }))
    }
}

/// Whether some way from these places comes to an instruction that is sought, and through none of those that are avoided.
fn reaches(
    function: &Function,
    from: &[u64],
    avoided: &BTreeSet<u64>,
    sought: impl Fn(u64, &Instruction) -> bool,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut ways: Vec<u64> = from.to_vec();
    while let Some(at) = ways.pop() {
        let Some(instruction) = function.instructions.get(&at).filter(|_| !avoided.contains(&at)) else { continue };
        if !seen.insert(at) {
            continue;
        }
        if sought(at, instruction) {
            return true;
        }
        ways.extend(successors(instruction));
    }
    false
}

/// The argument that is compared with a number.
fn tested_argument(instruction: &Instruction, state: &State) -> Option<u8> {
    let (first, second) = (state.operand(instruction, 0), state.operand(instruction, 1));
    match (instruction.mnemonic(), first, second) {
        (Mnemonic::Test, Some(Value::Argument(argument, 0)), Some(Value::Argument(other, 0))) if argument == other => {
            Some(argument)
        }
        (Mnemonic::Cmp, Some(Value::Argument(argument, 0)), Some(Value::Number(_))) => Some(argument),
        _ => None,
    }
}

/// The argument that is compared with something that is no number: a pointer that the function has found.
fn compared_argument(instruction: &Instruction, state: &State) -> Option<u8> {
    if instruction.mnemonic() != Mnemonic::Cmp {
        return None;
    }
    match (state.operand(instruction, 0), state.operand(instruction, 1)) {
        (Some(Value::Argument(..)), Some(Value::Argument(..))) => None,
        (Some(Value::Argument(argument, 0)), other) | (other, Some(Value::Argument(argument, 0)))
            if !matches!(other, Some(Value::Number(_))) =>
        {
            Some(argument)
        }
        _ => None,
    }
}

/// Whether what is called there finds the first or last of a tree (lib/rbtree.c), as the queue's head and tail are found.
fn looks_up(function: &Function, at: u64) -> bool {
    function.calls.get(&at).is_some_and(|names| names.contains("rb_first") || names.contains("rb_last"))
}

/// Where a jump goes on if what was compared is unequal; none for whatever does not tell that.
fn unequal_side(instruction: &Instruction) -> Option<u64> {
    match (instruction.flow_control(), instruction.condition_code()) {
        (FlowControl::ConditionalBranch, ConditionCode::ne) => Some(instruction.near_branch_target()),
        (FlowControl::ConditionalBranch, ConditionCode::e) => Some(instruction.next_ip()),
        _ => None,
    }
}

/// The numbers that an instruction adds, subtracts, compares with or loads, without their sign.
fn numbers(instruction: &Instruction) -> Option<i64> {
    let immediate = |operand| match instruction.op_kind(operand) {
        OpKind::Immediate8
        | OpKind::Immediate8to32
        | OpKind::Immediate8to64
        | OpKind::Immediate32to64
        | OpKind::Immediate64 => Some(instruction.immediate(operand) as i64),
        OpKind::Immediate32 => Some(i64::from(instruction.immediate32() as i32)),
        _ => None,
    };
    match instruction.mnemonic() {
        Mnemonic::Add | Mnemonic::Sub | Mnemonic::Mov | Mnemonic::Cmp => immediate(1)?.checked_abs(),
        Mnemonic::Lea if !instruction.is_ip_rel_memory_operand() => {
            (instruction.memory_displacement64() as i64).checked_abs()
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
