//! The interface of a reproducer: its description, its context, and its findings.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::output::print_line;
use crate::sut::sysctl;
use crate::wire::namespace;
use backproof_protocol::{Check, Conclusion, Job, Mutation, NO_SUCH_SYSCTL, Packet, SETTING_FAILED, Segment};

/// The start of a progress line: `#check<TAB>what` names what a check waits for; `#check` alone says that it has ended.
/// Only PID 1 reads it.
pub const PROGRESS: char = '#';

/// Bytes of packets that one job may keep.
pub const CAPTURE_ROOM: usize = 64 * 1024;

/// Code that provokes one bug and judges the outcome.
#[derive(Clone, Copy, Debug)]
pub struct BuiltInReproducer {
    /// The bug's name.
    pub bug: &'static str,
    /// The features that it requires, named as in the hello.
    pub needs: &'static [&'static str],
    /// The sysctls that it sets. If one is global, not per namespace, the reproducer runs alone in the first namespace.
    pub sets: &'static [&'static str],
    /// Runs it in a network namespace that nothing else uses at the time.
    pub run: fn(&Context) -> Findings,
}

/// The context of a reproducer's run.
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
    /// The kernel's original values of the profile's sysctls, if the job runs in the first namespace.
    pub before: Arc<BTreeMap<String, String>>,
    /// Whether to run the checks on real connections too.
    pub natural: bool,
    /// The fault to inject.
    pub mutation: Option<Mutation>,
}

impl Context {
    /// The context of a job that started at `started`.
    pub fn new(job: &Job, started: Instant, own_namespace: bool, ipv6: bool) -> Self {
        let profile = Arc::new(job.sysctls.clone());
        // A value that can't be read can't be set either, and setting it reports the error.
        let kept = job.sysctls.keys().filter(|_| !own_namespace);
        let before = Arc::new(kept.filter_map(|name| Some((name.clone(), sysctl::read(name).ok()?))).collect());
        Self { started, own_namespace, ipv6, profile, before, natural: job.natural, mutation: job.mutation }
    }

    /// Moves only the calling thread into a new network namespace, if the kernel has them, and applies the profile
    /// there: a new namespace starts with the kernel's defaults.
    ///
    /// # Errors
    /// The failure, for people.
    pub fn enter_namespace(&self) -> Result<(), String> {
        let entered = if self.own_namespace { namespace::enter_new() } else { namespace::loopback_up() };
        entered.map_err(|error| format!("cannot prepare a network namespace: {error}"))?;
        self.set(&self.profile)
    }

    /// Sets the profile's sysctls to these values, in the calling thread's network namespace.
    ///
    /// # Errors
    /// The sysctl that failed, for people.
    pub fn set(&self, values: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, value) in values {
            let failed = |error: io::Error| {
                let is_missing = error.kind() == io::ErrorKind::NotFound && !sysctl::exists(name);
                let why = if is_missing { NO_SUCH_SYSCTL.to_owned() } else { error.to_string() };
                format!("{SETTING_FAILED}{name} to `{value}`: {why}")
            };
            sysctl::write(name, value).map_err(failed)?;
        }
        Ok(())
    }

    /// Tells PID 1 what a check waits for, so that the report of a job killed at its deadline can name it.
    pub fn waiting(&self, check: &str, what: &str) {
        print_line(&format!("{PROGRESS}{check}\t{what}"));
    }

    /// Tells PID 1 that a check has ended.
    pub fn ended(&self, check: &str) {
        print_line(&format!("{PROGRESS}{check}"));
    }
}

/// A reproducer's findings.
#[derive(Debug)]
pub struct Findings {
    /// The conclusion.
    pub conclusion: Conclusion,
    /// One sentence for people.
    pub why: String,
    /// All checks, recipes and controls.
    pub checks: Vec<Check>,
    /// The captured packets.
    pub packets: Vec<Packet>,
    /// Whether the capture is incomplete.
    pub packets_cut: bool,
    /// The time lines of real connections, by the name of the check.
    pub time_lines: Vec<(String, Vec<Segment>)>,
}

impl Findings {
    /// An error, with no checks.
    pub fn error(why: String) -> Self {
        let conclusion = Conclusion::Error;
        Self { conclusion, why, checks: Vec::new(), packets: Vec::new(), packets_cut: false, time_lines: Vec::new() }
    }
}

/// Whole milliseconds.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
