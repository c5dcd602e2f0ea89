//! The protocol between the agent and the controller.
//!
//! The controller puts a [`Plan`] into the initramfs at [`PLAN_PATH`]. The agent reads it, and writes one UTF-8 JSON
//! object a line, at most [`MAX_LINE`] bytes with its newline, to its own serial port: first a [`Message::Hello`], then
//! the jobs' messages, last a [`Message::End`]. Then it restarts the machine, which ends QEMU. The controller sends
//! nothing to the running agent, so people can repeat a recorded boot by hand.
//!
//! Readers ignore fields and message types that they don't know. A change that old readers would misunderstand
//! gets a new [`VERSION`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod aftermath;
mod packed;
mod program;
mod reach;

pub use aftermath::{Aftermath, KernelBook, LEAK_AGE_MS, LEAK_SCAN_MS, LeakRecord, LeakScan};
pub use packed::{BadCapture, Capture, Packet, Segment, TimeLine};
pub use program::{GuestMount, ProgramProtocol, ProgramRun};
pub use reach::{FunctionEntries, MAX_REACH, Reach, is_function_name};

/// The version of this protocol, sent in the hello.
pub const VERSION: u32 = 3;

/// The longest line in bytes, its newline included.
pub const MAX_LINE: usize = 64 * 1024;

/// The path of the plan in the initramfs.
pub const PLAN_PATH: &str = "/backproof/plan.json";

/// The folder in the initramfs with the modules that [`Plan::modules`] names.
pub const MODULES_DIR: &str = "/backproof/modules";

/// The folder in the initramfs with the users' programs: a folder for each, with the files that it needs beside it.
pub const PROGRAMS_DIR: &str = "/backproof/programs";

/// The folder beside a program with its libraries, if it is linked dynamically.
pub const LIBRARIES_DIR: &str = ".libraries";

/// The folder beside a program's files with the file system that it sees as its root.
pub const ROOTFS_DIR: &str = ".rootfs";

/// Where commands of a rootfs are: `PATH` as login(1) has it for root.
pub const ROOTFS_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The agent's first argument if it probes its own host. The plan comes on stdin as one line, and stdin stays open while
/// the controller lives; the messages go to stdout.
pub const PROBE_SUBCOMMAND: &str = "probe";

/// If a guest lacks a profile's sysctl, the error's reason starts with this. The sysctl's name follows.
pub const SETTING_FAILED: &str = "setting the profile's ";

/// The error of [`SETTING_FAILED`] starts with this if the kernel has no such sysctl: ENOENT alone may be about its value.
pub const NO_SUCH_SYSCTL: &str = "no such sysctl";

/// The agent's work. The controller writes it; PID 1 reads it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`VERSION`] of the controller. The agent rejects other versions.
    pub version: u32,
    /// File names in [`MODULES_DIR`], in load order.
    pub modules: Vec<String>,
    /// The jobs, with unique ids. Jobs that can run concurrently do, up to a limit.
    pub jobs: Vec<Job>,
    /// Kernel functions whose entries to count while each job runs, at most [`MAX_REACH`]. Jobs then run one after another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<String>,
}

/// One reproducer to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id, unique in the plan. Messages about the job carry it.
    pub id: String,
    /// The name of the bug, and so of its reproducer.
    pub bug: String,
    /// A user's program to run instead of a built-in reproducer: its path below [`PROGRAMS_DIR`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How to run that program.
    #[serde(default, skip_serializing_if = "ProgramRun::is_plain")]
    pub run: ProgramRun,
    /// The files of modules without which it cannot run, if they are in [`Plan::modules`]. The others may fail to load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Milliseconds after which the agent kills the job and reports it as timed out.
    pub deadline_ms: u64,
    /// Settings of the profile to apply before the job starts: sysctl name (`net.ipv4.tcp_syncookies`) to value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Whether to also record what the bug does to real connections, with real sockets on both ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub natural: bool,
    /// A fault to inject, to prove that the reproducer notices it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation: Option<Mutation>,
}

impl Job {
    /// A job under the kernel's own settings, whose id is its bug.
    pub fn new(bug: &str, deadline_ms: u64) -> Self {
        let (id, bug) = (bug.to_owned(), bug.to_owned());
        Self {
            id,
            bug,
            program: None,
            run: ProgramRun::default(),
            modules: Vec::new(),
            deadline_ms,
            sysctls: BTreeMap::new(),
            natural: false,
            mutation: None,
        }
    }
}

/// A fault injected around a reproducer's recipes. The reproducer may then report an error or the right verdict, but
/// never a wrong one. The controls get no fault, because the recipes must notice it themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// The wire drops the kernel's retransmissions.
    DropRetransmissions,
    /// The wire drops the peer's repeated segments, such as answers to zero-window probes.
    DropRepeatedAnswers,
    /// The wire lowers the MSS that a SYN offers, as some routers do.
    ClampMss,
    /// The peer closes its window.
    CloseWindow,
    /// The server's application never reads.
    NeverRead,
    /// The wall clock jumps back and forth.
    JumpClock,
}

