//! The process that runs one job: a built-in reproducer or a user's program.

use std::process::ExitCode;
use std::time::Instant;

use crate::output::{print_line, say};
use crate::reproducer::{BuiltInReproducer, CAPTURE_ROOM, Context, Findings, ms};
use crate::sut::clock;
use crate::wire::addresses;
use crate::{own_program, priority, registry};
use backproof_protocol::{Capture, Conclusion, Job, MAX_LINE, Message, Mutation, Report, TimeLine};

/// The agent's first argument in a process that runs one reproducer; the second is a [`Task`] as JSON.
pub const SUBCOMMAND: &str = "reproduce";

/// Packets in one capture message. With 128 bytes of data in each packet, its line stays below [`MAX_LINE`].
const PACKETS_A_LINE: usize = 160;

/// Segments in one message of a time line. A segment with three selective acknowledgements takes at most 200 bytes
/// uncompressed, so its line stays below [`MAX_LINE`].
const SEGMENTS_A_LINE: usize = 200;

/// The input of a reproducer's process, from PID 1.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Task {
    /// The job.
    pub job: Job,
    /// Whether to run in a new network namespace rather than in the first.
    pub own_namespace: bool,
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
    /// The number of jobs that ran before in the same namespace.
    pub turn: u8,
}

/// Runs the reproducer of one job and prints its messages, one a line, to stdout.
pub fn run_job(task: &str) -> ExitCode {
    let started = Instant::now();
    let Task { job, own_namespace, ipv6, turn } = match serde_json::from_str(task) {
        Ok(task) => task,
        Err(error) => {
            say(format_args!("backproof-agent {SUBCOMMAND}: `{task}` is not a task: {error}"));
            return ExitCode::from(2);
        }
    };
    report_panics(job.id.clone(), started);
    addresses::take_turn(turn);
    if let Some(program) = job.program.clone() {
        // PID 1 has told of a kernel that refuses.
        let _ = priority::rise_above_programs();
        let context = Context::new(&job, started, own_namespace, ipv6);
        let report = own_program::run(&context, &job, &program, print_message);
        print_message(&Message::Report(report));
        return ExitCode::SUCCESS;
    }
    let Some(reproducer) = registry::find(&job.bug) else {
        // PID 1 starts no process for an unknown bug.
        say(format_args!("backproof-agent {SUBCOMMAND}: no reproducer is called `{}`", job.bug));
        return ExitCode::from(2);
    };
    let context = Context::new(&job, started, own_namespace, ipv6);
    let id = job.id;
    let findings = match context.enter_namespace() {
        Ok(()) => run_mutated(reproducer, &context),
        Err(why) => Findings::error(why),
    };
    for packets in findings.packets.chunks(PACKETS_A_LINE) {
        match Capture::pack(&id, packets) {
            Ok(capture) => print_message(&Message::Capture(capture)),
            Err(error) => say(format_args!("backproof-agent: cannot pack a capture: {error}")),
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
                Err(error) => say(format_args!("backproof-agent: cannot pack a time line: {error}")),
            }
        }
    }
    print_message(&Message::Report(Report {
        job: id,
        conclusion,
        why,
        checks,
        reported: false,
        took_ms: ms(started.elapsed()),
    }));
    ExitCode::SUCCESS
}

/// Runs the reproducer, with a jumping clock if the mutation asks for it. The wire, the peer and the application apply
/// the other mutations.
fn run_mutated(reproducer: &BuiltInReproducer, context: &Context) -> Findings {
    if context.mutation != Some(Mutation::JumpClock) {
        return (reproducer.run)(context);
    }
    let jumping = match clock::Jumping::start() {
        Ok(jumping) => jumping,
        Err(error) => return Findings::error(format!("cannot make the wall clock jump: {error}")),
    };
    let findings = (reproducer.run)(context);
    let text = format!("the wall clock jumped {} times", jumping.stop());
    print_message(&Message::Note { text });
    findings
}

/// Turns a panic into the job's report. The process then aborts, and PID 1 keeps the first report.
fn report_panics(job: String, started: Instant) {
    std::panic::set_hook(Box::new(move |panic| {
        print_message(&Message::Report(Report {
            job: job.clone(),
            conclusion: Conclusion::Error,
            why: format!("the reproducer panicked: {panic}"),
            checks: Vec::new(),
            reported: false,
            took_ms: ms(started.elapsed()),
        }));
    }));
}

fn print_message(message: &Message) {
    match serde_json::to_string(message) {
        Ok(line) if line.len() < MAX_LINE => print_line(&line),
        Ok(line) => say(format_args!("backproof-agent: a line of {} bytes is longer than {MAX_LINE}", line.len())),
        Err(error) => say(format_args!("backproof-agent: cannot write a message: {error}")),
    }
}

/// PID 1 waits for any child, so tests of one process that start children would take each other's: they take turns.
#[cfg(test)]
pub(crate) static CHILDREN_OF_TESTS: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use backproof_protocol::Packet;

    use super::*;

    #[test]
    fn full_capture_message_fits_into_a_line() {
        let packet = Packet {
            at_us: 99_999_999_999,
            out: false,
            check: "k=8 mss=8940 ipv6 and more".to_owned(),
            length: 65_535,
            data: String::new(),
        };
        // Incompressible bytes, from a linear congruential generator.
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
}
