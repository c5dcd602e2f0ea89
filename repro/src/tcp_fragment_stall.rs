//! The bug `tcp-fragment-stall`: a connection with a full send buffer goes silent for ever after a loss.
//!
//! `tcp_fragment()` refuses to split a segment while half of `sk_wmem_queued` is above `sk_sndbuf`
//! (f070ef2ac667, "tcp: tcp_fragment() should apply sane memory limits"). A lost segment that is longer than the
//! MSS has to be split to be sent again, so it never is. Each recipe makes a connection in that state, loses data
//! and watches; they run side by side, each on a thread with a network namespace and a wire of its own.

mod course;
pub mod judge;
mod line;
mod loss;
mod script;
mod transfer;
mod watch;

use std::thread;

use crate::judging::{conclude, disagreement};
use crate::protocol::{Check, Conclusion, Packet, Segment, Shown};
use crate::reproducer::{CAPTURE_ROOM, Context, Findings, Reproducer};
use crate::wire::Wire;
use crate::wire::capture::Capture;
use judge::Seen;
use script::{RECIPES, SYSTEM_BUFFER, Script};
use transfer::{TRANSFERS, Transfer};

/// The reproducer.
pub const REPRODUCER: Reproducer = Reproducer { bug: "tcp-fragment-stall", needs: &["tun"], sets: &[], run };

fn run(context: &Context) -> Findings {
    let recipes: Vec<&Script> = RECIPES.iter().chain(sets_wmem(context).then_some(&SYSTEM_BUFFER)).collect();
    let performed = side_by_side(context, &recipes, |context, net, script| perform(context, net, script));
    let (mut checks, mut packets, mut packets_cut) = (Vec::new(), Vec::new(), false);
    for Performed { check, packets: (seen, cut) } in performed {
        checks.push(check);
        packets.extend(seen);
        packets_cut |= cut;
    }
    packets.sort_by_key(|p| p.at_us);
    let mut time_lines = Vec::new();
    if context.natural {
        for (check, segments) in side_by_side(context, &TRANSFERS, transfer) {
            time_lines.push((check.name.clone(), segments));
            checks.push(check);
        }
    }
    let (conclusion, deciding) = conclude(&checks);
    let why = match (conclusion, deciding.as_slice()) {
        (_, []) => "no check could be made".to_owned(),
        // A stall of one connection is the finding; a pass stands on all recipes.
        (Conclusion::Affected, [first, ..]) => format!("{}: {}{}", first.name, first.why, mitigation(&checks)),
        (_, all) => {
            let told: Vec<_> = all.iter().map(|c| format!("{}: {}", c.name, c.why)).collect();
            format!("{}{}", disagreement(all).unwrap_or_default(), told.join("; "))
        }
    };
    Findings { conclusion, why, checks, packets, packets_cut, time_lines }
}

/// Does something with each of a list: side by side, each in a namespace of its own, so that the counters are its
/// own too; or one after another, on networks of their own, where there are no namespaces.
fn side_by_side<T: Sync, R: Send>(context: &Context, list: &[T], what: fn(&Context, u8, &T) -> R) -> Vec<R> {
    if !context.own_namespace {
        return (0..).zip(list).map(|(net, one)| what(context, net, one)).collect();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = list.iter().map(|one| scope.spawn(move || what(context, 0, one))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Carries one transfer of the natural road out.
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
    (course::judge(transfer.name, &seen), segments)
}

/// Whether the profile sets the sizes of send buffers.
fn sets_wmem(context: &Context) -> bool {
    context.profile.keys().any(|name| name.replace('/', ".") == "net.ipv4.tcp_wmem")
}

/// What larger send buffers are good for on an affected kernel, where the profile sets any.
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
