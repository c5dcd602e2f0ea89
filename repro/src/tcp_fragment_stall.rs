//! The bug `tcp-fragment-stall`: a connection with a full send buffer goes silent for ever after a loss.
//!
//! `tcp_fragment()` refuses to split a segment while half of `sk_wmem_queued` is above `sk_sndbuf`
//! (f070ef2ac667, "tcp: tcp_fragment() should apply sane memory limits"). A lost segment that is longer than the
//! MSS has to be split to be sent again, so it never is. Each recipe makes a connection in that state, loses data
//! and watches; they run side by side, each on a thread with a network namespace and a wire of its own.

pub mod judge;
mod script;
mod watch;

use std::thread;

use crate::judging::conclude;
use crate::protocol::{Check, Conclusion, Packet};
use crate::reproducer::{CAPTURE_ROOM, Context, Findings, Reproducer};
use crate::wire::Wire;
use crate::wire::capture::Capture;
use judge::Seen;
use script::{RECIPES, Script};

/// The reproducer.
pub const REPRODUCER: Reproducer = Reproducer { bug: "tcp-fragment-stall", needs: &["tun"], sets: &[], run };

fn run(context: &Context) -> Findings {
    let performed: Vec<_> = if context.own_namespace {
        // Each thread has a namespace of its own, so the counters are each recipe's own.
        let spawn = |numbered| {
            let context = context.clone();
            thread::spawn(move || perform(&context, 0, numbered))
        };
        let threads: Vec<_> = RECIPES.iter().map(spawn).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    } else {
        (0..).zip(&RECIPES).map(|(net, script)| perform(context, net, script)).collect()
    };
    let (mut checks, mut packets, mut packets_cut) = (Vec::new(), Vec::new(), false);
    for Performed { check, packets: (seen, cut) } in performed {
        checks.push(check);
        packets.extend(seen);
        packets_cut |= cut;
    }
    packets.sort_by_key(|p| p.at_us);
    let (conclusion, deciding) = conclude(&checks);
    let why = match (conclusion, deciding.as_slice()) {
        (_, []) => "no check could be made".to_owned(),
        // A stall of one connection is the finding; a pass stands on all recipes.
        (Conclusion::Affected, [first, ..]) => format!("{}: {}", first.name, first.why),
        (_, all) => all.iter().map(|c| format!("{}: {}", c.name, c.why)).collect::<Vec<_>>().join("; "),
    };
    Findings { conclusion, why, checks, packets, packets_cut, time_lines: Vec::new() }
}

struct Performed {
    check: Check,
    packets: (Vec<Packet>, bool),
}

/// Performs one recipe on a wire of its own.
fn perform(context: &Context, net: u8, script: &Script) -> Performed {
    let judged = |seen: Result<Seen, String>| judge::judge(script.name, script.role, script.slack, &seen);
    let capture = Capture::new(context.started, CAPTURE_ROOM / RECIPES.len());
    let entered = if context.own_namespace { context.enter_namespace() } else { Ok(()) };
    let wire = entered.and_then(|()| Wire::new(net, capture).map_err(|error| error.to_string()));
    let performed = match wire {
        Ok(mut wire) => {
            wire.begin(script.name);
            let seen = script.perform(context, &mut wire).map_err(|error| error.to_string());
            Performed { check: judged(seen), packets: wire.into_packets() }
        }
        Err(error) => Performed { check: judged(Err(error)), packets: (Vec::new(), false) },
    };
    context.ended(script.name);
    performed
}
