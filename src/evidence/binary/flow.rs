//! Follows values through a function's registers and stack, and finds what is compared with what.
//!
//! It is a forward data-flow analysis over the instructions: what a register holds at a place is known only where all
//! ways to that place agree. It knows few values on purpose: arguments, fields of what they point at, halves of these,
//! and numbers. Everything else is unknown, and nothing is concluded from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use iced_x86::{ConditionCode, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::function::Function;

/// -ENOMEM (include/uapi/asm-generic/errno-base.h).
const ENOMEM: i64 = -12;
/// Where the first six arguments are at entry: the System V ABI for x86-64, which the kernel follows.
const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];
/// What a call leaves undefined, by the same.
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
/// How often a block is looked at again before the analysis is given up: values only ever become unknown, so this is
/// far more than it takes.
const MOST_ROUNDS: usize = 200_000;
/// Instructions that are followed behind a comparison.
const MOST_STEPS: usize = 600;

/// What a register or a place on the stack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// The stack pointer at entry, plus so much.
    Stack(i64),
    /// An argument, counted from 1, plus so much.
    Argument(u8, i64),
    /// What stands in memory, so many bytes behind an argument; perhaps halved, then plus so much.
    Field { argument: u8, at: i64, halved: bool, plus: i64 },
    /// A sum, or difference, of one or two such fields and things that are not known.
    SumWith(Place, Option<Place>),
    /// A number.
    Number(i64),
}

/// A field: its argument, counted from 1, and how many bytes behind it.
pub(super) type Place = (u8, i64);

impl Value {
    fn plus(self, number: i64) -> Option<Self> {
        Some(match self {
            Self::Stack(at) => Self::Stack(at.checked_add(number)?),
            Self::Argument(argument, at) => Self::Argument(argument, at.checked_add(number)?),
            Self::Field { argument, at, halved, plus } => {
                Self::Field { argument, at, halved, plus: plus.checked_add(number)? }
            }
            Self::SumWith(..) => self,
            Self::Number(n) => Self::Number(n.checked_add(number)?),
        })
    }

    /// The field that this is, perhaps with a number added.
    fn field(self) -> Option<Place> {
        match self {
            Self::Field { argument, at, halved: false, .. } => Some((argument, at)),
            _ => None,
        }
    }

    /// The fields that this is a sum of, as far as known.
    fn summands(self) -> [Option<Place>; 2] {
        match self {
            Self::SumWith(first, second) => [Some(first), second],
            value => [value.field(), None],
        }
    }

    fn sum(self, other: Self) -> Option<Self> {
        match (self, other) {
            (value, Self::Number(number)) | (Self::Number(number), value) => value.plus(number),
            _ => None,
        }
    }
}

/// The sum or difference of two values that may be unknown.
fn vague_sum(a: Option<Value>, b: Option<Value>) -> Option<Value> {
    let mut summands = [a, b].into_iter().flatten().flat_map(Value::summands).flatten();
    let sum = Value::SumWith(summands.next()?, summands.next());
    summands.next().is_none().then_some(sum)
}

/// What is known at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    registers: [Option<Value>; 16],
    stack: BTreeMap<i64, Value>,
}

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
    Something(BTreeSet<u8>),
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

struct Flow<'a> {
    function: &'a Function,
    /// What is known before each instruction.
    before: BTreeMap<u64, State>,
    info: InstructionInfoFactory,
}

