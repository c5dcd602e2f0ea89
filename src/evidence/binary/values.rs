//! The known values of registers and the stack at one place in a function.

use std::collections::BTreeMap;

use iced_x86::{Instruction, OpKind, Register};

/// The value of a register or a stack slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MachineValue {
    /// The stack pointer at entry, plus this number.
    Stack(i64),
    /// An argument, counted from 1, plus this number.
    Argument(u8, i64),
    /// The field at this offset from an argument, perhaps halved, then plus a number.
    Field { argument: u8, at: i64, halved: bool, plus: i64 },
    /// A sum or difference of one or two such fields and unknown values.
    SumWith(FieldPlace, Option<FieldPlace>),
    /// A number.
    Number(i64),
    /// The global variable at this address.
    Global(u64),
    /// The global variable at this address, minus such a field.
    Elapsed(u64, FieldPlace),
    /// The result of the call at this address, whose first argument was such a field.
    Made(u64, FieldPlace),
}

/// A field: its argument, counted from 1, and its offset.
pub(super) type FieldPlace = (u8, i64);

impl MachineValue {
    pub(super) fn plus(self, number: i64) -> Option<Self> {
        Some(match self {
            Self::Stack(at) => Self::Stack(at.checked_add(number)?),
            Self::Argument(argument, at) => Self::Argument(argument, at.checked_add(number)?),
            Self::Field { argument, at, halved, plus } => {
                Self::Field { argument, at, halved, plus: plus.checked_add(number)? }
            }
            Self::SumWith(..) => self,
            Self::Global(_) | Self::Elapsed(..) | Self::Made(..) => return None,
            Self::Number(n) => Self::Number(n.checked_add(number)?),
        })
    }

    /// The field, if this is one, perhaps plus a number.
    pub(super) fn field(self) -> Option<FieldPlace> {
        match self {
            Self::Field { argument, at, halved: false, .. } => Some((argument, at)),
            _ => None,
        }
    }

    /// The known fields in this sum.
    pub(super) fn summands(self) -> [Option<FieldPlace>; 2] {
        match self {
            Self::SumWith(first, second) => [Some(first), second],
            Self::Elapsed(_, since) => [Some(since), None],
            value => [value.field(), None],
        }
    }

    pub(super) fn sum(self, other: Self) -> Option<Self> {
        match (self, other) {
            (value, Self::Number(number)) | (Self::Number(number), value) => value.plus(number),
            _ => None,
        }
    }
}

/// The sum or difference of two possibly unknown values.
pub(super) fn vague_sum(a: Option<MachineValue>, b: Option<MachineValue>) -> Option<MachineValue> {
    let mut summands = [a, b].into_iter().flatten().flat_map(MachineValue::summands).flatten();
    let sum = MachineValue::SumWith(summands.next()?, summands.next());
    summands.next().is_none().then_some(sum)
}

/// The known values at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Knowledge {
    pub(super) registers: [Option<MachineValue>; 16],
    pub(super) stack: BTreeMap<i64, MachineValue>,
}

impl Knowledge {
    pub(super) fn get(&self, register: Register) -> Option<MachineValue> {
        let known = register.is_gpr32() || register.is_gpr64();
        if known { self.registers[register.full_register().number()] } else { None }
    }

    /// The value of the full register that contains this one.
    pub(super) fn whole(&self, register: Register) -> Option<MachineValue> {
        if register.is_gpr() { self.registers[register.full_register().number()] } else { None }
    }

    pub(super) fn set(&mut self, register: Register, value: Option<MachineValue>) {
        if register.is_gpr() {
            self.registers[register.full_register().number()] = value;
        }
    }

    /// The values on which two paths to a place agree.
    pub(super) fn meet(&self, other: &Self) -> Self {
        let mut registers = self.registers;
        for (mine, theirs) in registers.iter_mut().zip(other.registers) {
            *mine = mine.filter(|value| Some(*value) == theirs);
        }
        let both = self.stack.iter().filter(|(at, value)| other.stack.get(at) == Some(value));
        Self { registers, stack: both.map(|(at, value)| (*at, *value)).collect() }
    }

    pub(super) fn store(&mut self, at: i64, value: Option<MachineValue>) {
        // A slot of 8 bytes overlaps its neighbours of 4.
        for near in [at - 4, at, at + 4] {
            self.stack.remove(&near);
        }
        if let Some(value) = value {
            self.stack.insert(at, value);
        }
    }

    /// The address that a memory operand, or `lea`, computes.
    pub(super) fn address(&self, instruction: &Instruction) -> Option<MachineValue> {
        let displacement = MachineValue::Number(instruction.memory_displacement64() as i64);
        let base = match instruction.memory_base() {
            Register::None => Some(MachineValue::Number(0)),
            register => self.get(register),
        };
        let index = match instruction.memory_index() {
            Register::None => Some(MachineValue::Number(0)),
            register => self.get(register).filter(|_| instruction.memory_index_scale() == 1),
        };
        base?.sum(index?)?.sum(displacement)
    }

    /// The value of an operand that is 4 or 8 bytes wide.
    pub(super) fn operand(&self, instruction: &Instruction, operand: u32) -> Option<MachineValue> {
        match instruction.op_kind(operand) {
            OpKind::Register => self.get(instruction.op_register(operand)),
            OpKind::Memory => {
                if instruction.has_segment_prefix() || !matches!(instruction.memory_size().size(), 4 | 8) {
                    return None;
                }
                if instruction.is_ip_rel_memory_operand() {
                    return Some(MachineValue::Global(instruction.ip_rel_memory_address()));
                }
                match self.address(instruction)? {
                    MachineValue::Number(address) => Some(MachineValue::Global(address as u64)),
                    MachineValue::Stack(at) => self.stack.get(&at).copied(),
                    MachineValue::Argument(argument, at) => {
                        Some(MachineValue::Field { argument, at, halved: false, plus: 0 })
                    }
                    _ => None,
                }
            }
            OpKind::Immediate32 => Some(MachineValue::Number(i64::from(instruction.immediate32() as i32))),
            OpKind::Immediate8 | OpKind::Immediate16 | OpKind::Immediate8_2nd => None,
            OpKind::Immediate8to32 | OpKind::Immediate8to64 | OpKind::Immediate32to64 | OpKind::Immediate64 => {
                Some(MachineValue::Number(instruction.immediate(operand) as i64))
            }
            _ => None,
        }
    }

    pub(super) fn is_half(&self, instruction: &Instruction, operand: u32) -> bool {
        matches!(self.operand(instruction, operand), Some(MachineValue::Field { halved: true, .. }))
    }
}
