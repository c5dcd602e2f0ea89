//! The bug `syn-cookie-data-loss`: a connection made from a SYN cookie loses the first bytes of its data.
//!
//! The cookie's check subtracts the sequence number of the current packet. If the first packet with data was lost, the
//! kernel takes the second for the first, and the MSS index decoded from the cookie is too small by the number of
//! missing bytes. The kernel accepts the connection as long as the index is not negative (`__cookie_v4_check`,
//! net/ipv4/syncookies.c). The missing bytes are then lost, even if they are sent again.

mod burst;
pub mod family;
mod flood;
pub mod judge;
mod profile;
mod store;
pub mod trial;

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::judging::{conclude, disagreement};
use crate::reproducer::{BuiltInReproducer, CAPTURE_ROOM, Context, Findings};
use crate::sut::counters::Snapshot;
use crate::sut::socket::Listener;
use crate::sut::sysctl;
use crate::wire::capture::WireCapture;
use crate::wire::packet::Flags;
use crate::wire::peer::{Offer, Peer};
use crate::wire::{AT_ONCE, Tried as _, Wire, WireError};
use backproof_protocol::{Check, Conclusion, Mutation, Role};
use burst::{Burst, SOMAXCONN};
use family::Family;
use trial::{CookieObservation, CookieTrial, Cookies, Taken, TrialEnding, Tried};

/// The reproducer.
pub const REPRODUCER: BuiltInReproducer =
    BuiltInReproducer { bug: "syn-cookie-data-loss", needs: &["tun", "syn-cookies"], sets: &[SYSCTL, SOMAXCONN], run };

const SYSCTL: &str = "net.ipv4.tcp_syncookies";

/// The request of the original report: a PyTorch TCPStore ADD of 1 to the key `init/`. It has the type of the query,
/// the length of the key in 8 bytes, the key, and the amount in 8 bytes.
pub const MESSAGE: &[u8] = b"\x03\x05\0\0\0\0\0\0\0init/\x01\0\0\0\0\0\0\0";

/// The numbers of missing bytes to try. Eight is beyond every kernel's table.
const MISSING: [u32; 6] = [0, 1, 2, 3, 4, 8];

/// All trials for these address families, controls last.
pub fn trials(families: &[Family]) -> Vec<CookieTrial> {
    let mut trials = Vec::new();
    for &family in families {
        for &mss in family.mss_values() {
            trials.extend(MISSING.map(|k| CookieTrial { family, mss, k, cookies: Cookies::Sent }));
        }
        let mss = 1440; // in both tables
        trials.push(CookieTrial { family, mss, k: 0, cookies: Cookies::TurnedOff });
        trials.push(CookieTrial { family, mss, k: 2, cookies: Cookies::Never });
    }
    trials
}

fn run(context: &Context) -> Findings {
    if !context.profile.is_empty() {
        return profile::run(context);
    }
    let families: &[Family] = if context.ipv6 { &[Family::V4, Family::V6] } else { &[Family::V4] };
    let capture = WireCapture::new(context.started, CAPTURE_ROOM);
    let (tried, (packets, packets_cut)) = match Wire::new(0, capture) {
        Ok(mut wire) => (try_all(context, &mut wire, families), wire.into_packets()),
        Err(error) => {
            let failed = |trial| (trial, Err(error.to_string()));
            (trials(families).into_iter().map(failed).collect(), (Vec::new(), false))
        }
    };
    let mut checks = judge::judge(&tried);
    if context.natural {
        for burst in NATURAL.map(natural_burst) {
            let seen = in_namespace(context, |context| burst.perform(context, 1).map_err(|error| error.to_string()));
            context.ended(&burst.name);
            checks.push(flood::judge(&burst.name, &seen));
        }
    }
    let (conclusion, deciding) = conclude(&checks);
    let why = reason(conclusion, &deciding, &tried);
    Findings { conclusion, why, checks, packets, packets_cut, time_lines: Vec::new() }
}

