//! The bug `tcp-fragment-stall`: a connection with a full send buffer goes silent for ever after a loss.
//!
//! `tcp_fragment()` refuses to split a segment while half of `sk_wmem_queued` is above `sk_sndbuf`
//! (f070ef2ac667, "tcp: tcp_fragment() should apply sane memory limits"). A lost segment that is longer than the
//! MSS has to be split to be sent again, so it never is. Each recipe makes a connection in that state, loses data
//! and watches; they run side by side, each on a thread with a network namespace and a wire of its own.

pub mod judge;
mod script;
mod watch;

use crate::protocol::{Check, Role};
use crate::reproducer::{Context, Findings, Reproducer};
use crate::side_by_side::{self, Recipe};
use crate::wire::{Wire, WireError};
use judge::Seen;
use script::{RECIPES, Script};

/// The reproducer.
pub const REPRODUCER: Reproducer = Reproducer { bug: "tcp-fragment-stall", needs: &["tun"], sets: &[], run };

fn run(context: &Context) -> Findings {
    side_by_side::run(context, &RECIPES)
}

impl Recipe for Script {
    type Seen = Seen;

    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }

    fn perform(&self, context: &Context, wire: &mut Wire) -> Result<Seen, WireError> {
        self.carry_out(context, wire)
    }

    fn judge(&self, seen: &Result<Seen, String>) -> Check {
        judge::judge(self.name, self.role, self.slack, seen)
    }
}
