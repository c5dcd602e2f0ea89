//! Judges the trials: pure functions.

use std::collections::BTreeMap;

use super::MESSAGE;
use super::family::Family;
use super::trial::{CookieObservation, CookieTrial, Cookies, TrialEnding, Tried};
use backproof_protocol::{Check, Role, Shown};

/// The checks of all trials.
///
/// The kernel's table decides which trials are recipes. If the lowest MSS loses a byte, the kernel has the old table:
/// that MSS has index 0 in today's table. Beyond the index no kernel may lose anything.
pub fn judge(tried: &[Tried]) -> Vec<Check> {
    let old_table = |family: Family| {
        tried.iter().any(|(trial, seen)| {
            let lowest = family.mss_values().first() == Some(&trial.mss) && trial.family == family;
            lowest && trial.k == 1 && trial.cookies == Cookies::Sent && matches!(seen, Ok(s) if lost(trial, s))
        })
    };
    let (v4_old, v6_old) = (old_table(Family::V4), old_table(Family::V6));
    let old = |family| if family == Family::V4 { v4_old } else { v6_old };
    tried.iter().map(|(trial, seen)| judge_trial(trial, seen, old(trial.family))).collect()
}

/// Whether the server read the message without its first bytes.
fn lost(trial: &CookieTrial, seen: &CookieObservation) -> bool {
    let TrialEnding::Read(data) = &seen.ending else { return false };
    trial.k > 0 && data.as_slice() == MESSAGE.get(trial.k as usize..).unwrap_or_default()
}

fn judge_trial(trial: &CookieTrial, seen: &Result<CookieObservation, String>, old_table: bool) -> Check {
    let index = trial.family.index(trial.mss, old_table);
    let role = match trial {
        CookieTrial { cookies: Cookies::Never | Cookies::TurnedOff, .. } => Role::NegativeControl,
        CookieTrial { k: 0, .. } => Role::PositiveControl,
        CookieTrial { k, .. } if *k <= index => Role::Recipe,
        CookieTrial { .. } => Role::NegativeControl,
    };
    let (shown, why) = match seen {
        Err(error) => (Shown::Unclear, error.clone()),
        Ok(seen) => judge_seen(trial, seen),
    };
    let facts = facts(trial, seen.as_ref().ok(), index);
    Check { name: trial.name(), role, shown, why, facts }
}

fn judge_seen(trial: &CookieTrial, seen: &CookieObservation) -> (Shown, String) {
    let refused = seen.ending == TrialEnding::Refused;
    let counters = match (seen.sent, seen.received, seen.failed) {
        (Some(sent), Some(received), Some(failed)) => {
            format!("SyncookiesSent +{sent}, SyncookiesRecv +{received}, SyncookiesFailed +{failed}")
        }
        _ => "no counters of SYN cookies".to_owned(),
    };
    let whole = matches!(&seen.ending, TrialEnding::Read(data) if data == MESSAGE);
    let saw = match &seen.ending {
        TrialEnding::Refused => {
            let whole = seen.taken.as_ref().map_or(String::new(), |t| format!(", and taken whole (mss {})", t.snd_mss));
            format!("the first data, {} bytes late, was refused with an RST{whole}; {counters}", trial.k)
        }
        TrialEnding::Read(data) if whole => format!("the server read all {} bytes; {counters}", data.len()),
        TrialEnding::Read(data) => format!(
            "the server read {} … instead of {} …, {} of {} bytes{}; {counters}",
            hex(data),
            hex(MESSAGE),
            data.len(),
            MESSAGE.len(),
            if trial.k == 1 { query(data) } else { String::new() },
        ),
    };
    // An ordinary connection, with any outcome, proves nothing about cookies.
    let cookie_sent = seen.sent.is_none_or(|n| n > 0);
    let cookie_taken = seen.received.is_none_or(|n| n > 0);
    if trial.cookies == Cookies::Never {
        return match (seen.sent, whole) {
            (Some(1..), _) => (Shown::Unclear, format!("a cookie was sent with tcp_syncookies=0: {saw}")),
            (_, true) => (Shown::No, saw),
            _ if lost(trial, seen) => (Shown::Yes, saw),
            _ => (Shown::Unclear, saw),
        };
    }
    if !cookie_sent || (!refused && !cookie_taken) {
        return (Shown::Unclear, format!("no cookie was used: {saw}"));
    }
    if trial.cookies == Cookies::Sent
        && !lost(trial, seen)
        && let Some(doubt) = doubt(trial, seen)
    {
        return (Shown::Unclear, format!("{saw}; but {doubt}"));
    }
    match (trial.cookies, trial.k) {
        (Cookies::Sent, 0) => (if whole { Shown::Yes } else { Shown::No }, saw),
        (Cookies::Sent, _) if refused || whole => (Shown::No, saw),
        (Cookies::Sent, _) if lost(trial, seen) => (Shown::Yes, saw),
        (Cookies::TurnedOff, _) if refused => (Shown::No, saw),
        (Cookies::TurnedOff, _) => (Shown::Yes, saw),
        _ => (Shown::Unclear, saw),
    }
}

