//! Parses the agent's serial port into messages, or into a typed fault if the guest breaks the protocol. The guest may
//! be hostile: lines, messages and bytes are bounded, and their order is checked.

use std::collections::BTreeMap;

use backproof_protocol::{Job, MAX_LINE, Message, VERSION};

use super::lines::{BoundedLine, Splitter};

/// Messages in one boot. Dozens of jobs with some dozen captures each stay far below.
const MAX_MESSAGES: usize = 10_000;

/// Bytes in one boot. A serial port takes minutes for more.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// The number of characters of a bad line to show in a fault.
const SHOWN: usize = 120;

/// A violation of the protocol by the agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolFault {
    /// A line has no end.
    #[error("a line of more than {MAX_LINE} bytes, beginning `{head}`")]
    TooLong {
        /// Its beginning.
        head: String,
    },
    /// A line is not UTF-8.
    #[error("a line that is not UTF-8: `{line}`")]
    NotUtf8 {
        /// The line, with replacements.
        line: String,
    },
    /// A line is not a message.
    #[error("a line that is not a message ({why}): `{line}`")]
    NotAMessage {
        /// The JSON reader's message.
        why: String,
        /// The line's head.
        line: String,
    },
    /// Something came before the hello.
    #[error("`{kind}` before the hello")]
    BeforeHello {
        /// The message's type.
        kind: &'static str,
    },
    /// The agent uses another version of the protocol.
    #[error("version {theirs} of the protocol, expected {VERSION}: the agent in the initramfs is not this program's")]
    OtherVersion {
        /// The agent's version.
        theirs: u32,
    },
    /// A second hello: PID 1 cannot start twice.
    #[error("a second hello")]
    SecondHello,
    /// The plan does not have this job.
    #[error("`{kind}` of job `{job}`, which is not in the plan")]
    UnknownJob {
        /// The message's type.
        kind: &'static str,
        /// The job's id.
        job: String,
    },
    /// A job started twice, reported twice, or reported without having started.
    #[error("`{kind}` of job `{job}`, which {state}")]
    OutOfOrder {
        /// The message's type.
        kind: &'static str,
        /// The job's id.
        job: String,
        /// The job's state.
        state: JobState,
    },
    /// Something came after the end.
    #[error("`{kind}` after the end")]
    AfterEnd {
        /// The message's type.
        kind: &'static str,
    },
    /// The end came before all jobs had reported.
    #[error("the end, while job `{job}` {state}")]
    EndTooEarly {
        /// The job's id.
        job: String,
        /// The job's state.
        state: JobState,
    },
    /// Reports were lost on the way.
    #[error("the end announces {said} reports, but {seen} arrived")]
    LostReports {
        /// The number in the end message.
        said: u32,
        /// The number that arrived.
        seen: u32,
    },
    /// More messages or bytes than any boot has.
    #[error("more than {MAX_MESSAGES} messages or {MAX_BYTES} bytes")]
    TooMuch,
}

/// A job's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It has not started.
    Planned,
    /// It has started.
    Running,
    /// It has reported.
    Reported,
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Planned => "has not started",
            Self::Running => "has started but not reported",
            Self::Reported => "has already reported",
        })
    }
}

/// The talk of one boot.
#[derive(Debug)]
pub(crate) struct Conversation {
    splitter: Splitter,
    jobs: BTreeMap<String, JobState>,
    greeted: bool,
    ended: bool,
    messages: usize,
    bytes: usize,
}

impl Conversation {
    pub(crate) fn new(plan: &[Job]) -> Self {
        Self {
            // The protocol's limit counts the newline.
            splitter: Splitter::new(MAX_LINE - 1),
            jobs: plan.iter().map(|job| (job.id.clone(), JobState::Planned)).collect(),
            greeted: false,
            ended: false,
            messages: 0,
            bytes: 0,
        }
    }

