//! A host as text: the answer first, then the evidence.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Style;
use super::answers::{NOT_COUNTED, why, word};
use super::formats::Document;
use super::style::{BAD, BROKEN, DIM, GOOD, LOUD};
use super::text::{fit, paragraph, visible};
use crate::answer::{HostBug, HostDocument};
use crate::host::counters::{Count, WATCHED};
use crate::host::{BittenAnswer, Complaint, HostFacts, Namespace, SETTINGS, WaitingSocket};
use crate::verdict::Verdict;

impl Document for HostDocument {
    fn text(&self, style: Style) -> String {
        let mut text = Text { text: String::new(), style };
        text.answer(self);
        for bug in &self.bugs {
            text.bug(bug);
        }
        text.waiting(&self.namespaces);
        text.remedies(&self.bugs);
        if style.explain {
            text.namespaces(&self.namespaces);
            text.host(&self.host);
        } else {
            text.unseen(self);
            let _ = writeln!(text.text, "\n{DIM}--explain shows the evidence{DIM:#}");
        }
        text.text
    }
}

struct Text {
    text: String,
    style: Style,
}

impl Text {
    fn paragraph(&mut self, first: &str, what: &str) {
        paragraph(&mut self.text, first, what, self.style);
    }

    /// The first line: the whole answer.
    fn answer(&mut self, document: &HostDocument) {
        let release = document.host.release.as_deref().unwrap_or("of unknown release");
        let with = |answer: BittenAnswer| {
            let bugs = document.bugs.iter().filter(move |bug| bug.bitten == Some(answer));
            bugs.map(|bug| bug.bug.to_string()).collect::<Vec<_>>()
        };
        let affected: Vec<String> = document
            .bugs
            .iter()
            .filter(|bug| bug.judgement.as_ref().is_some_and(|judgement| judgement.verdict == Verdict::Affected))
            .map(|bug| bug.bug.to_string())
            .collect();
        let _ = write!(self.text, "Linux {}: ", fit(&visible(release), 60));
        if !affected.is_empty() {
            let _ = write!(self.text, "{BAD}affected{BAD:#} by {}; ", affected.join(", "));
        }
        let said = [BittenAnswer::Now, BittenAnswer::MayHaveBeen, BittenAnswer::Exposed]
            .map(|answer| (answer, with(answer)))
            .into_iter()
            .find(|(_, bugs)| !bugs.is_empty());
        let _ = match said {
            Some((BittenAnswer::Now, _)) => writeln!(self.text, "{BAD}BITTEN NOW{BAD:#}"),
            Some((BittenAnswer::MayHaveBeen, _)) => writeln!(self.text, "{BROKEN}may have been bitten{BROKEN:#}"),
            // An exposure is not harm yet, so it must not hide missing facts.
            Some(_) => match with(BittenAnswer::Unknown).as_slice() {
                [] => writeln!(self.text, "{BROKEN}was exposed{BROKEN:#}"),
                unknown => writeln!(self.text, "{BROKEN}was exposed{BROKEN:#}; unknown for {}", unknown.join(", ")),
            },
            None if with(BittenAnswer::Unknown).is_empty() => {
                writeln!(self.text, "{GOOD}no sign that it was bitten{GOOD:#}")
            }
            None => writeln!(self.text, "unknown whether it was bitten"),
        };
    }