/// Why the cookie may not suit the trial; none if it does. It must be valid for the whole data, and carry the client's
/// MSS.
fn doubt(trial: &CookieTrial, seen: &CookieObservation) -> Option<String> {
    let Some(taken) = &seen.taken else {
        return Some("the kernel rejected the cookie with the whole data, too".to_owned());
    };
    if taken.data != MESSAGE {
        return Some(format!("the server read only {} bytes of the whole data", taken.data.len()));
    }
    let carried = trial.family.can_send(trial.mss, taken.snd_mss);
    (!carried).then(|| format!("the cookie did not carry the MSS of {}: snd_mss {}", trial.mss, taken.snd_mss))
}

/// A TCPStore server's parse of bytes that start one late: type and number of arguments of a query.
fn query(data: &[u8]) -> String {
    match query_of(data) {
        Some((kind, nargs)) => format!(" (as a TCPStore query: type {kind}, nargs {nargs})"),
        None => String::new(),
    }
}

fn query_of(data: &[u8]) -> Option<(u8, u64)> {
    let (kind, rest) = data.split_first()?;
    rest.first_chunk().map(|nargs| (*kind, u64::from_le_bytes(*nargs)))
}

fn hex(data: &[u8]) -> String {
    data.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn facts(trial: &CookieTrial, seen: Option<&CookieObservation>, index: u32) -> BTreeMap<String, Option<i64>> {
    let read = seen.and_then(|s| match &s.ending {
        TrialEnding::Read(data) => Some(data),
        TrialEnding::Refused => None,
    });
    let mut facts = vec![
        ("k_bytes", Some(i64::from(trial.k))),
        ("mss_bytes", Some(trial.mss.into())),
        ("mss_index", Some(index.into())),
        ("snd_mss_bytes", seen.and_then(|s| s.taken.as_ref()).map(|t| t.snd_mss.into())),
        ("refused", seen.map(|s| (s.ending == TrialEnding::Refused).into())),
        ("read_bytes", read.and_then(|data| i64::try_from(data.len()).ok())),
        ("syncookies_sent", seen.and_then(|s| s.sent)),
        ("syncookies_recv", seen.and_then(|s| s.received)),
        ("syncookies_failed", seen.and_then(|s| s.failed)),
    ];
    if let (1, Some((kind, nargs))) = (trial.k, read.and_then(|data| query_of(data))) {
        facts.push(("query_type", Some(kind.into())));
        facts.push(("nargs", i64::try_from(nargs).ok()));
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Describes the observed table: for each MSS, the k for which a connection was accepted without its first k bytes.
pub fn observed(tried: &[Tried]) -> String {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for (trial, seen) in tried {
        if matches!(seen, Ok(s) if trial.cookies == Cookies::Sent && lost(trial, s)) {
            let family = if trial.family == Family::V4 { "" } else { " (IPv6)" };
            let row = format!("mss {}{family}", trial.mss);
            match rows.iter_mut().find(|(name, _)| *name == row) {
                Some((_, ks)) => ks.push(trial.k.to_string()),
                None => rows.push((row, vec![trial.k.to_string()])),
            }
        }
    }
    rows.iter().map(|(row, ks)| format!("{row}: k={}", ks.join(","))).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::family::index;
    use super::super::trial::Taken;
    use super::*;
    use crate::judging::conclude;
    use backproof_protocol::Conclusion;

    fn seen(ending: TrialEnding, sent: i64, received: i64) -> CookieObservation {
        let taken = match &ending {
            TrialEnding::Read(data) => Some(data.clone()),
            TrialEnding::Refused => None,
        };
        let taken = taken.map(|data| Taken { data, snd_mss: 1460 });
        CookieObservation { ending, taken, sent: Some(sent), received: Some(received), failed: Some(0) }
    }

    /// An observation with the MSS of the trial's cookie. After a refusal, the whole data was accepted.
    fn proven(trial: &CookieTrial, old_table: bool, mut seen: CookieObservation) -> CookieObservation {
        let (new, old) = trial.family.tables();
        let table = if old_table { old } else { new };
        let room = if trial.family == Family::V4 { 1460 } else { 1440 };
        let data = seen.taken.map_or(MESSAGE.to_vec(), |taken| taken.data);
        seen.taken = Some(Taken { data, snd_mss: u32::from(table[index(table, trial.mss)]).min(room) });
        seen
    }

    /// The trials on a kernel that accepts k up to the MSS's index in its table (or none, if `strict`).
    fn kernel(old_table: bool, strict: bool) -> Vec<Tried> {
        let mut tried = Vec::new();
        for trial in super::super::trials(&[Family::V4, Family::V6]) {
            let accepted = trial.k == 0 || (!strict && trial.k <= trial.family.index(trial.mss, old_table));
            let read = |k: u32| TrialEnding::Read(MESSAGE[k as usize..].to_vec());
            let seen = match trial.cookies {
                Cookies::Never => seen(read(0), 0, 0),
                Cookies::TurnedOff => seen(TrialEnding::Refused, 1, 0),
                Cookies::Sent if accepted => seen(read(trial.k), 1, 1),
                Cookies::Sent => seen(TrialEnding::Refused, 1, 0),
            };
            let seen = if trial.cookies == Cookies::Sent { proven(&trial, old_table, seen) } else { seen };
            tried.push((trial, Ok(seen)));
        }
        tried
    }

    #[test]
    fn either_table_is_affected_and_strict_is_not() {
        for (old, strict, expected) in [
            (false, false, Conclusion::Affected),
            (true, false, Conclusion::Affected),
            (false, true, Conclusion::NotAffected),
        ] {
            let checks = judge(&kernel(old, strict));
            assert_eq!(conclude(&checks).0, expected, "{old} {strict}");
        }
        let table = observed(&kernel(false, false));
        assert!(table.starts_with("mss 1300: k=1; mss 1440: k=1,2; mss 1460: k=1,2,3; mss 1420 (IPv6)"), "{table}");
    }

    #[test]
    fn one_broken_control_is_never_a_verdict() {
        type Broken = (&'static str, fn(&CookieTrial) -> bool, Result<CookieObservation, String>);
        let broken: [Broken; 8] = [
            ("a trial fails", |t| t.k == 0, Err("no SYN-ACK".to_owned())),
            ("the road is down", |t| t.k == 0, Ok(seen(TrialEnding::Refused, 1, 0))),
            ("beyond the index", |t| t.k == 8, Ok(seen(TrialEnding::Read(MESSAGE[8..].to_vec()), 1, 1))),
            ("the cookie is good for nothing", |t| t.k == 8, Ok(seen(TrialEnding::Refused, 1, 0))),
            (
                "the MSS was clamped on its way",
                |t| t.k == 0 && t.mss > 536,
                Ok(CookieObservation {
                    taken: Some(Taken { data: MESSAGE.to_vec(), snd_mss: 536 }),
                    ..seen(TrialEnding::Read(MESSAGE.to_vec()), 1, 1)
                }),
            ),
            ("no cookie is sent", |t| t.k == 0, Ok(seen(TrialEnding::Read(MESSAGE.to_vec()), 0, 0))),
            (
                "accepted without cookies",
                |t| t.cookies == Cookies::TurnedOff,
                Ok(seen(TrialEnding::Read(MESSAGE.to_vec()), 1, 1)),
            ),
            (
                "lost without cookies",
                |t| t.cookies == Cookies::Never,
                Ok(seen(TrialEnding::Read(MESSAGE[3..].to_vec()), 0, 0)),
            ),
        ];
        for (what, which, instead) in broken {
            for strict in [false, true] {
                let mut tried = kernel(false, strict);
                tried.iter_mut().filter(|(t, _)| which(t)).for_each(|(_, seen)| *seen = instead.clone());
                assert_eq!(conclude(&judge(&tried)).0, Conclusion::Error, "{what}, strict: {strict}");
            }
        }
    }

    #[test]
    fn report_shows_the_query_that_the_server_read() {
        let checks = judge(&kernel(false, false));
        let check = checks.iter().find(|c| c.name == "k=1 mss=1460").expect("the report's own case");
        assert_eq!(check.shown, Shown::Yes);
        assert!(check.why.contains("read 05 00 00 00 … instead of 03 05 00 00 …, 21 of 22 bytes"), "{}", check.why);
        assert_eq!(check.facts["query_type"], Some(5));
        assert_eq!(check.facts["nargs"], Some(7_566_047_373_982_433_280));
    }

    #[test]
    fn bytes_that_are_neither_whole_nor_the_tail_are_unclear() {
        let trial = CookieTrial { family: Family::V4, mss: 1460, k: 1, cookies: Cookies::Sent };
        for (data, expected) in
            [(&MESSAGE[1..], Shown::Yes), (MESSAGE, Shown::No), (&MESSAGE[2..], Shown::Unclear), (&[], Shown::Unclear)]
        {
            assert_eq!(judge_seen(&trial, &seen(TrialEnding::Read(data.to_vec()), 1, 1)).0, expected, "{data:?}");
        }
    }

    #[test]
    fn refusal_is_proof_only_if_the_cookie_is_good() {
        let trial = CookieTrial { family: Family::V4, mss: 1460, k: 1, cookies: Cookies::Sent };
        let refused =
            CookieObservation { sent: None, received: None, failed: None, ..seen(TrialEnding::Refused, 1, 0) };
        let taken = |data: &[u8], snd_mss| Some(Taken { data: data.to_vec(), snd_mss });
        for (taken, expected) in [
            (taken(MESSAGE, 1460), Shown::No),
            (taken(MESSAGE, 536), Shown::Unclear),
            (taken(&MESSAGE[1..], 1460), Shown::Unclear),
            (None, Shown::Unclear),
        ] {
            assert_eq!(judge_seen(&trial, &CookieObservation { taken, ..refused.clone() }).0, expected);
        }
    }
}