impl Flow<'_> {
    /// Finds what is known before each instruction.
    fn run(&mut self) -> Option<()> {
        let function = self.function;
        let mut entry = State::default();
        for (number, register) in (1..).zip(ARGUMENTS) {
            entry.registers[register.number()] = Some(Value::Argument(number, 0));
        }
        entry.registers[Register::RSP.number()] = Some(Value::Stack(0));
        let mut queue: VecDeque<(u64, State)> = function.entries.iter().map(|&at| (at, entry.clone())).collect();
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
                for next in successors(instruction) {
                    queue.push_back((next, after.clone()));
                }
            }
            // What no jump goes to is reached through a table, where there is one: nothing is known there. Without one it
            // is padding, and never reached.
            let unreached = function.instructions.keys().find(|at| !self.before.contains_key(at));
            match unreached.filter(|_| function.has_table()) {
                Some(&at) => queue.push_back((at, State::default())),
                None => return Some(()),
            }
        }
    }

    /// What an instruction does to what is known.
    fn step(&mut self, instruction: &Instruction, state: &mut State) {
        let value = |state: &State, operand| state.operand(instruction, operand);
        let result = match instruction.mnemonic() {
            Mnemonic::Push => {
                let pushed = value(state, 0);
                let top = state.get(Register::RSP).and_then(|top| top.plus(-8));
                state.set(Register::RSP, top);
                if let Some(Value::Stack(at)) = top {
                    state.store(at, pushed);
                }
                return;
            }
            Mnemonic::Pop => {
                let top = state.get(Register::RSP);
                let popped = match top {
                    Some(Value::Stack(at)) => state.stack.get(&at).copied(),
                    _ => None,
                };
                state.set(Register::RSP, top.and_then(|top| top.plus(8)));
                if instruction.op0_kind() == OpKind::Register && instruction.op0_register().size() == 8 {
                    state.set(instruction.op0_register(), popped);
                }
                return;
            }
            Mnemonic::Call => {
                // The tracer's entry point keeps every register.
                let names = self.function.calls.get(&instruction.ip());
                if !names.is_some_and(|names| names.contains("__fentry__") || names.contains("mcount")) {
                    SCRATCH.into_iter().for_each(|register| state.set(register, None));
                }
                return;
            }
            // These sign-extend or swap bytes in place. Fields are told apart by their place, not by their order of bytes.
            Mnemonic::Cdqe => return,
            Mnemonic::Bswap => value(state, 0).filter(|value| value.field().is_some()),
            Mnemonic::Mov | Mnemonic::Movsxd => value(state, 1),
            Mnemonic::Lea => {
                let part = |register| state.get(register);
                let whole = state.address(instruction);
                whole.or_else(|| vague_sum(part(instruction.memory_base()), part(instruction.memory_index())))
            }
            Mnemonic::Xor | Mnemonic::Sub if same_registers(instruction) => Some(Value::Number(0)),
            Mnemonic::Add | Mnemonic::Sub => {
                let adds = instruction.mnemonic() == Mnemonic::Add;
                match (value(state, 0), value(state, 1)) {
                    (Some(a), Some(b)) if adds => a.sum(b).or_else(|| vague_sum(Some(a), Some(b))),
                    (Some(a), Some(Value::Number(number))) => number.checked_neg().and_then(|number| a.plus(number)),
                    (a, b) => vague_sum(a, b),
                }
            }
            Mnemonic::Sar if halves(instruction) => match value(state, 0) {
                Some(Value::Field { argument, at, halved: false, plus: 0 }) => {
                    Some(Value::Field { argument, at, halved: true, plus: 0 })
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
                if let Some(Value::Stack(at)) = state.address(instruction) {
                    let whole = matches!(instruction.memory_size().size(), 4 | 8);
                    state.store(at, result.filter(|_| whole));
                }
            }
            _ => {}
        }
    }

    /// Forgets whatever an instruction writes that is not understood.
    fn forget(&mut self, instruction: &Instruction, state: &mut State) {
        let info = self.info.info(instruction);
        let writes =
            |access| !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
        for used in info.used_registers().iter().filter(|used| writes(used.access())) {
            if used.register().is_gpr() {
                state.set(used.register(), None);
            }
        }
        let on_stack = state.address(instruction);
        if let (true, Some(Value::Stack(at))) = (info.used_memory().iter().any(|used| writes(used.access())), on_stack)
        {
            state.store(at, None);
        }
    }

    fn facts(&mut self) -> Facts {
        let mut facts = Facts::default();
        let before = self.before.clone();
        for (at, instruction) in &self.function.instructions {
            facts.halves |= instruction.mnemonic() == Mnemonic::Sar && halves(instruction);
            facts.numbers.extend(numbers(instruction));
            if let Some(state) = before.get(at) {
                self.count_uses(instruction, state, &mut facts.uses);
            }
            let Some(mut guard) = before.get(at).and_then(|state| guard(instruction, state)) else { continue };
            guard.refusal = self.refusal(&guard, instruction, &before);
            facts.guards.push(guard);
        }
        facts
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
        let mut paths =
            vec![Path { at: start, state: before.get(&jump.ip())?.clone(), asked: BTreeSet::new(), straight: true }];
        let mut refused: Option<Asked> = None;
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
                FlowControl::Next | FlowControl::ConditionalBranch => false,
                _ => continue,
            };
            if returns {
                if path.state.get(Register::RAX) == Some(Value::Number(ENOMEM)) {
                    refused = Some(match (refused, path.straight) {
                        (None, true) => Asked::Nothing,
                        (Some(Asked::Something(mut known)), _) => {
                            known.append(&mut path.asked);
                            Asked::Something(known)
                        }
                        _ => Asked::Something(path.asked),
                    });
                }
                continue;
            }
            if path.at != guard.address && self::guard(instruction, &path.state).is_some() {
                continue;
            }
            path.asked.extend(tested_argument(instruction, &path.state));
            path.straight &= instruction.flow_control() != FlowControl::ConditionalBranch;
            self.step(instruction, &mut path.state);
            for next in successors(instruction) {
                paths.push(Path { at: next, ..path.clone() });
            }
        }
        // A clone's arguments are not the source's, and what was asked of an argument before the guard narrows it, too.
        let asked_before = function
            .instructions
            .range(..guard.address)
            .any(|(at, instruction)| before.get(at).is_some_and(|state| tested_argument(instruction, state).is_some()));
        match refused? {
            Asked::Nothing if function.cloned || asked_before => Some(Asked::Something(BTreeSet::new())),
            Asked::Something(_) if function.cloned => Some(Asked::Something(BTreeSet::new())),
            asked => Some(asked),
        }
    }
}

