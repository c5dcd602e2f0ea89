//! Recipes that run side by side: each on a thread with a network namespace and a wire of its own.

use std::thread;

use crate::judging::conclude;
use crate::protocol::{Check, Conclusion, Packet, Role};
use crate::reproducer::{CAPTURE_ROOM, Context, Findings};
use crate::wire::capture::Capture;
use crate::wire::{Wire, WireError};

/// One recipe or control.
pub trait Recipe: Sync {
    /// What it observes.
    type Seen;

    /// Its name in the report.
    fn name(&self) -> &'static str;

    /// What it is for.
    fn role(&self) -> Role;

    /// Carries it out.
    ///
    /// # Errors
    /// Where the wire or the kernel does something else than the recipe needs; that is no verdict.
    fn perform(&self, context: &Context, wire: &mut Wire) -> Result<Self::Seen, WireError>;

    /// Judges what was seen. An error is why it could not be carried out.
    fn judge(&self, seen: &Result<Self::Seen, String>) -> Check;
}

/// Performs all recipes and draws the conclusion. Without network namespaces they run one after another, so that
/// the kernel's counters are each recipe's own all the same.
pub fn run<R: Recipe>(context: &Context, recipes: &[R]) -> Findings {
    let room = CAPTURE_ROOM / recipes.len().max(1);
    let performed: Vec<_> = if context.own_namespace {
        thread::scope(|scope| {
            let spawn = |recipe| scope.spawn(move || perform(context, 0, room, recipe));
            let threads: Vec<_> = recipes.iter().map(spawn).collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    } else {
        (0..).zip(recipes).map(|(net, recipe)| perform(context, net, room, recipe)).collect()
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
        // One connection that shows the bug is the finding; a pass stands on all recipes.
        (Conclusion::Affected, [first, ..]) => format!("{}: {}", first.name, first.why),
        (_, all) => all.iter().map(|c| format!("{}: {}", c.name, c.why)).collect::<Vec<_>>().join("; "),
    };
    Findings { conclusion, why, checks, packets, packets_cut, time_lines: Vec::new() }
}

struct Performed {
    check: Check,
    packets: (Vec<Packet>, bool),
}

/// Performs one recipe on a wire of its own, which keeps `room` bytes of packets.
fn perform<R: Recipe>(context: &Context, net: u8, room: usize, recipe: &R) -> Performed {
    let capture = Capture::new(context.started, room);
    let entered = if context.own_namespace { context.enter_namespace() } else { Ok(()) };
    let wire = entered.and_then(|()| Wire::new(net, capture).map_err(|error| error.to_string()));
    let performed = match wire {
        Ok(mut wire) => {
            wire.mutate(context.mutation.filter(|_| recipe.role() == Role::Recipe));
            wire.begin(recipe.name());
            let seen = recipe.perform(context, &mut wire).map_err(|error| error.to_string());
            Performed { check: recipe.judge(&seen), packets: wire.into_packets() }
        }
        Err(error) => Performed { check: recipe.judge(&Err(error)), packets: (Vec::new(), false) },
    };
    context.ended(recipe.name());
    performed
}
