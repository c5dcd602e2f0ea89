//! The instructions of a function, with the parts that the compiler split off, checked for completeness.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use memchr::memchr_iter;

use super::kallsyms::Symbols;
use super::memory::ImageMemory;

/// The longest function to judge, in bytes.
const LONGEST_FUNCTION: u64 = 64 << 10;
/// The most parts of a function.
const MOST_PIECES: usize = 16;

/// Functions that never return, so unrelated code may follow a call to one. These are all in objtool's list that
/// network code calls. A missing name only makes more values unknown.
const NEVER_RETURN: [&str; 8] = [
    "__stack_chk_fail",
    "panic",
    "fortify_panic",
    "__fortify_panic",
    "usercopy_abort",
    "do_exit",
    "make_task_dead",
    "__ubsan_handle_builtin_unreachable",
];

/// Why a function cannot be judged. Reads well after "<function> ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoFunction {
    #[error("is not among the kernel's symbols: it may be part of its callers")]
    Absent,
    #[error("is the name of several kernel functions")]
    Ambiguous,
    #[error("is too long ({0} bytes) or in too many parts")]
    TooLong(u64),
    #[error("is not where the symbol table says: {0}")]
    Misplaced(String),
}

/// The instructions of a function.
pub(super) struct MachineFunction {
    /// By address.
    pub(super) instructions: BTreeMap<u64, Instruction>,
    /// The entry points of the function and its clones.
    pub(super) entries: Vec<u64>,
    /// Whether it has clones, or parts that are called, whose arguments differ from the source's.
    pub(super) cloned: bool,
    /// The functions that it calls, by the address of the call or jump.
    pub(super) calls: BTreeMap<u64, BTreeSet<String>>,
    /// The addresses of its traps that never return.
    pub(super) fatal: BTreeSet<u64>,
    /// Its size in bytes.
    pub(super) length: u64,
}

impl MachineFunction {
    /// Decodes a function. The symbol table is trusted only if the code agrees: some call goes to the function's first
    /// byte, its own calls go to functions, and its jumps stay inside.
    pub(super) fn read(name: &str, memory: &ImageMemory, symbols: &Symbols) -> Result<Self, NoFunction> {
        let pieces = symbols.pieces(name);
        if pieces.is_empty() {
            return Err(NoFunction::Absent);
        }
        let names: BTreeSet<&str> = pieces.iter().map(|(name, _)| *name).collect();
        let length: u64 = pieces.iter().map(|(_, range)| range.end - range.start).sum();
        if names.len() < pieces.len() {
            return Err(NoFunction::Ambiguous);
        }
        if length > LONGEST_FUNCTION || pieces.len() > MOST_PIECES {
            return Err(NoFunction::TooLong(length));
        }
        let mut instructions = BTreeMap::new();
        let mut entries = Vec::new();
        let mut cloned = false;
        for (piece, range) in &pieces {
            let suffix = &piece[name.len()..];
            if !suffix.starts_with(".cold") {
                entries.push(range.start);
                cloned |= !suffix.is_empty() && !suffix.starts_with(".llvm.");
            }
            let misplaced = |what: &str| NoFunction::Misplaced(format!("{piece} at {:#x} {what}", range.start));
            let code = memory.code(range.start, range.end).ok_or_else(|| misplaced("is outside the kernel's code"))?;
            for instruction in Decoder::with_ip(64, code, range.start, DecoderOptions::NONE) {
                if instruction.is_invalid() {
                    return Err(misplaced("has invalid instructions"));
                }
                instructions.insert(instruction.ip(), instruction);
            }
        }
        let fatal = instructions.keys().copied().filter(|&at| memory.is_fatal(at)).collect();
        let mut function = Self { instructions, entries, cloned, calls: BTreeMap::new(), fatal, length };
        function.calls = function.resolve(symbols)?;
        match function.entries.iter().find(|&&entry| !symbols.text().is_some_and(|text| is_called(memory, text, entry)))
        {
            Some(entry) => Err(NoFunction::Misplaced(format!("nothing calls {entry:#x}"))),
            None if function.entries.is_empty() => Err(NoFunction::Absent),
            None => Ok(function),
        }
    }

    /// Whether the function never continues after this instruction: a BUG(), or a call that never returns.
    pub(super) fn ends_at(&self, instruction: &Instruction) -> bool {
        let (at, calls) = (instruction.ip(), instruction.flow_control() == FlowControl::Call);
        let never_returns = |names: &BTreeSet<String>| NEVER_RETURN.iter().any(|name| names.contains(*name));
        self.fatal.contains(&at) || (calls && self.calls.get(&at).is_some_and(never_returns))
    }

    /// The addresses at which execution may continue.
    pub(super) fn successors(&self, instruction: &Instruction) -> impl Iterator<Item = u64> + use<> {
        let next = Some(instruction.next_ip());
        let target = Some(instruction.near_branch_target());
        let (next, target) = match instruction.flow_control() {
            _ if self.ends_at(instruction) => (None, None),
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => (next, None),
            FlowControl::ConditionalBranch => (next, target),
            FlowControl::UnconditionalBranch => (None, target),
            // The function continues after the trap of a WARN().
            FlowControl::Exception => (next, None),
            _ => (None, None),
        };
        next.into_iter().chain(target)
    }

    /// Whether it may have a jump table.
    pub(super) fn has_table(&self) -> bool {
        let indirect = |name: &String| name.starts_with("__x86_indirect");
        self.instructions.values().any(|instruction| match instruction.flow_control() {
            FlowControl::IndirectBranch => true,
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                self.calls.get(&instruction.ip()).is_some_and(|names| names.iter().any(indirect))
            }
            _ => false,
        })
    }

    /// The symbols that its calls and outgoing jumps go to. All other jumps must stay inside.
    fn resolve(&self, symbols: &Symbols) -> Result<BTreeMap<u64, BTreeSet<String>>, NoFunction> {
        let mut calls = BTreeMap::new();
        for (&at, instruction) in &self.instructions {
            let jumps =
                matches!(instruction.flow_control(), FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch);
            let calls_something = instruction.flow_control() == FlowControl::Call;
            if !(jumps || calls_something) {
                continue;
            }
            let target = instruction.near_branch_target();
            if jumps && self.instructions.contains_key(&target) {
                continue;
            }
            let names: BTreeSet<String> = symbols.at(target).map(str::to_owned).collect();
            if names.is_empty() {
                let goes = if jumps { "jumps" } else { "calls" };
                return Err(NoFunction::Misplaced(format!(
                    "the instruction at {at:#x} {goes} to {target:#x}, which is not a function"
                )));
            }
            calls.insert(at, names);
        }
        Ok(calls)
    }
}

/// Whether some instruction of the kernel directly calls or jumps to `target`.
fn is_called(memory: &ImageMemory, text: (u64, u64), target: u64) -> bool {
    /// `call rel32` and `jmp rel32`.
    const NEAR: [u8; 2] = [0xe8, 0xe9];
    let Some(code) = memory.code(text.0, text.1) else { return false };
    NEAR.into_iter().any(|opcode| {
        memchr_iter(opcode, code).any(|at| {
            let distance =
                code.get(at + 1..).and_then(|rest| rest.first_chunk()).map(|b| i64::from(i32::from_le_bytes(*b)));
            distance.is_some_and(|distance| (text.0 + at as u64 + 5).wrapping_add_signed(distance) == target)
        })
    })
}