#[derive(Clone)]
struct Path {
    at: u64,
    state: State,
    asked: BTreeSet<u8>,
    straight: bool,
}

impl State {
    fn get(&self, register: Register) -> Option<Value> {
        let known = register.is_gpr32() || register.is_gpr64();
        if known { self.registers[register.full_register().number()] } else { None }
    }

    /// What the register holds that this one is a part of.
    fn whole(&self, register: Register) -> Option<Value> {
        if register.is_gpr() { self.registers[register.full_register().number()] } else { None }
    }

    fn set(&mut self, register: Register, value: Option<Value>) {
        if register.is_gpr() {
            self.registers[register.full_register().number()] = value;
        }
    }

    /// What is known on both of two ways to a place.
    fn meet(&self, other: &Self) -> Self {
        let mut registers = self.registers;
        for (mine, theirs) in registers.iter_mut().zip(other.registers) {
            *mine = mine.filter(|value| Some(*value) == theirs);
        }
        let both = self.stack.iter().filter(|(at, value)| other.stack.get(at) == Some(value));
        Self { registers, stack: both.map(|(at, value)| (*at, *value)).collect() }
    }

    fn store(&mut self, at: i64, value: Option<Value>) {
        // A place of 8 bytes overlaps its neighbours of 4.
        for near in [at - 4, at, at + 4] {
            self.stack.remove(&near);
        }
        if let Some(value) = value {
            self.stack.insert(at, value);
        }
    }

    /// The address that a memory operand, or `lea`, computes.
    fn address(&self, instruction: &Instruction) -> Option<Value> {
        let displacement = Value::Number(instruction.memory_displacement64() as i64);
        let base = match instruction.memory_base() {
            Register::None => Some(Value::Number(0)),
            register => self.get(register),
        };
        let index = match instruction.memory_index() {
            Register::None => Some(Value::Number(0)),
            register => self.get(register).filter(|_| instruction.memory_index_scale() == 1),
        };
        base?.sum(index?)?.sum(displacement)
    }

    /// What an operand holds, where it is 4 or 8 bytes wide.
    fn operand(&self, instruction: &Instruction, operand: u32) -> Option<Value> {
        match instruction.op_kind(operand) {
            OpKind::Register => self.get(instruction.op_register(operand)),
            OpKind::Memory => {
                if instruction.has_segment_prefix() || !matches!(instruction.memory_size().size(), 4 | 8) {
                    return None;
                }
                match self.address(instruction)? {
                    Value::Stack(at) => self.stack.get(&at).copied(),
                    Value::Argument(argument, at) => Some(Value::Field { argument, at, halved: false, plus: 0 }),
                    _ => None,
                }
            }
            OpKind::Immediate32 => Some(Value::Number(i64::from(instruction.immediate32() as i32))),
            OpKind::Immediate8 | OpKind::Immediate16 | OpKind::Immediate8_2nd => None,
            OpKind::Immediate8to32 | OpKind::Immediate8to64 | OpKind::Immediate32to64 | OpKind::Immediate64 => {
                Some(Value::Number(instruction.immediate(operand) as i64))
            }
            _ => None,
        }
    }

    fn is_half(&self, instruction: &Instruction, operand: u32) -> bool {
        matches!(self.operand(instruction, operand), Some(Value::Field { halved: true, .. }))
    }
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

fn halves(instruction: &Instruction) -> bool {
    instruction.op1_kind() == OpKind::Immediate8 && instruction.immediate8() == 1
}

fn same_registers(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
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

/// Where the processor may go on inside of the function.
fn successors(instruction: &Instruction) -> impl Iterator<Item = u64> {
    let next = Some(instruction.next_ip());
    let target = Some(instruction.near_branch_target());
    let (next, target) = match instruction.flow_control() {
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => (next, None),
        FlowControl::ConditionalBranch => (next, target),
        FlowControl::UnconditionalBranch => (None, target),
        // ud2 is WARN as well as BUG, and after a WARN it goes on.
        FlowControl::Exception => (next, None),
        _ => (None, None),
    };
    next.into_iter().chain(target)
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
