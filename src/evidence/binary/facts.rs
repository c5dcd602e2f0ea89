//! Collects facts about a function: its guards, its clocks, and its uses of its arguments' fields.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::clocks::{Clock, clock};
use super::flow::{ARGUMENTS, Flow, halves};
use super::function::MachineFunction;
use super::guards::{Guard, guard_at};
use super::values::{FieldPlace, Knowledge, MachineValue};

/// A write to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldWrite {
    /// The address of the instruction.
    pub(super) address: u64,
    /// The argument that points at the structure, counted from 1.
    pub(super) argument: u8,
    /// The byte range in the structure.
    pub(super) bytes: Range<i64>,
    /// The value.
    pub(super) value: WrittenValue,
}

/// The value that is written to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrittenValue {
    /// 0.
    Zero,
    /// A global variable.
    Global(u64),
    /// Something else.
    Other,
}

/// The facts about a function that the analysis found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeFacts {
    /// Its guards, by address.
    pub(super) guards: Vec<Guard>,
    /// The numbers that it adds, subtracts, compares with or loads.
    pub(super) numbers: BTreeSet<i64>,
    /// Whether it has an arithmetic right shift by one.
    pub(super) halves: bool,
    /// Its clocks.
    pub(super) clocks: Vec<Clock>,
    /// Its writes to fields.
    pub(super) writes: Vec<FieldWrite>,
    /// The uses of each field.
    pub(super) uses: BTreeMap<FieldPlace, Uses>,
}

/// The uses of a field, in numbers of instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Uses in a sum or difference.
    pub(super) sums: usize,
    /// All other uses: computing with it, passing it on, storing it.
    pub(super) others: usize,
    /// The bit counts of right shifts of a sum with it.
    pub(super) shifts: BTreeSet<u8>,
}

/// Analyses a function. None if it is too long for this analysis.
pub(super) fn analyse(function: &MachineFunction) -> Option<CodeFacts> {
    let mut flow = Flow { function, before: BTreeMap::new(), info: InstructionInfoFactory::new() };
    flow.run()?;
    Some(flow.facts())
}

impl Flow<'_> {
    fn facts(&mut self) -> CodeFacts {
        let mut facts = CodeFacts::default();
        let before = self.before.clone();
        for (at, instruction) in &self.function.instructions {
            facts.halves |= instruction.mnemonic() == Mnemonic::Sar && halves(instruction);
            facts.numbers.extend(numbers(instruction));
            if let Some(state) = before.get(at) {
                self.count_uses(instruction, state, &mut facts.uses);
                facts.clocks.extend(clock(instruction, state));
                facts.writes.extend(self.write(instruction, state));
            }
            let Some(mut guard) = before.get(at).and_then(|state| guard_at(instruction, state)) else { continue };
            guard.refusal = self.refusal(&guard, instruction, &before);
            facts.guards.push(guard);
        }
        facts
    }

    /// The write to a field that an instruction makes, if any.
    fn write(&mut self, instruction: &Instruction, state: &Knowledge) -> Option<FieldWrite> {
        let written = |access| {
            matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
        };
        let info = self.info.info(instruction);
        if instruction.has_segment_prefix() || !info.used_memory().iter().any(|used| written(used.access())) {
            return None;
        }
        let Some(MachineValue::Argument(argument, at)) = state.address(instruction) else { return None };
        let value = match (instruction.mnemonic(), instruction.op1_kind()) {
            // When compiling for size, compilers clear a field with `and $0`, because it is shorter than `mov $0`.
            (Mnemonic::Mov | Mnemonic::And, kind) if is_immediate(kind) && instruction.immediate(1) == 0 => {
                WrittenValue::Zero
            }
            (Mnemonic::Mov, OpKind::Register) => match state.whole(instruction.op1_register()) {
                Some(MachineValue::Number(0)) => WrittenValue::Zero,
                Some(MachineValue::Global(of)) => WrittenValue::Global(of),
                _ => WrittenValue::Other,
            },
            _ => WrittenValue::Other,
        };
        let size = i64::try_from(instruction.memory_size().size()).ok().filter(|size| *size > 0).unwrap_or(64);
        Some(FieldWrite { address: instruction.ip(), argument, bytes: at..at.checked_add(size)?, value })
    }

    /// Counts the fields that an instruction uses.
    fn count_uses(&mut self, instruction: &Instruction, state: &Knowledge, uses: &mut BTreeMap<FieldPlace, Uses>) {
        let mnemonic = instruction.mnemonic();
        let operands = (state.operand(instruction, 0), state.operand(instruction, 1));
        let shifts = matches!(mnemonic, Mnemonic::Shr | Mnemonic::Sar) && instruction.op1_kind() == OpKind::Immediate8;
        if let (true, Some(sum @ MachineValue::SumWith(..))) = (shifts, operands.0) {
            for place in sum.summands().into_iter().flatten() {
                uses.entry(place).or_default().shifts.insert(instruction.immediate8());
            }
        }
        // Moving a field, or adding a number to it, does not count yet.
        let onto_stack = matches!(state.address(instruction), Some(MachineValue::Stack(_)));
        let moves = match mnemonic {
            Mnemonic::Mov | Mnemonic::Movsxd => instruction.op0_kind() == OpKind::Register || onto_stack,
            Mnemonic::Push | Mnemonic::Pop | Mnemonic::Bswap | Mnemonic::Cdqe => true,
            Mnemonic::Add | Mnemonic::Sub => matches!(operands.1, Some(MachineValue::Number(_))),
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
        let mut values: Vec<MachineValue> = registers.filter_map(|register| state.whole(register)).collect();
        if info.used_memory().iter().any(|used| read(used.access())) {
            let in_memory = [operands.0, operands.1].into_iter().zip([instruction.op0_kind(), instruction.op1_kind()]);
            values.extend(in_memory.filter(|(_, kind)| *kind == OpKind::Memory).filter_map(|(value, _)| value));
        }
        if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            values.extend(ARGUMENTS.into_iter().filter_map(|register| state.whole(register)));
        }
        let fields: BTreeSet<_> = values.into_iter().filter_map(MachineValue::field).collect();
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
