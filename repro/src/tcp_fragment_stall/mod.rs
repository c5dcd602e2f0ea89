//! The bug `tcp-fragment-stall`: a connection with a full send buffer goes silent for ever after a loss.
//!
//! `tcp_fragment()` refuses to split a segment while half of `sk_wmem_queued` is above `sk_sndbuf` (f070ef2ac667, "tcp:
//! tcp_fragment() should apply sane memory limits"). A lost segment that is longer than the MSS must be split before it
//! can be sent again, so it never is. Each recipe brings a connection into that state, loses data and watches. Recipes
//! run concurrently, each on a thread with its own network namespace and wire.

pub mod judge;
mod loss;
mod script;
mod trace;
mod transfer;
mod transfer_judge;
mod watch;

use crate::reproducer::{BuiltInReproducer, Context, Findings};
use crate::side_by_side::{self, Recipe};
use crate::wire::{Wire, WireError};
use backproof_protocol::{Check, Conclusion, Role, Segment, Shown};
use judge::StallObservation;
use script::{RECIPES, SYSTEM_BUFFER, StallScript};
use transfer::{TRANSFERS, Transfer};

/// The reproducer.
pub const REPRODUCER: BuiltInReproducer =
    BuiltInReproducer { bug: "tcp-fragment-stall", needs: &["tun"], sets: &[], run };

fn run(context: &Context) -> Findings {
    let recipes: Vec<&StallScript> = RECIPES.iter().chain(sets_wmem(context).then_some(&SYSTEM_BUFFER)).collect();
    let mut performed = side_by_side::perform(context, &recipes);
    let mut time_lines = Vec::new();
    if context.natural {
        for (check, segments) in side_by_side::each(context, &TRANSFERS, transfer) {
            time_lines.push((check.name.clone(), segments));
            performed.checks.push(check);
        }
    }
    let mut findings = performed.conclude();
    if findings.conclusion == Conclusion::Affected {
        findings.why += &mitigation(&findings.checks);
    }
    Findings { time_lines, ..findings }
}

/// Carries one transfer over real connections out.
fn transfer(context: &Context, net: u8, transfer: &Transfer) -> (Check, Vec<Segment>) {
    let entered = if context.own_namespace { context.enter_namespace() } else { Ok(()) };
    let (seen, segments) = match entered {
        Ok(()) => {
            let (seen, segments) = transfer.perform(context, net);
            (seen.map_err(|error| error.to_string()), segments)
        }
        Err(error) => (Err(error), Vec::new()),
    };
    context.ended(transfer.name);
    (transfer_judge::judge(transfer.name, &seen), segments)
}

/// Whether the profile sets the sizes of send buffers.
fn sets_wmem(context: &Context) -> bool {
    context.profile.keys().any(|name| name.replace('/', ".") == "net.ipv4.tcp_wmem")
}

/// Says whether larger send buffers help on an affected kernel, if the profile sets any.
fn mitigation(checks: &[Check]) -> String {
    let Some(check) = checks.iter().find(|c| c.name == SYSTEM_BUFFER.name) else { return String::new() };
    let outcome = match check.shown {
        Shown::No => "recovered",
        Shown::Yes => "stalled too",
        Shown::Unclear => "could not be judged",
    };
    format!(
        ". SO_SNDBUF set by the application overrides tcp_wmem; a connection with the system's buffer {outcome}: {}",
        check.why
    )
}

impl Recipe for StallScript {
    type Observation = StallObservation;

    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }

    fn perform(&self, context: &Context, wire: &mut Wire) -> Result<StallObservation, WireError> {
        self.carry_out(context, wire)
    }

    fn judge(&self, seen: &Result<StallObservation, String>) -> Check {
        judge::judge(self.name, self.role, self.slack, seen)
    }
}
