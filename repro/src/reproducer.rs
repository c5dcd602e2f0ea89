//! What a reproducer is, which ones there are, and the process that runs one.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::own_program;
use crate::stderr::say;
use crate::sut::{clock, namespace, sysctl};
use crate::{syn_cookie_data_loss, tcp_fragment_stall, zero_window_user_timeout};
use backproof_protocol::{
    Capture, Check, Conclusion, Job, MAX_LINE, Message, Mutation, Packet, Report, SETTING_FAILED, Segment, TimeLine,
};

/// The agent's first argument in a process that runs one reproducer; the second is a [`Task`] as JSON.
pub const SUBCOMMAND: &str = "reproduce";

/// Starts a line that says what a check waits for: `#check<TAB>what`, or `#check` alone when the check has ended.
/// Only PID 1 reads it.
pub const PROGRESS: char = '#';

/// Bytes of packets that one job may keep.
pub const CAPTURE_ROOM: usize = 64 * 1024;

/// Packets in one capture message: with 128 bytes of data a packet, its line stays below [`MAX_LINE`].
const PACKETS_A_LINE: usize = 160;

/// Segments in one message of a time line: a segment with three selective acknowledgements takes at most 200 bytes
/// before it is compressed, so that its line stays below [`MAX_LINE`].
const SEGMENTS_A_LINE: usize = 200;

/// Code that provokes one bug and judges the outcome.
#[derive(Clone, Copy, Debug)]
pub struct BuiltInReproducer {
    /// The bug's name.
    pub bug: &'static str,
    /// Features of the hello without which it cannot run.
    pub needs: &'static [&'static str],
    /// Sysctls that it sets. Where they are not a namespace's own, it runs alone in the first namespace.
    pub sets: &'static [&'static str],
    /// Runs it, in a network namespace that nothing else uses at the time.
    pub run: fn(&Context) -> Findings,
}

/// All reproducers.
pub const ALL: [BuiltInReproducer; 3] =
    [tcp_fragment_stall::REPRODUCER, syn_cookie_data_loss::REPRODUCER, zero_window_user_timeout::REPRODUCER];

/// The reproducer of a bug.
pub fn find(bug: &str) -> Option<&'static BuiltInReproducer> {
    ALL.iter().find(|r| r.bug == bug)
}

/// What PID 1 tells the process of a reproducer.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Task {
    /// The job.
    pub job: Job,
    /// Whether to run in a new network namespace rather than in the first.
    pub own_namespace: bool,
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
}

/// What a reproducer has at hand.
#[derive(Clone, Debug)]
pub struct Context {
    /// When the job started.
    pub started: Instant,
    /// Whether new network namespaces can be made.
    pub own_namespace: bool,
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
    /// The profile's sysctls.
    pub profile: Arc<BTreeMap<String, String>>,
    /// What the kernel had for the profile's sysctls, where the job runs in the first namespace.
    pub before: Arc<BTreeMap<String, String>>,
    /// Whether to go the natural road too.
    pub natural: bool,
    /// What to do wrong on purpose.
    pub mutation: Option<Mutation>,
}

impl Context {
    /// That of a job which started then.
    fn of(job: &Job, started: Instant, own_namespace: bool, ipv6: bool) -> Self {
        let profile = Arc::new(job.sysctls.clone());
        // A value that cannot be read cannot be set either, and that is told when it is tried.
        let kept = job.sysctls.keys().filter(|_| !own_namespace);
        let before = Arc::new(kept.filter_map(|name| Some((name.clone(), sysctl::read(name).ok()?))).collect());
        Self { started, own_namespace, ipv6, profile, before, natural: job.natural, mutation: job.mutation }
    }

    /// Moves the calling thread alone into a new network namespace, where there are any, and applies the profile
    /// there: a new namespace starts from the kernel's own settings, not from those of the one before.
    ///
    /// # Errors
    /// What could not be done, in words.
    pub fn enter_namespace(&self) -> Result<(), String> {
        let entered = if self.own_namespace { namespace::enter_new() } else { namespace::loopback_up() };
        entered.map_err(|error| format!("preparing a network namespace: {error}"))?;
        self.set(&self.profile)
    }

    /// Sets the profile's sysctls to these values, in the calling thread's network namespace.
    ///
    /// # Errors
    /// Which of them could not be set, in words.
    pub fn set(&self, values: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, value) in values {
            let failed = |error| format!("{SETTING_FAILED}{name} to `{value}`: {error}");
            sysctl::write(name, value).map_err(failed)?;
        }
        Ok(())
    }

    /// Tells PID 1 what a check waits for, so that a job that is killed at its deadline can say so.
    pub fn waiting(&self, check: &str, what: &str) {
        print_line(&format!("{PROGRESS}{check}\t{what}"));
    }

    /// Tells PID 1 that a check has ended.
    pub fn ended(&self, check: &str) {
        print_line(&format!("{PROGRESS}{check}"));
    }
}

/// What a reproducer found.
#[derive(Debug)]
pub struct Findings {
    /// The conclusion.
    pub conclusion: Conclusion,
    /// One sentence for people.
    pub why: String,
    /// Everything that was tried.
    pub checks: Vec<Check>,
    /// What the wires saw.
    pub packets: Vec<Packet>,
    /// Whether the wires saw more than is kept.
    pub packets_cut: bool,
    /// What happened on the natural road's connections, by the name of the check.
    pub time_lines: Vec<(String, Vec<Segment>)>,
}

