//! Finds guests that have halted for good: a processor that halted with interrupts off never says anything again.

use std::time::Duration;

use tokio::time::Instant;

/// For how long a guest is silent before QEMU is asked; and from one question to the next.
const FIRST: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(8);

/// When to ask QEMU whether a silent guest has halted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HaltQuestion {
    /// When to ask next.
    pub(crate) at: Instant,
    /// The last answer.
    halted: bool,
}

impl HaltQuestion {
    /// For a guest with output now.
    pub(crate) fn after(now: Instant) -> Self {
        Self { at: now + FIRST, halted: false }
    }

    /// Takes an answer: whether the guest has halted for good. It takes two, because QEMU may read one register before the
    /// guest goes to sleep and the next one after.
    pub(crate) fn answer(&mut self, halted: bool, now: Instant) -> bool {
        self.at = now + if halted { AGAIN } else { LATER };
        std::mem::replace(&mut self.halted, halted) && halted
    }
}

/// Whether QEMU's register dump (`x86_cpu_dump_state`, target/i386/cpu-dump.c) shows only processors that are halted (HLT)
/// with interrupts off (bit 9 of the flags, IF). Each begins with `CPU#N`.
pub(crate) fn is_halted(registers: &str) -> bool {
    let mut each = registers.split("CPU#").filter(|dump| !dump.trim().is_empty()).peekable();
    each.peek().is_some() && each.all(is_halted_alone)
}

fn is_halted_alone(registers: &str) -> bool {
    let field = |name: &str| registers.split_whitespace().find_map(|word| word.strip_prefix(name));
    let flags = field("RFL=").or_else(|| field("EFL=")).and_then(|flags| u64::from_str_radix(flags, 16).ok());
    field("HLT=") == Some("1") && flags.is_some_and(|flags| flags & 0x200 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_dump_shows_a_halted_processor() {
        for (registers, halted) in [
            ("RIP=ffffffff81 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\nES =0000", true),
            ("RIP=ffffffff81 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1", false),
            ("RIP=ffffffff81 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0", false),
            ("EIP=00000279 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1", true),
            ("\nCPU#0\nRIP=1 RFL=00000046 HLT=1\n\nCPU#1\nRIP=2 RFL=00000002 HLT=1\n", true),
            ("\nCPU#0\nRIP=1 RFL=00000046 HLT=1\n\nCPU#1\nRIP=2 RFL=00000246 HLT=1\n", false),
            ("CPU#0\nRIP=1 RFL=00000046 HLT=1\n\nCPU#1\n", false),
            ("EFL=zz HLT=1", false),
            ("HLT=1", false),
            ("", false),
        ] {
            assert_eq!(is_halted(registers), halted, "{registers}");
        }
    }
}