/// Lengths of the accept queue for bursts: that of the original report, which was the default until 5.4, and a short
/// one.
const NATURAL: [u32; 2] = [128, 16];

/// The clients of a burst: more than fit into the SYN queue and the accept queue of the original report.
const CLIENTS: u16 = 200;

fn natural_burst(somaxconn: u32) -> Burst {
    Burst {
        name: format!("tcpstore somaxconn={somaxconn}"),
        clients: CLIENTS,
        settings: vec![(SYSCTL, "1".to_owned()), (SOMAXCONN, somaxconn.to_string())],
        syns_only: false,
    }
}

/// Runs something on a thread with its own network namespace, or in this namespace if new ones can't be made.
fn in_namespace<T: Send>(
    context: &Context,
    what: impl FnOnce(&Context) -> Result<T, String> + Send,
) -> Result<T, String> {
    if !context.own_namespace {
        return what(context);
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            context.enter_namespace()?;
            what(context)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl CookieTrial {
    /// The mutation to apply. Controls get none, because recipes have to notice a fault by themselves.
    fn mutation(&self, context: &Context) -> Option<Mutation> {
        context.mutation.filter(|_| self.cookies == Cookies::Sent && self.k > 0)
    }
}

fn try_all(context: &Context, wire: &mut Wire, families: &[Family]) -> Vec<Tried> {
    let mut tried = Vec::new();
    let mut counters = Snapshot::take();
    let ipv6 = if families.contains(&Family::V6) { wire.add_ipv6() } else { Ok(()) };
    for (number, trial) in (0..).zip(trials(families)) {
        let name = trial.name();
        context.waiting("connection", &name);
        wire.begin(&name);
        wire.mutate(trial.mutation(context));
        let seen = match (&ipv6, trial.family) {
            (Err(error), Family::V6) => Err(error.to_string()),
            _ => {
                try_one(wire, &mut counters, &trial, number, trial.cookies.sysctl()).map_err(|error| error.to_string())
            }
        };
        tried.push((trial, seen));
    }
    tried
}

/// Tries one connection. Its `number` determines its port and initial sequence number. `counters` has the snapshot
/// before it, and gets the one after it. `cookies` is the value of tcp_syncookies.
fn try_one(
    wire: &mut Wire,
    counters: &mut Snapshot,
    trial: &CookieTrial,
    number: u16,
    cookies: &str,
) -> Result<CookieObservation, WireError> {
    set_cookies(cookies)?;
    let (server, client) = match trial.family {
        Family::V4 => (wire.server(), wire.host(2)),
        Family::V6 => (wire.server6(), wire.host6(2)),
    };
    // Each trial has its own listening socket, so that leftovers of one don't reach another.
    let server = SocketAddr::new(server, 3400 + number);
    let listener = Listener::new(server, None)?.mutated(wire.mutation());
    let isn = 1_000_000 * (u32::from(number) + 1);
    let mut peer = Peer::new(SocketAddr::new(client, 40000 + number), server, isn);
    peer.open(wire, Offer { mss: trial.mss, window: 65535, window_scale: None, sack_ok: false })?;
    peer.window = 65535;
    if trial.cookies == Cookies::TurnedOff {
        set_cookies("0")?;
    }
    // The ACK that ends the handshake is lost, and so are the first k bytes.
    let late = MESSAGE.get(trial.k as usize..).unwrap_or_default();
    peer.send_at(wire, trial.k, Flags::PSH, late)?;
    let (ending, taken) = match first_answer(wire, &peer, &listener)? {
        Answer::Accepted => {
            // The client retransmits the unacknowledged bytes, and closes.
            let again = &MESSAGE[..trial.k as usize];
            let taken = take(wire, &peer, &listener, again)?;
            (TrialEnding::Read(taken.data.clone()), Some(taken))
        }
        // A refusal does not use the cookie up. The cookie must be valid for the whole data, or the refusal proves
        // nothing.
        Answer::Refused if trial.cookies == Cookies::Sent => {
            peer.send_at(wire, 0, Flags::PSH, MESSAGE)?;
            let taken = match first_answer(wire, &peer, &listener)? {
                Answer::Accepted => Some(take(wire, &peer, &listener, &[])?),
                Answer::Refused => None,
            };
            (TrialEnding::Refused, taken)
        }
        Answer::Refused => (TrialEnding::Refused, None),
    };
    let (before, after) = (std::mem::replace(counters, Snapshot::take()), &*counters);
    let grown = |name| after.tcp_ext_since(&before, name);
    Ok(CookieObservation {
        ending,
        taken,
        sent: grown("SyncookiesSent"),
        received: grown("SyncookiesRecv"),
        failed: grown("SyncookiesFailed"),
    })
}

/// Accepts the connection, lets the client send the rest and close, and reads everything.
fn take(wire: &mut Wire, peer: &Peer, listener: &Listener, rest: &[u8]) -> Result<Taken, WireError> {
    let connection = listener.accept()?;
    let snd_mss = connection.tcp_info()?.snd_mss;
    if !rest.is_empty() {
        peer.send_at(wire, 0, Flags::PSH, rest)?;
    }
    let length = MESSAGE.len() as u32;
    peer.send_at(wire, length, Flags::FIN, &[])?;
    let data = connection.read_to_end(MESSAGE.len() + 1)?;
    // The client will not answer the server's FIN.
    peer.send_at(wire, length + 1, Flags::RST, &[])?;
    Ok(Taken { data, snd_mss })
}

fn set_cookies(value: &str) -> Result<(), WireError> {
    sysctl::write(SYSCTL, value).tried("setting net.ipv4.tcp_syncookies")
}

/// The kernel's answer to the first data.
enum Answer {
    Refused,
    Accepted,
}

/// Waits for an RST on the wire, or for a connection to accept.
fn first_answer(wire: &mut Wire, peer: &Peer, listener: &Listener) -> Result<Answer, WireError> {
    let deadline = Instant::now() + AT_ONCE;
    loop {
        while let Some(segment) = peer.receive(wire, Instant::now())? {
            if segment.flags.has(Flags::RST) {
                return Ok(Answer::Refused);
            }
        }
        if listener.has_connection()? {
            return Ok(Answer::Accepted);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let what = "an RST, or a connection to accept".to_owned();
            return Err(WireError::TimedOut { what, after: AT_ONCE });
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut both = [PollFd::new(&*wire, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
        match poll(&mut both, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).tried("waiting for an answer"),
        }
    }
}

fn reason(conclusion: Conclusion, deciding: &[&Check], tried: &[Tried]) -> String {
    let recipes = tried.iter().filter(|(t, _)| t.cookies == Cookies::Sent && t.k > 0).count();
    match conclusion {
        Conclusion::Affected => {
            let told = deciding.iter().find(|c| c.name == "k=1 mss=1460").or(deciding.first());
            let told = told.map(|c| format!("{}: {}", c.name, c.why)).unwrap_or_default();
            format!("{told}. Accepted without their first k bytes: {}", judge::observed(tried))
        }
        Conclusion::NotAffected => {
            format!("with SYN cookies, {recipes} of {recipes} connections whose first data came late lost nothing")
        }
        Conclusion::Mitigated | Conclusion::Error | Conclusion::Skip => {
            let control = |c: &Check| if c.role == Role::Recipe { "" } else { "control " };
            let told: Vec<_> =
                deciding.iter().take(3).map(|c| format!("{}{}: {}", control(c), c.name, c.why)).collect();
            let more = deciding.len().saturating_sub(told.len());
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            if told.is_empty() {
                "no check could run".to_owned()
            } else {
                format!("{}{}{more}", disagreement(deciding).unwrap_or_default(), told.join("; "))
            }
        }
    }
}
