//! Judges a profile's cell: does the profile prevent the bug?
//!
//! The control runs without the profile: it shows whether this kernel has the bug, and whether the burst of clients
//! overflows its queues. Then the same burst runs under the profile. Nothing may get lost, and no cookie may be sent,
//! because a burst that was answered with cookies may have lost nothing by luck.

use super::burst::{Burst, SOMAXCONN};
use super::family::Family;
use super::flood::{self, FloodObservation};
use super::judge;
use super::trial::{CookieTrial, Cookies, Tried};
use super::{CLIENTS, SYSCTL, in_namespace, try_one};
use crate::judging;
use crate::reproducer::{CAPTURE_ROOM, Context, Findings};
use crate::sut::counters::Snapshot;
use crate::wire::Wire;
use crate::wire::capture::WireCapture;
use backproof_protocol::{Check, Conclusion, Packet, Role, Shown};

/// The length of the accept queue, unless the profile sets it: the default until 5.4, as in the original report.
const USUAL_SOMAXCONN: u32 = 128;

/// The connection of the original report, with and without a late first byte, and one without cookies.
const WITHOUT_PROFILE: [CookieTrial; 3] = [
    CookieTrial { family: Family::V4, mss: 1460, k: 0, cookies: Cookies::Sent },
    CookieTrial { family: Family::V4, mss: 1460, k: 1, cookies: Cookies::Sent },
    CookieTrial { family: Family::V4, mss: 1440, k: 2, cookies: Cookies::Never },
];

/// All observations.
#[derive(Debug)]
struct All {
    /// Connections without the profile.
    without: Vec<Tried>,
    /// The burst without the profile, until all SYNs have been answered.
    overflow: Result<FloodObservation, String>,
    /// The burst under the profile.
    burst: Result<FloodObservation, String>,
    /// One connection under the profile, if it sets tcp_syncookies or lets the kernel send cookies.
    single: Option<Tried>,
}

/// Judges a profile's cell.
///
/// Each part has its own network namespace. If a sysctl of the profile is global (such as tcp_syncookies in 4.4), the
/// parts run in the first namespace one after another: first under the kernel's original values, then under the
/// profile's. Process 1 restores the original values.
pub fn run(context: &Context) -> Findings {
    let shares = !context.own_namespace;
    if let Some(Err(why)) = shares.then(|| context.set(&context.before)) {
        return Findings::error(format!("cannot restore the kernel's own settings: {why}"));
    }
    let bare = Context { profile: std::sync::Arc::default(), ..context.clone() };
    let (without, mut packets, mut packets_cut) = connections(&bare, 0, &WITHOUT_PROFILE, None);
    let overflow = burst(&bare, 1, "tcpstore without the profile", true);
    if let Some(Err(why)) = shares.then(|| context.set(&context.profile)) {
        return Findings::error(why);
    }
    let seen = burst(context, 2, "tcpstore under the profile", false);
    let cookies_sent = seen.as_ref().is_ok_and(|seen| seen.counters.sent.is_some_and(|sent| sent > 0));
    let single =
        single(context.profile.get(SYSCTL).map(|value| value.trim()), cookies_sent).and_then(|(trial, value)| {
            let (tried, more, cut) = connections(context, 3, &[trial], Some(&value));
            packets.extend(more);
            packets_cut |= cut;
            tried.into_iter().next()
        });
    let (conclusion, why, checks) = conclude(&All { without, overflow, burst: seen, single });
    Findings { conclusion, why, checks, packets, packets_cut, time_lines: Vec::new() }
}

/// The connection to try under a profile with this value of tcp_syncookies, and the value to try it with; none if the
/// burst is enough. If the burst was answered with cookies, it may have lost nothing by luck, so a connection with a
/// cookie is tried too.
fn single(value: Option<&str>, cookies_sent: bool) -> Option<(CookieTrial, String)> {
    let trial = |cookies| CookieTrial { family: Family::V4, mss: 1460, k: 1, cookies };
    match value {
        None | Some("1") if cookies_sent => Some((trial(Cookies::Sent), "2".to_owned())),
        // 2 answers every SYN with a cookie, 1 only if the queue is full.
        Some(value @ ("0" | "1")) => Some((trial(Cookies::Never), value.to_owned())),
        Some(value) => Some((trial(Cookies::Sent), value.to_owned())),
        None => None,
    }
}

/// A burst of clients. `net` gives it unique addresses if the parts share a namespace.
fn burst(context: &Context, net: u8, name: &str, syns_only: bool) -> Result<FloodObservation, String> {
    let settings = vec![(SYSCTL, "1".to_owned()), (SOMAXCONN, USUAL_SOMAXCONN.to_string())];
    let burst = Burst { name: name.to_owned(), clients: CLIENTS, settings, syns_only };
    let seen = in_namespace(context, |context| burst.perform(context, net).map_err(|error| error.to_string()));
    context.ended(name);
    seen
}

