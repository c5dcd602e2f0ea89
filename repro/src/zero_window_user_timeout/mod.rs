//! The bug `zero-window-user-timeout`: `TCP_USER_TIMEOUT` never ends a connection whose peer keeps its window closed.
//!
//! The kernel probes a closed window and gives up after a number of unanswered probes. Each answer resets that number,
//! so the kernel waits for ever for a peer that answers with a window of 0 (9721e709fa68, "tcp: simplify window probe
//! aborting on USER_TIMEOUT"). The fix judges by the time since the first probe (`icsk_probes_tstamp` in
//! `tcp_probe_timer()`, net/ipv4/tcp_timer.c). Each recipe and control is one connection whose peer closes its window
//! in the handshake. They run concurrently.

pub mod judge;
pub mod observation;
mod script;

use crate::reproducer::{BuiltInReproducer, Context, Findings};
use crate::side_by_side::{self, Recipe};
use crate::wire::{Wire, WireError};
use backproof_protocol::{Check, Role};
use observation::TimeoutObservation;
use script::{SCRIPTS, TimeoutScript};

/// The reproducer.
pub const REPRODUCER: BuiltInReproducer =
    BuiltInReproducer { bug: "zero-window-user-timeout", needs: &["tun"], sets: &[], run };

fn run(context: &Context) -> Findings {
    side_by_side::perform(context, &SCRIPTS.each_ref()).conclude()
}

impl Recipe for TimeoutScript {
    type Observation = TimeoutObservation;

    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.peer.role()
    }

    fn perform(&self, context: &Context, wire: &mut Wire) -> Result<TimeoutObservation, WireError> {
        self.carry_out(context, wire)
    }

    fn judge(&self, seen: &Result<TimeoutObservation, String>) -> Check {
        judge::judge(self.name, self.peer, seen)
    }
}