impl Mutation {
    /// All mutations.
    pub const ALL: [Self; 6] = [
        Self::DropRetransmissions,
        Self::DropRepeatedAnswers,
        Self::ClampMss,
        Self::CloseWindow,
        Self::NeverRead,
        Self::JumpClock,
    ];
}

/// One line from the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// The first line: the agent and its kernel.
    Hello(Hello),
    /// A job has started.
    Started {
        /// The job's id.
        job: String,
        /// The kernel's taint before it. Absent if not asked for, or if it cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tainted: Option<u64>,
        /// The guest's clock then, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uptime_ms: Option<u64>,
    },
    /// A piece of a job's packet capture.
    Capture(Capture),
    /// A time line of one connection of a job, for people.
    TimeLine(TimeLine),
    /// A job's conclusion. Exactly one for each job that started, unless the guest dies.
    Report(Report),
    /// How often functions were entered while a job ran. Follows its report if [`Plan::reach`] names functions.
    Reach(Reach),
    /// What the kernel's books show after a job. Follows its report, and the time for which the kernel is watched after it,
    /// if [`ProgramRun::books`] names any.
    Aftermath(Aftermath),
    /// The modules that the kernel requested while a user's program ran, and that the guest does not have. Follows its report,
    /// if there were any.
    Requested {
        /// The job's id.
        job: String,
        /// The names or aliases that the kernel used (`net-pf-21`, `fs-ext4`), each once.
        modules: Vec<String>,
    },
    /// A line that a user's program printed for people. Comes while its job runs.
    Said {
        /// The job's id.
        job: String,
        /// The line, truncated.
        text: String,
    },
    /// A remark for people about something unusual that did not stop the agent.
    Note {
        /// The remark.
        text: String,
    },
    /// The last line: all jobs have reported. The machine then restarts.
    End {
        /// The number of sent reports, so that the controller notices a lost line.
        reports: u32,
    },
}

impl Message {
    /// The id of the job that it is about, if it is about one.
    pub fn job(&self) -> Option<&str> {
        match self {
            Self::Hello(_) | Self::Note { .. } | Self::End { .. } => None,
            Self::Started { job, .. } | Self::Said { job, .. } | Self::Requested { job, .. } => Some(job),
            Self::Capture(capture) => Some(&capture.job),
            Self::TimeLine(line) => Some(&line.job),
            Self::Report(report) => Some(&report.job),
            Self::Reach(reach) => Some(&reach.job),
            Self::Aftermath(aftermath) => Some(&aftermath.job),
        }
    }
}

/// The agent's environment at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the agent.
    pub version: u32,
    /// The agent's package version.
    pub agent: String,
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub build: String,
    /// Number of processors that are online.
    pub cpus: u32,
    /// Milliseconds since the kernel started (CLOCK_BOOTTIME).
    pub uptime_ms: u64,
    /// Optional features by name (`tun`, `net-ns`, `syn-cookies`, `so-meminfo`, `tcp-info`, `netstat-counter
    /// TCPWqueueTooBig` …), and whether the kernel has them.
    pub features: BTreeMap<String, bool>,
}

/// The result of one reproducer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job's id.
    pub job: String,
    /// The conclusion.
    pub conclusion: Conclusion,
    /// One sentence for people about what was seen, in the kernel's terms (bytes, counters, RTO).
    pub why: String,
    /// Everything that was tried, recipes and controls, in order.
    pub checks: Vec<Check>,
    /// Whether the output of a user's program says the result, too, in a protocol without checks (LTP, KTAP, TAP).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
    /// The job's duration in the guest, in milliseconds.
    pub took_ms: u64,
}

/// A reproducer's conclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// The bug showed, and the controls held.
    Affected,
    /// The bug did not show, although it would have on an affected kernel, and the controls held.
    NotAffected,
    /// The bug shows on this kernel, but not under the job's profile.
    Mitigated,
    /// The kernel lacks something that the reproducer needs.
    Skip,
    /// The reproducer could not judge: a control failed, or a proof is missing.
    Error,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, unique within the report: `small-sndbuf`, `k=3 mss=1460` …
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its result.
    pub shown: Shown,
    /// One sentence with the figures behind the result.
    pub why: String,
    /// Figures by name, with the unit in the name (`rto_ms`, `wmem_queued_bytes`). Null if the kernel doesn't provide
    /// it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Option<i64>>,
}

/// The role of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Provokes the bug: shows it on an affected kernel.
    Recipe,
    /// Must not show the bug on any kernel.
    NegativeControl,
    /// Must show its effect on every kernel: proves that the setup works.
    PositiveControl,
    /// Shows what the bug does to real connections. It never decides.
    Natural,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// The bug (or the positive control's effect) showed.
    Yes,
    /// It did not show, and there is proof that it would have.
    No,
    /// Unknown. `why` has the reason.
    Unclear,
}