/// Tries connections in a new namespace, with each trial's tcp_syncookies or this one. `net` is as in [`burst`].
fn connections(
    context: &Context,
    net: u8,
    trials: &[CookieTrial],
    value: Option<&str>,
) -> (Vec<Tried>, Vec<Packet>, bool) {
    let tried = in_namespace(context, |context| {
        let capture = WireCapture::new(context.started, CAPTURE_ROOM / 2);
        let mut wire = Wire::new(net, capture).map_err(|error| error.to_string())?;
        let mut counters = Snapshot::take();
        let mut tried = Vec::new();
        for (number, &trial) in (0..).zip(trials) {
            wire.begin(&trial.name());
            wire.mutate(trial.mutation(context));
            let value = value.unwrap_or(trial.cookies.sysctl());
            let seen = try_one(&mut wire, &mut counters, &trial, number, value).map_err(|error| error.to_string());
            tried.push((trial, seen));
        }
        let (packets, cut) = wire.into_packets();
        Ok((tried, packets, cut))
    });
    match tried {
        Ok(tried) => tried,
        Err(error) => (trials.iter().map(|trial| (*trial, Err(error.clone()))).collect(), Vec::new(), false),
    }
}

/// The conclusion, its reason, and the checks.
fn conclude(all: &All) -> (Conclusion, String, Vec<Check>) {
    let mut checks = judge::judge(&all.without);
    let mut has_bug = false;
    for check in &mut checks {
        if check.role == Role::Recipe && check.shown == Shown::Yes {
            // It proves that there is something to mitigate.
            check.role = Role::PositiveControl;
            has_bug = true;
        }
        check.name.push_str(" without the profile");
    }
    checks.push(judge_overflow(&all.overflow));
    checks.push(judge_burst(&all.burst, has_bug));
    if let Some(tried) = &all.single {
        let mut single = judge::judge(std::slice::from_ref(tried));
        single.iter_mut().for_each(|check| check.name.push_str(" under the profile"));
        checks.extend(single);
    }
    let (conclusion, deciding) = judging::conclude(&checks);
    let told: Vec<_> = deciding.iter().map(|c| format!("{}: {}", c.name, c.why)).collect();
    let told = told.join("; ");
    match conclusion {
        Conclusion::NotAffected if has_bug => {
            let clients = all.burst.as_ref().map_or(0, |seen| seen.outcomes.len());
            let why = format!(
                "without the profile this kernel loses first bytes; with it, {clients} concurrent clients lost none. {told}"
            );
            (Conclusion::Mitigated, why, checks)
        }
        _ => (conclusion, told, checks),
    }
}

/// The burst must overflow the queues without the profile, or its silence under the profile would prove nothing.
fn judge_overflow(seen: &Result<FloodObservation, String>) -> Check {
    let (shown, why) = match seen {
        Err(error) => (Shown::Unclear, error.clone()),
        Ok(seen) => match seen.counters.sent {
            Some(0) => (Shown::No, format!("the burst did not overflow the SYN queue: {}", seen.describe_queues())),
            Some(_) => (Shown::Yes, format!("the burst overflows the SYN queue: {}", seen.describe_queues())),
            None => (Shown::Unclear, "the kernel does not count SyncookiesSent".to_owned()),
        },
    };
    flood::check("tcpstore without the profile", Role::PositiveControl, shown, why, seen)
}

fn judge_burst(seen: &Result<FloodObservation, String>, has_bug: bool) -> Check {
    let (shown, why) = match seen {
        Err(error) => (Shown::Unclear, error.clone()),
        Ok(seen) => {
            let described = seen.describe();
            match (seen.lost(), seen.open(), seen.counters.sent) {
                (1.., ..) => (Shown::Yes, described),
                (0, 1.., _) => (Shown::Unclear, format!("some clients were neither served nor reset: {described}")),
                (0, 0, _) if !has_bug => (Shown::No, described),
                (0, 0, Some(0)) => (Shown::No, described),
                (0, 0, Some(sent)) => {
                    (Shown::Unclear, format!("{sent} cookies were sent, so data was kept only by chance: {described}"))
                }
                (0, 0, None) => (Shown::Unclear, format!("the kernel does not count SyncookiesSent: {described}")),
            }
        }
    };
    flood::check("tcpstore under the profile", Role::Recipe, shown, why, seen)
}

#[cfg(test)]
mod tests {
    use super::super::MESSAGE;
    use super::super::trial::{CookieObservation, Taken, TrialEnding};
    use super::flood::{ClientOutcome, Counters};
    use super::*;

