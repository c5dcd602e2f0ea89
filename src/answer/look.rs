//! Looks at one subject with every witness that needs no boot.

use std::collections::BTreeMap;

use super::{Answer, BugAnswer, Subject};
use crate::evidence::Finding;
use crate::evidence::exhibits::Exhibits;
use crate::matrix::{Bug, Source};
use crate::verdict::Ledger;
use crate::words::BugId;

/// What is asked, and with what it may be answered.
pub struct Asked<'a> {
    /// The bugs.
    pub bugs: Vec<&'a Bug>,
}

/// One subject, looked at.
pub struct Looked {
    text: String,
    understood: Option<String>,
    problem: Option<String>,
    exhibits: Exhibits,
    /// Where a boot can get the kernel from; none where it is known by name or source only.
    pub bootable: Option<Source>,
}

impl Asked<'_> {
    /// Looks at one subject, as it was given. What cannot be looked at is part of the answer.
    pub fn look(&self, text: &str) -> Looked {
        let blank = Looked {
            text: text.to_owned(),
            understood: None,
            problem: None,
            exhibits: Exhibits::default(),
            bootable: None,
        };
        match Subject::of(text, false) {
            Err(unclear) => Looked { problem: Some(unclear.to_string()), ..blank },
            Ok(Subject::Release(release)) => Looked {
                understood: Some(release.to_string()),
                exhibits: Exhibits { release: Some(Ok(release)) },
                ..blank
            },
            Ok(_) => Looked { problem: Some("not yet".to_owned()), ..blank },
        }
    }

    /// What it comes to, together with what a boot of it showed, bug by bug.
    pub fn answer(&self, looked: Looked, booted: &BTreeMap<BugId, Finding>) -> Answer {
        let conclude = |bug: &&Bug| {
            let mut findings = looked.exhibits.findings(bug);
            findings.extend(booted.get(&bug.id).cloned());
            BugAnswer::of(bug, Ledger { findings }, Vec::new(), "give its package or image")
        };
        let bugs = self.bugs.iter().map(conclude).collect();
        Answer { subject: looked.text, understood: looked.understood, problem: looked.problem, bugs }
    }
}