    fn bug(&mut self, bug: &HostBug) {
        let _ = write!(self.text, "\n{LOUD}{}{LOUD:#}", bug.bug);
        if let Some(answer) = bug.bitten {
            let colour = match answer {
                BittenAnswer::Now => BAD,
                BittenAnswer::MayHaveBeen | BittenAnswer::Exposed => BROKEN,
                BittenAnswer::Not | BittenAnswer::NotNow => GOOD,
                BittenAnswer::Unknown => DIM,
            };
            let _ = write!(self.text, "  bitten: {colour}{}{colour:#}", answer.words());
        }
        if let Some(judgement) = &bug.judgement {
            let (colour, word) = word(judgement);
            let _ = write!(self.text, "  kernel: {colour}{word}{colour:#}");
        }
        self.text.push('\n');
        if let Some(judgement) = &bug.judgement {
            if judgement.is_left_out(bug.counts) {
                self.paragraph("  not counted: ", NOT_COUNTED);
            }
            if self.style.explain {
                for finding in &judgement.findings {
                    self.paragraph(&format!("  {}: ", finding.witness), &finding.why);
                }
            } else if let Some(why) = why(judgement) {
                self.paragraph("  ", &why);
            }
        }
        if let Some(why) = &bug.not_probed {
            self.paragraph("  not probed: ", why);
        }
        for sentence in &bug.evidence {
            self.paragraph("  ", sentence);
        }
    }

    /// The facts that could not be seen, because they may change the answer.
    fn unseen(&mut self, document: &HostDocument) {
        let of_namespaces = document.namespaces.iter().flat_map(|namespace| &namespace.unseen);
        let unseen: BTreeSet<&String> = document.host.unseen.iter().chain(of_namespaces).collect();
        if !unseen.is_empty() {
            self.text.push('\n');
        }
        for what in unseen {
            self.paragraph("not seen: ", what);
        }
    }

    /// The waiting connections, stuck ones first.
    fn waiting(&mut self, namespaces: &[Namespace]) {
        const SHOWN: usize = 8;
        let all = namespaces.iter().flat_map(|n| n.sockets.iter().flat_map(|s| &s.waiting).map(move |w| (w, &n.name)));
        let mut all: Vec<(&WaitingSocket, &String)> = all.collect();
        all.sort_by_key(|(waiting, _)| waiting.complaint);
        if all.is_empty() {
            return;
        }
        let _ = writeln!(self.text, "\n{LOUD}connections that wait{LOUD:#}");
        for (waiting, namespace) in all.iter().take(SHOWN) {
            self.paragraph("  ", &connection(waiting, namespace));
        }
        let in_all: usize = namespaces.iter().filter_map(|n| n.sockets.as_ref()).map(|s| s.waiting_in_all).sum();
        if in_all > SHOWN {
            let _ = writeln!(self.text, "  {DIM}and {} more (--format json lists them){DIM:#}", in_all - SHOWN);
        }
    }

    fn remedies(&mut self, bugs: &[HostBug]) {
        for bug in bugs.iter().filter(|bug| !bug.remedies.is_empty()) {
            let _ = writeln!(self.text, "\n{LOUD}what to do about {}{LOUD:#}", bug.bug);
            for remedy in &bug.remedies {
                self.paragraph("  - ", remedy);
            }
        }
    }

    /// The host's own namespace, which is the first, and notable others.
    fn namespaces(&mut self, namespaces: &[Namespace]) {
        const SHOWN: usize = 8;
        let _ = writeln!(self.text, "\n{LOUD}network namespaces{LOUD:#}");
        let (told, quiet): (Vec<_>, Vec<_>) =
            namespaces.iter().enumerate().partition(|(n, each)| *n == 0 || is_told(each));
        for (_, namespace) in told.iter().take(SHOWN) {
            self.paragraph("  ", &one_namespace(namespace));
            for unseen in &namespace.unseen {
                self.paragraph("    not seen: ", unseen);
            }
        }
        let list = "(--format json lists them)";
        if told.len() > SHOWN {
            let _ = writeln!(self.text, "  {DIM}and {} more {list}{DIM:#}", told.len() - SHOWN);
        }
        let names: Vec<&str> = quiet.iter().take(SHOWN).map(|(_, each)| each.name.as_str()).collect();
        if !names.is_empty() {
            let more = if quiet.len() > names.len() { format!(" … {list}") } else { String::new() };
            self.paragraph("  ", &format!("{} with all counters at zero: {}{more}", quiet.len(), names.join(", ")));
        }
    }