    const LOST: ClientOutcome = ClientOutcome::Lost { bytes: 1 };
    const TOLD: ClientOutcome = ClientOutcome::Told { errno: 104 };

    fn seen(outcomes: &[ClientOutcome], sent: Option<i64>) -> Result<FloodObservation, String> {
        Ok(FloodObservation {
            somaxconn: Some(128),
            answered_syns: outcomes.len(),
            outcomes: outcomes.to_vec(),
            counters: Counters { sent, ..Counters::default() },
            log: None,
            took_ms: 1,
        })
    }

    fn one(trial: CookieTrial, ending: TrialEnding, cookies: i64) -> Tried {
        let counted = Some(cookies);
        let data = if let TrialEnding::Read(data) = &ending { data.clone() } else { MESSAGE.to_vec() };
        let taken = Some(Taken { data, snd_mss: trial.mss.into() });
        (trial, Ok(CookieObservation { ending, taken, sent: counted, received: counted, failed: Some(0) }))
    }

    fn all(strict: bool, burst: Result<FloodObservation, String>) -> All {
        let whole = || TrialEnding::Read(MESSAGE.to_vec());
        let late = if strict { TrialEnding::Refused } else { TrialEnding::Read(MESSAGE[1..].to_vec()) };
        let [zero, first, never] = WITHOUT_PROFILE;
        let without = vec![one(zero, whole(), 1), one(first, late, 1), one(never, whole(), 0)];
        All { without, overflow: seen(&[ClientOutcome::Waiting], Some(71)), burst, single: None }
    }

    #[test]
    fn profile_mitigates_only_a_bug_that_shows_without_it() {
        use ClientOutcome::{Served, Waiting};
        use Conclusion::{Affected, Error, Mitigated, NotAffected};
        for (strict, outcomes, sent, expected) in [
            (false, &[Served, Served][..], Some(0), Mitigated),
            (false, &[Served, TOLD], Some(0), Mitigated),
            (false, &[Served, LOST], Some(9), Affected),
            (false, &[Served, LOST], Some(0), Affected),
            (false, &[Served, Served], Some(9), Error),
            (false, &[Served, Served], None, Error),
            (false, &[Served, Waiting], Some(0), Error),
            (true, &[Served, TOLD], Some(9), NotAffected),
            (true, &[Served, Served], Some(0), NotAffected),
            (true, &[Served, Waiting], Some(9), Error),
            (true, &[Served, LOST], Some(9), Affected),
        ] {
            let (found, why, _) = conclude(&all(strict, seen(outcomes, sent)));
            assert_eq!(found, expected, "{strict} {outcomes:?} {sent:?}: {why}");
        }
        assert_eq!(conclude(&all(false, Err("no TUN".to_owned()))).0, Error);
    }

    #[test]
    fn cookies_under_a_profile_are_tried() {
        for (value, sent, expected) in [
            (None, false, None),
            (None, true, Some((Cookies::Sent, "2"))),
            (Some("0"), false, Some((Cookies::Never, "0"))),
            (Some("0"), true, Some((Cookies::Never, "0"))),
            (Some("1"), false, Some((Cookies::Never, "1"))),
            (Some("1"), true, Some((Cookies::Sent, "2"))),
            (Some("2"), true, Some((Cookies::Sent, "2"))),
        ] {
            let found = single(value, sent);
            let found = found.as_ref().map(|(trial, value)| (trial.cookies, value.as_str()));
            assert_eq!(found, expected, "{value:?} {sent}");
        }
    }

    #[test]
    fn without_proof_of_an_overflow_there_is_no_verdict() {
        for overflow in [seen(&[ClientOutcome::Waiting], Some(0)), seen(&[], None), Err("no TUN".to_owned())] {
            let mut all = all(false, seen(&[ClientOutcome::Served], Some(0)));
            all.overflow = overflow;
            assert_eq!(conclude(&all).0, Conclusion::Error, "{:?}", all.overflow);
        }
    }

    #[test]
    fn data_loss_under_the_profile_decides() {
        let [_, first, _] = WITHOUT_PROFILE;
        let never = CookieTrial { cookies: Cookies::Never, ..first };
        let whole = || TrialEnding::Read(MESSAGE.to_vec());
        let late = TrialEnding::Read(MESSAGE[1..].to_vec());
        for (single, expected) in [
            (one(first, late, 1), Conclusion::Affected),
            (one(never, whole(), 0), Conclusion::Mitigated),
            (one(never, whole(), 1), Conclusion::Error),
            ((never, Err("no SYN-ACK".to_owned())), Conclusion::Error),
        ] {
            let all = All { single: Some(single), ..all(false, seen(&[ClientOutcome::Served], Some(0))) };
            assert_eq!(conclude(&all).0, expected, "{:?}", all.single);
        }
    }
}
