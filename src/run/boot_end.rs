//! How a boot ended, and what is kept of the guest's messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backproof_protocol::{Aftermath, Hello, Message, Packet, Reach, Report, Segment};

use crate::vm::{Boot, Failure};
use crate::words::JobId;

/// The most packets of one boot to keep. An agent sends a few hundred; a hostile guest could send millions.
const MAX_PACKETS: usize = 10_000;

/// The most segments of one boot's time lines to keep.
const MAX_SEGMENTS: usize = 100_000;

/// The most time lines of one job to keep.
const MAX_TIME_LINES: usize = 16;

/// The most unpacked bytes of one boot's packets and time lines. An agent sends less than a tenth of it.
const MAX_UNPACKED: usize = 16 << 20;

/// The most lines of one program to keep, and the most characters of each. The agent passes on fewer.
const MAX_SAID: usize = 40;
const MAX_SAID_LINE: usize = 400;

/// The most requested modules of one job to keep. The agent tells as many.
const MAX_REQUESTED: usize = 128;

/// The most characters of a guest's line or reason to keep.
pub(super) const GUEST_WORDS_MAX: usize = 300;

/// What the wire saw of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireRecord {
    /// Packets, in order.
    pub packets: Vec<Packet>,
    /// Time lines of the natural checks, by the guest's names.
    pub time_lines: BTreeMap<String, Vec<Segment>>,
}

/// How a boot ended.
#[derive(Clone, Debug, Default)]
pub struct BootEnd {
    /// The kernel's release string, if the guest came that far.
    pub release: Option<String>,
    /// The guest's clock when each job began, by its id.
    pub began: BTreeMap<String, Duration>,
    /// The counters that the agent found.
    pub counters: BTreeSet<String>,
    /// What the reproducers concluded.
    pub reports: Vec<Report>,
    /// What the wire saw, by the job's id.
    pub wire: BTreeMap<String, WireRecord>,
    /// How often functions were entered in each job, by its id.
    pub reach: BTreeMap<String, Reach>,
    /// The kernel's taint before each job, by its id, if it was asked for and could be read.
    pub tainted: BTreeMap<String, u64>,
    /// What the kernel's books showed after each job, by its id.
    pub aftermath: BTreeMap<String, Aftermath>,
    /// The modules that the kernel requested during each job, by its id.
    pub requested: BTreeMap<String, Vec<String>>,
    /// Why the boot failed, with the console's last lines.
    pub failure: Option<String>,
    /// The same, as the watch saw it; None if the boot could not be started.
    pub death: Option<Box<Failure>>,
    /// The jobs that had started.
    pub started: BTreeSet<String>,
    /// What users' programs said, by the job's id.
    pub said: BTreeMap<String, Vec<String>>,
    /// That the host was too busy, and what to do: a possible cause of timeouts.
    pub busy: Option<String>,
    /// SHA-256 of the transcript, in virtual time.
    pub transcript_sha256: Option<String>,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Remarks of the agent, and warnings of the kernel before the agent ran.
    pub notes: Vec<String>,
}

/// The counters that the agent found.
fn counters(hello: &Hello) -> BTreeSet<String> {
    let shown = hello.features.iter().filter(|(_, is_there)| **is_there);
    shown.filter_map(|(feature, _)| feature.strip_prefix("netstat-counter ")).map(str::to_owned).collect()
}