    fn host(&mut self, host: &HostFacts) {
        let _ = writeln!(self.text, "\n{LOUD}host{LOUD:#}");
        for patch in host.livepatches.iter().flatten() {
            let state = match (patch.enabled, patch.transition) {
                (_, Some(true)) => "in transition",
                (Some(false), _) => "off",
                (Some(true), _) => "on",
                (None, _) => "on or off",
            };
            self.paragraph("  live patch ", &format!("{}, {state}: {}", patch.name, patch.functions.join(", ")));
        }
        if host.livepatches.as_ref().is_some_and(Vec::is_empty) {
            self.paragraph("  ", "no live patch is loaded");
        }
        if host.floods.as_ref().is_some_and(Vec::is_empty) {
            self.paragraph("  ", "the kernel's log mentions no SYN flood, as far back as it reaches");
        }
        for unseen in &host.unseen {
            self.paragraph("  not seen: ", unseen);
        }
    }
}

/// `10.0.0.1:3306 → 10.0.0.2:40000 of mysqld (1234) in host: 22680 bytes queued, …`
fn connection(waiting: &WaitingSocket, namespace: &str) -> String {
    let WaitingSocket { complaint, socket } = waiting;
    let mut text = format!("{} → {}", shown(&socket.local), shown(&socket.remote));
    if let Some(process) = &socket.process {
        let _ = write!(text, " of {process}");
    }
    let _ = write!(text, " in {namespace}: ");
    let what = match complaint {
        Complaint::Silent => "sends nothing",
        Complaint::Overfull => "holds too much",
        Complaint::Unanswered => "gets no answer",
        Complaint::Retransmitting => "retransmits",
        Complaint::ZeroWindow => "its peer's window is closed",
    };
    text.push_str(what);
    let mut figure = |value: Option<u64>, figure: &dyn Fn(u64) -> String| {
        if let Some(value) = value {
            let _ = write!(text, ", {}", figure(value));
        }
    };
    figure(socket.wmem_queued, &|n| format!("{n} bytes queued"));
    figure(socket.sndbuf, &|n| format!("send buffer {n}"));
    figure(socket.rto_ms, &|n| format!("rto {:.1} s", n as f64 / 1000.0));
    figure(socket.backoff.map(u64::from), &|n| format!("doubled {n} times"));
    figure(socket.last_sent_ms, &|n| format!("last sent {:.0} s ago", n as f64 / 1000.0));
    text
}

fn shown(address: &str) -> &str {
    if address.is_empty() { "?" } else { address }
}

/// Whether a namespace is notable: its counters are not zero, or part of it could not be seen.
fn is_told(namespace: &Namespace) -> bool {
    let counts = namespace.counters.iter().any(|counters| counters.values.values().any(|value| *value > 0));
    let waits = namespace.sockets.iter().any(|sockets| sockets.waiting_in_all > 0);
    counts || waits || !namespace.unseen.is_empty()
}

fn one_namespace(namespace: &Namespace) -> String {
    let mut text = namespace.name.clone();
    let mut facts = Vec::new();
    let plural = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    if namespace.processes > 0 {
        facts.push(plural(namespace.processes, "process", "processes"));
    }
    if let Some(sockets) = &namespace.sockets {
        facts.push(plural(sockets.connections, "connection", "connections"));
    }
    if !facts.is_empty() {
        let _ = write!(text, " ({})", facts.join(", "));
    }
    let mut figures = Vec::new();
    if let Some(counters) = &namespace.counters {
        let mut absent = Vec::new();
        for name in WATCHED {
            match counters.get(name) {
                Count::Is(value) => figures.push(format!("{name} {value}")),
                Count::NotThere | Count::ZeroOrNotThere | Count::Unknown => absent.push(name),
            }
        }
        if !absent.is_empty() {
            figures.push(format!("not listed: {}", absent.join(" ")));
        }
    }
    for name in SETTINGS {
        if let Some(value) = namespace.settings.get(name) {
            let short = name.rsplit('.').next().unwrap_or(name);
            figures.push(format!("{short} {}", value.replace(' ', "/")));
        }
    }
    if !figures.is_empty() {
        let _ = write!(text, ": {}", figures.join(", "));
    }
    text
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