impl Findings {
    /// That nothing could be judged.
    pub fn error(why: String) -> Self {
        let conclusion = Conclusion::Error;
        Self { conclusion, why, checks: Vec::new(), packets: Vec::new(), packets_cut: false, time_lines: Vec::new() }
    }
}

/// Runs the reproducer of one job and prints its messages, one a line, to stdout.
pub fn run_job(task: &str) -> ExitCode {
    let started = Instant::now();
    let Task { job, own_namespace, ipv6 } = match serde_json::from_str(task) {
        Ok(task) => task,
        Err(error) => {
            say(format_args!("backproof-agent {SUBCOMMAND}: `{task}` is not a task: {error}"));
            return ExitCode::from(2);
        }
    };
    report_panics(job.id.clone(), started);
    if let Some(program) = job.program.clone() {
        let context = Context::of(&job, started, own_namespace, ipv6);
        let report = own_program::run(&context, &job, &program, print_message);
        print_message(&Message::Report(report));
        return ExitCode::SUCCESS;
    }
    let Some(reproducer) = find(&job.bug) else {
        // PID 1 starts no process for a bug that it does not know.
        say(format_args!("backproof-agent {SUBCOMMAND}: no reproducer is called `{}`", job.bug));
        return ExitCode::from(2);
    };
    let context = Context::of(&job, started, own_namespace, ipv6);
    let id = job.id;
    let findings = match context.enter_namespace() {
        Ok(()) => run_mutated(reproducer, &context),
        Err(why) => Findings::error(why),
    };
    for packets in findings.packets.chunks(PACKETS_A_LINE) {
        match Capture::pack(&id, packets) {
            Ok(capture) => print_message(&Message::Capture(capture)),
            Err(error) => say(format_args!("backproof-agent: packing a capture: {error}")),
        }
    }
    if findings.packets_cut {
        let text = format!("{id}: packets beyond {CAPTURE_ROOM} bytes were not kept");
        print_message(&Message::Note { text });
    }
    let Findings { conclusion, why, checks, time_lines, .. } = findings;
    for (name, segments) in time_lines {
        for segments in segments.chunks(SEGMENTS_A_LINE) {
            match TimeLine::pack(&id, &name, segments) {
                Ok(line) => print_message(&Message::TimeLine(line)),
                Err(error) => say(format_args!("backproof-agent: packing a time line: {error}")),
            }
        }
    }
    print_message(&Message::Report(Report { job: id, conclusion, why, checks, took_ms: ms(started.elapsed()) }));
    ExitCode::SUCCESS
}

/// Runs the reproducer, under a clock that jumps where that is the mutation; the others are the wire's, the peer's
/// and the application's.
fn run_mutated(reproducer: &BuiltInReproducer, context: &Context) -> Findings {
    if context.mutation != Some(Mutation::JumpClock) {
        return (reproducer.run)(context);
    }
    let jumping = match clock::Jumping::start() {
        Ok(jumping) => jumping,
        Err(error) => return Findings::error(format!("making the wall clock jump: {error}")),
    };
    let findings = (reproducer.run)(context);
    let text = format!("the wall clock jumped {} times", jumping.stop());
    print_message(&Message::Note { text });
    findings
}

/// Whole milliseconds.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A panic becomes the job's report; the process then aborts, and PID 1 keeps the first report.
fn report_panics(job: String, started: Instant) {
    std::panic::set_hook(Box::new(move |panic| {
        print_message(&Message::Report(Report {
            job: job.clone(),
            conclusion: Conclusion::Error,
            why: format!("the reproducer panicked: {panic}"),
            checks: Vec::new(),
            took_ms: ms(started.elapsed()),
        }));
    }));
}

fn print_message(message: &Message) {
    match serde_json::to_string(message) {
        Ok(line) if line.len() < MAX_LINE => print_line(&line),
        Ok(line) => say(format_args!("backproof-agent: a line of {} bytes is longer than {MAX_LINE}", line.len())),
        Err(error) => say(format_args!("backproof-agent: writing a message: {error}")),
    }
}

/// One line to stdout, in one write. Where PID 1 has closed the pipe there is nobody left to tell.
fn print_line(line: &str) {
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_full_capture_message_fits_into_a_line() {
        let packet = Packet {
            at_us: 99_999_999_999,
            out: false,
            check: "k=8 mss=8940 ipv6 and more".to_owned(),
            length: 65_535,
            data: String::new(),
        };
        // Bytes that nothing compresses: a linear congruential generator's.
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let mut data = || STANDARD.encode((0..128).map(|_| noise()).collect::<Vec<u8>>());
        let packets: Vec<Packet> = (0..PACKETS_A_LINE).map(|_| Packet { data: data(), ..packet.clone() }).collect();
        let message = Message::Capture(Capture::pack(&"b".repeat(100), &packets).expect("packs"));
        let line = serde_json::to_string(&message).expect("serialises");
        assert!(line.len() < MAX_LINE, "{}", line.len());
    }

    #[test]
    fn every_reproducer_is_found_by_its_bug() {
        for reproducer in ALL {
            assert_eq!(find(reproducer.bug).map(|r| r.bug), Some(reproducer.bug));
        }
        assert!(find("no-such-bug").is_none());
    }
}