impl BootEnd {
    /// Of a boot, with up to `jobs` guests at a time.
    pub fn of(boot: &Boot, jobs: usize) -> Self {
        // A guest in virtual time doesn't notice it.
        let busy = boot.host.too_busy().filter(|_| boot.time.is_none()).map(|busy| too_busy(&busy, jobs));
        let mut end = Self {
            release: boot.hello().map(|hello| hello.release.clone()),
            counters: boot.hello().map(counters).unwrap_or_default(),
            failure: boot.end.as_ref().err().map(|failure| describe(failure, busy.as_deref())),
            death: boot.end.as_ref().err().cloned().map(Box::new),
            busy,
            transcript_sha256: boot.time.map(|_| boot.transcript.sha256()),
            seconds: boot.wall.as_secs_f64(),
            notes: boot.warnings.iter().map(|w| format!("the kernel warned while it booted: {}", w.title)).collect(),
            ..Self::default()
        };
        let (mut packets_kept, mut segments_kept) = (0, 0);
        let mut room = MAX_UNPACKED;
        for message in &boot.messages {
            match message {
                Message::Note { text } => end.notes.push(text.clone()),
                Message::Report(report) => end.reports.push(report.clone()),
                Message::Reach(reach) => _ = end.reach.entry(reach.job.clone()).or_insert_with(|| reach.clone()),
                Message::Capture(_) if packets_kept >= MAX_PACKETS => {}
                Message::TimeLine(_) if segments_kept >= MAX_SEGMENTS => {}
                Message::Capture(capture) => match capture.unpack(&mut room) {
                    Ok(packets) => {
                        packets_kept += packets.len();
                        end.wire.entry(capture.job.clone()).or_default().packets.extend(packets);
                    }
                    // No verdict depends on a capture.
                    Err(error) => tracing::warn!(job = capture.job, %error, "a packet capture is lost"),
                },
                Message::TimeLine(line) => match line.unpack(&mut room) {
                    Ok(segments) => {
                        let lines = &mut end.wire.entry(line.job.clone()).or_default().time_lines;
                        if lines.contains_key(&line.name) || lines.len() < MAX_TIME_LINES {
                            segments_kept += segments.len();
                            lines.entry(line.name.clone()).or_default().extend(segments);
                        }
                    }
                    Err(error) => tracing::warn!(job = line.job, %error, "a time line is lost"),
                },
                Message::Started { job, tainted, uptime_ms } => {
                    end.began.extend(uptime_ms.map(|at| (job.clone(), Duration::from_millis(at))));
                    end.started.insert(job.clone());
                    end.tainted.extend(tainted.map(|value| (job.clone(), value)));
                }
                Message::Aftermath(after) => {
                    _ = end.aftermath.entry(after.job.clone()).or_insert_with(|| after.clone());
                }
                Message::Requested { job, modules } => {
                    let words = modules.iter().take(MAX_REQUESTED).map(|name| guest_words(name)).collect();
                    _ = end.requested.entry(job.clone()).or_insert(words);
                }
                Message::Said { job, text } => {
                    let said = end.said.entry(job.clone()).or_default();
                    if said.len() < MAX_SAID {
                        said.push(text.chars().take(MAX_SAID_LINE).collect());
                    }
                }
                Message::Hello(_) | Message::End { .. } => {}
            }
        }
        if segments_kept >= MAX_SEGMENTS {
            end.notes.push(format!("time lines were cut: only {MAX_SEGMENTS} segments of a boot are kept"));
        }
        end
    }

    /// Whether a job's report counts: the guest lived, or died by itself while something later ran. Without anything later,
    /// the last job to report may have killed it: a deferred crash comes after the program's end.
    pub(super) fn has_report(&self, job: &JobId) -> bool {
        let id = job.to_string();
        let has = |id: &String| self.reports.iter().any(|report| report.job == *id);
        let Some(death) = &self.death else { return has(&id) };
        let is_last = self.reports.last().is_some_and(|report| report.job == id) && self.started.iter().all(has);
        death.kind.is_of_the_guest() && has(&id) && !is_last
    }

    /// The same boot for a job whose report came before the death, and counts.
    pub(super) fn before_death(&self) -> Self {
        Self { failure: None, ..self.clone() }
    }

    /// A boot that could not be started.
    pub(super) fn untried(why: &anyhow::Error) -> Self {
        Self { failure: Some(format!("{why:#}")), ..Self::default() }
    }
}

/// A line or a reason of a guest, without control characters and of bounded length.
pub(super) fn guest_words(text: &str) -> String {
    text.chars().take(GUEST_WORDS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// That the host was too busy, and what to do.
fn too_busy(busy: &str, jobs: usize) -> String {
    let remedy = if jobs > 1 { "rerun with --jobs 1" } else { "rerun when it is quieter" };
    format!("{busy}; {remedy}")
}

/// A failure with lines of the console. A busy host is named only for timeouts.
fn describe(failure: &Failure, busy: Option<&str>) -> String {
    let busy = busy.filter(|_| failure.kind.is_of_time()).map(|busy| format!("; {busy}")).unwrap_or_default();
    let mut lines = vec![format!("{failure}{busy}")];
    if failure.excerpt.is_empty() {
        lines.push("the console's last lines:".to_owned());
        lines.extend(failure.last_lines.iter().cloned());
        if failure.last_lines.is_empty() {
            lines.push("(nothing was printed)".to_owned());
        }
    } else {
        lines.extend(failure.excerpt.iter().cloned());
    }
    lines.join("\n")
}

#[cfg(test)]
#[path = "boot_end_tests.rs"]
mod tests;