    /// Takes the next bytes; calls `each` for every message in its turn.
    ///
    /// # Errors
    /// The first fault. The conversation is over then, and the rest of the bytes is ignored.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Message)) -> Result<(), ProtocolFault> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_BYTES {
            return Err(ProtocolFault::TooMuch);
        }
        let mut splitter = std::mem::replace(&mut self.splitter, Splitter::new(MAX_LINE - 1));
        let mut result = Ok(());
        splitter.push(bytes, |line| {
            if result.is_ok() {
                result = self.line(&line, &mut each);
            }
        });
        self.splitter = splitter;
        result
    }

    /// Whether the hello has come.
    pub(crate) fn greeted(&self) -> bool {
        self.greeted
    }

    /// Whether the end has come.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// The jobs that are in this state.
    pub(crate) fn jobs_in(&self, state: JobState) -> impl Iterator<Item = &str> {
        self.jobs.iter().filter(move |&(_, &s)| s == state).map(|(job, _)| job.as_str())
    }

    fn line(&mut self, line: &BoundedLine<'_>, each: &mut impl FnMut(Message)) -> Result<(), ProtocolFault> {
        let line = match line {
            BoundedLine::TooLong(head) => return Err(ProtocolFault::TooLong { head: shown(head) }),
            BoundedLine::Whole(line) => line.strip_suffix(b"\r").unwrap_or(line),
        };
        let Ok(text) = std::str::from_utf8(line) else { return Err(ProtocolFault::NotUtf8 { line: shown(line) }) };
        if text.trim().is_empty() {
            return Ok(());
        }
        self.messages += 1;
        if self.messages > MAX_MESSAGES {
            return Err(ProtocolFault::TooMuch);
        }
        match serde_json::from_str::<Message>(text) {
            Ok(message) => {
                self.judge(&message)?;
                each(message);
                Ok(())
            }
            Err(_) if is_of_unknown_type(text) => Ok(()),
            Err(error) => Err(ProtocolFault::NotAMessage { why: error.to_string(), line: shown(line) }),
        }
    }

    fn judge(&mut self, message: &Message) -> Result<(), ProtocolFault> {
        let kind = kind_of(message);
        if self.ended {
            return Err(ProtocolFault::AfterEnd { kind });
        }
        if let Message::Hello(hello) = message {
            if self.greeted {
                return Err(ProtocolFault::SecondHello);
            }
            if hello.version != VERSION {
                return Err(ProtocolFault::OtherVersion { theirs: hello.version });
            }
            self.greeted = true;
            return Ok(());
        }
        if !self.greeted {
            return Err(ProtocolFault::BeforeHello { kind });
        }
        match message {
            Message::Hello(_) | Message::Note { .. } => Ok(()),
            Message::Started { job, .. } => self.advance(kind, job, JobState::Planned, JobState::Running),
            Message::Capture(capture) => self.advance(kind, &capture.job, JobState::Running, JobState::Running),
            Message::TimeLine(line) => self.advance(kind, &line.job, JobState::Running, JobState::Running),
            Message::Said { job, .. } => self.advance(kind, job, JobState::Running, JobState::Running),
            Message::Report(report) => self.advance(kind, &report.job, JobState::Running, JobState::Reported),
            Message::Aftermath(after) => self.advance(kind, &after.job, JobState::Reported, JobState::Reported),
            Message::Requested { job, .. } => self.advance(kind, job, JobState::Reported, JobState::Reported),
            Message::Reach(reach) => self.advance(kind, &reach.job, JobState::Reported, JobState::Reported),
            Message::End { reports } => self.end(*reports),
        }
    }

    fn advance(&mut self, kind: &'static str, job: &str, from: JobState, to: JobState) -> Result<(), ProtocolFault> {
        let Some(state) = self.jobs.get_mut(job) else {
            return Err(ProtocolFault::UnknownJob { kind, job: shown(job.as_bytes()) });
        };
        if *state != from {
            return Err(ProtocolFault::OutOfOrder { kind, job: job.to_owned(), state: *state });
        }
        *state = to;
        Ok(())
    }

    fn end(&mut self, said: u32) -> Result<(), ProtocolFault> {
        let seen = self.jobs_in(JobState::Reported).count().try_into().unwrap_or(u32::MAX);
        if said != seen {
            return Err(ProtocolFault::LostReports { said, seen });
        }
        if let Some((job, &state)) = self.jobs.iter().find(|&(_, &s)| s != JobState::Reported) {
            return Err(ProtocolFault::EndTooEarly { job: job.clone(), state });
        }
        self.ended = true;
        Ok(())
    }
}

/// The types of this version; a line of another type is a newer agent's and is ignored.
const KINDS: [&str; 11] =
    ["hello", "started", "capture", "time-line", "report", "reach", "note", "end", "said", "aftermath", "requested"];

fn kind_of(message: &Message) -> &'static str {
    KINDS[match message {
        Message::Hello(_) => 0,
        Message::Started { .. } => 1,
        Message::Capture(_) => 2,
        Message::TimeLine(_) => 3,
        Message::Report(_) => 4,
        Message::Reach(_) => 5,
        Message::Note { .. } => 6,
        Message::End { .. } => 7,
        Message::Said { .. } => 8,
        Message::Aftermath(_) => 9,
        Message::Requested { .. } => 10,
    }]
}

fn is_of_unknown_type(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Typed {
        r#type: String,
    }
    serde_json::from_str::<Typed>(text).is_ok_and(|typed| !KINDS.contains(&typed.r#type.as_str()))
}

fn shown(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)])
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if bytes.len() > SHOWN { text + "…" } else { text }
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
