//! Follows values through a function's registers and stack.
//!
//! This is a forward data-flow analysis over the instructions. The value of a register is known at a place only if all
//! paths to it agree. On purpose it knows few kinds of values: arguments, their fields, halves of these, and numbers.
//! It concludes nothing from other values.

use std::collections::{BTreeMap, VecDeque};

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::function::MachineFunction;
use super::values::{Knowledge, MachineValue, vague_sum};

/// The registers of the first six arguments by the System V ABI for x86-64, which the kernel follows.
pub(super) const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];
/// The caller-saved registers of the same ABI.
const SCRATCH: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];
/// The most instructions to visit before the analysis gives up. Values only ever become unknown, so it needs far fewer.
const MOST_ROUNDS: usize = 200_000;

/// A function, and the known values in it.
pub(super) struct Flow<'a> {
    pub(super) function: &'a MachineFunction,
    /// The known values before each instruction.
    pub(super) before: BTreeMap<u64, Knowledge>,
    pub(super) info: InstructionInfoFactory,
}

impl Flow<'_> {
    /// Finds the known values before each instruction.
    pub(super) fn run(&mut self) -> Option<()> {
        let function = self.function;
        let mut entry = Knowledge::default();
        for (number, register) in (1..).zip(ARGUMENTS) {
            entry.registers[register.number()] = Some(MachineValue::Argument(number, 0));
        }
        entry.registers[Register::RSP.number()] = Some(MachineValue::Stack(0));
        let mut queue: VecDeque<(u64, Knowledge)> = function.entries.iter().map(|&at| (at, entry.clone())).collect();
        let mut rounds = 0;
        loop {
            while let Some((at, state)) = queue.pop_front() {
                rounds += 1;
                if rounds > MOST_ROUNDS {
                    return None;
                }
                let Some(instruction) = function.instructions.get(&at) else { continue };
                let merged = match self.before.get(&at) {
                    None => state,
                    Some(known) => {
                        let merged = known.meet(&state);
                        if merged == *known {
                            continue;
                        }
                        merged
                    }
                };
                let mut after = merged.clone();
                self.before.insert(at, merged);
                self.step(instruction, &mut after);
                for next in function.successors(instruction) {
                    queue.push_back((next, after.clone()));
                }
            }
            // Code that is no jump's target is reached through a jump table, and nothing is known there. If there is no
            // table, it is padding or follows a call that never returns.
            let unreached = function.instructions.keys().find(|at| !self.before.contains_key(at));
            match unreached.filter(|_| function.has_table()) {
                Some(&at) => queue.push_back((at, Knowledge::default())),
                None => return Some(()),
            }
        }
    }

    /// Applies an instruction to the known values.
    pub(super) fn step(&mut self, instruction: &Instruction, state: &mut Knowledge) {
        let value = |state: &Knowledge, operand| state.operand(instruction, operand);
        let result = match instruction.mnemonic() {
            Mnemonic::Push => {
                let pushed = value(state, 0);
                let top = state.get(Register::RSP).and_then(|top| top.plus(-8));
                state.set(Register::RSP, top);
                if let Some(MachineValue::Stack(at)) = top {
                    state.store(at, pushed);
                }
                return;
            }
            Mnemonic::Pop => {
                let top = state.get(Register::RSP);
                let popped = match top {
                    Some(MachineValue::Stack(at)) => state.stack.get(&at).copied(),
                    _ => None,
                };
                state.set(Register::RSP, top.and_then(|top| top.plus(8)));
                if instruction.op0_kind() == OpKind::Register && instruction.op0_register().size() == 8 {
                    state.set(instruction.op0_register(), popped);
                }
                return;
            }
            Mnemonic::Call => {
                // The tracer's entry point preserves every register.
                let names = self.function.calls.get(&instruction.ip());
                if !names.is_some_and(|names| names.contains("__fentry__") || names.contains("mcount")) {
                    let made = match state.get(Register::RDI) {
                        Some(MachineValue::Field { argument, at, halved: false, plus: 0 }) => {
                            Some(MachineValue::Made(instruction.ip(), (argument, at)))
                        }
                        _ => None,
                    };
                    SCRATCH.into_iter().for_each(|register| state.set(register, None));
                    state.set(Register::RAX, made);
                }
                return;
            }
            // These extend the sign or swap bytes in place. A field's place identifies it in any byte order.
            Mnemonic::Cdqe => return,
            Mnemonic::Bswap => value(state, 0).filter(|value| value.field().is_some()),
            Mnemonic::Mov | Mnemonic::Movsxd => value(state, 1),
            Mnemonic::Lea => {
                let part = |register| state.get(register);
                let whole = state.address(instruction);
                whole.or_else(|| vague_sum(part(instruction.memory_base()), part(instruction.memory_index())))
            }
            Mnemonic::Xor | Mnemonic::Sub if same_registers(instruction) => Some(MachineValue::Number(0)),
            Mnemonic::Add | Mnemonic::Sub => {
                let adds = instruction.mnemonic() == Mnemonic::Add;
                match (value(state, 0), value(state, 1)) {
                    (Some(a), Some(b)) if adds => a.sum(b).or_else(|| vague_sum(Some(a), Some(b))),
                    (
                        Some(MachineValue::Global(of)),
                        Some(MachineValue::Field { argument, at, halved: false, plus: 0 }),
                    ) if !adds => Some(MachineValue::Elapsed(of, (argument, at))),
                    (Some(a), Some(MachineValue::Number(number))) => {
                        number.checked_neg().and_then(|number| a.plus(number))
                    }
                    (a, b) => vague_sum(a, b),
                }
            }
            Mnemonic::Sar if halves(instruction) => match value(state, 0) {
                Some(MachineValue::Field { argument, at, halved: false, plus: 0 }) => {
                    Some(MachineValue::Field { argument, at, halved: true, plus: 0 })
                }
                _ => None,
            },
            _ => {
                self.forget(instruction, state);
                return;
            }
        };
        match instruction.op0_kind() {
            OpKind::Register => {
                let register = instruction.op0_register();
                let whole = register.is_gpr32() || register.is_gpr64();
                state.set(register, result.filter(|_| whole));
            }
            OpKind::Memory => {
                if let Some(MachineValue::Stack(at)) = state.address(instruction) {
                    let whole = matches!(instruction.memory_size().size(), 4 | 8);
                    state.store(at, result.filter(|_| whole));
                }
            }
            _ => {}
        }
    }

    /// Forgets everything that an instruction writes, because its effect is not known.
    fn forget(&mut self, instruction: &Instruction, state: &mut Knowledge) {
        let info = self.info.info(instruction);
        let writes =
            |access| !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
        for used in info.used_registers().iter().filter(|used| writes(used.access())) {
            if used.register().is_gpr() {
                state.set(used.register(), None);
            }
        }
        let on_stack = state.address(instruction);
        if let (true, Some(MachineValue::Stack(at))) =
            (info.used_memory().iter().any(|used| writes(used.access())), on_stack)
        {
            state.store(at, None);
        }
    }
}

pub(super) fn halves(instruction: &Instruction) -> bool {
    instruction.op1_kind() == OpKind::Immediate8 && instruction.immediate8() == 1
}

fn same_registers(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}
