//! Runs recipes concurrently, each on a thread with its own network namespace and wire.

use std::thread;

use crate::judging::{conclude, disagreement};
use crate::reproducer::{CAPTURE_ROOM, Context, Findings};
use crate::wire::capture::WireCapture;
use crate::wire::{Wire, WireError};
use backproof_protocol::{Check, Conclusion, Packet, Role};

/// One recipe or control.
pub trait Recipe: Sync {
    /// The type of its observations.
    type Observation;

    /// Its name in the report.
    fn name(&self) -> &'static str;

    /// Its role.
    fn role(&self) -> Role;

    /// Performs it.
    ///
    /// # Errors
    /// If the wire or the kernel does something unexpected. That is not a verdict.
    fn perform(&self, context: &Context, wire: &mut Wire) -> Result<Self::Observation, WireError>;

    /// Judges what was seen. An `Err` says why the recipe could not be carried out.
    fn judge(&self, seen: &Result<Self::Observation, String>) -> Check;
}

/// The results of recipes.
#[derive(Debug)]
pub struct Performed {
    /// One check for each recipe.
    pub checks: Vec<Check>,
    packets: Vec<Packet>,
    packets_cut: bool,
}

/// Performs the recipes.
pub fn perform<R: Recipe>(context: &Context, recipes: &[&R]) -> Performed {
    let room = CAPTURE_ROOM / recipes.len().max(1);
    let (mut checks, mut packets, mut packets_cut) = (Vec::new(), Vec::new(), false);
    for (check, (seen, cut)) in each(context, recipes, |context, net, recipe| perform_one(context, net, room, *recipe))
    {
        checks.push(check);
        packets.extend(seen);
        packets_cut |= cut;
    }
    packets.sort_by_key(|p| p.at_us);
    Performed { checks, packets, packets_cut }
}

impl Performed {
    /// Draws the conclusion from the checks.
    pub fn conclude(self) -> Findings {
        let Self { checks, packets, packets_cut } = self;
        let (conclusion, deciding) = conclude(&checks);
        let why = match (conclusion, deciding.as_slice()) {
            (_, []) => "no check could run".to_owned(),
            // One connection that shows the bug is the finding. A pass requires all recipes.
            (Conclusion::Affected, [first, ..]) => format!("{}: {}", first.name, first.why),
            (_, all) => {
                let told: Vec<_> = all.iter().map(|c| format!("{}: {}", c.name, c.why)).collect();
                format!("{}{}", disagreement(all).unwrap_or_default(), told.join("; "))
            }
        };
        Findings { conclusion, why, checks, packets, packets_cut, time_lines: Vec::new() }
    }
}

/// Calls `what` for each item of a list. Calls run concurrently, each in its own namespace with its own counters. If
/// new namespaces can't be made, they run one after another, on different networks.
pub fn each<T: Sync, R: Send>(
    context: &Context,
    list: &[T],
    what: impl Fn(&Context, u8, &T) -> R + Copy + Send,
) -> Vec<R> {
    if !context.own_namespace {
        return (0..).zip(list).map(|(net, one)| what(context, net, one)).collect();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = list.iter().map(|one| scope.spawn(move || what(context, 0, one))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Performs one recipe on its own wire, which keeps `room` bytes of packets.
fn perform_one<R: Recipe>(context: &Context, net: u8, room: usize, recipe: &R) -> (Check, (Vec<Packet>, bool)) {
    let capture = WireCapture::new(context.started, room);
    let entered = if context.own_namespace { context.enter_namespace() } else { Ok(()) };
    let wire = entered.and_then(|()| Wire::new(net, capture).map_err(|error| error.to_string()));
    let performed = match wire {
        Ok(mut wire) => {
            wire.mutate(context.mutation.filter(|_| recipe.role() == Role::Recipe));
            wire.begin(recipe.name());
            let seen = recipe.perform(context, &mut wire).map_err(|error| error.to_string());
            (recipe.judge(&seen), wire.into_packets())
        }
        Err(error) => (recipe.judge(&Err(error)), (Vec::new(), false)),
    };
    context.ended(recipe.name());
    performed
}
