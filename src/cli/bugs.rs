//! `backproof bugs`: the known bugs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Format, Stop, ended, matrix_file, show};
use crate::exit::Exit;
use crate::matrix::{Bug, ProgramSource, Step};
use crate::report::{self, Document, Style};
use crate::words::{BugId, Role};

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

#[derive(Args, Debug)]
pub(super) struct BugsArgs {
    #[command(subcommand)]
    command: Option<BugsCommand>,
    /// Add your own dossiers from this folder
    #[arg(long, value_name = "DIR", global = true)]
    dossiers: Option<PathBuf>,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum BugsCommand {
    /// Describe one bug
    Show {
        /// Name of the bug, a CVE or a commit
        bug: BugId,
    },
}

/// The known bugs, or one of them.
#[derive(Serialize)]
struct BugsDocument<'a> {
    schema_version: u32,
    bugs: Vec<BugRecord<'a>>,
    #[serde(skip)]
    shown: Vec<&'a Bug>,
    /// Whether the text tells the whole story of each.
    #[serde(skip)]
    whole: bool,
}

impl Document for BugsDocument<'_> {
    fn text(&self, style: Style) -> String {
        match self.whole {
            true => self.shown.iter().map(|bug| report::story(bug, style)).collect(),
            false => report::bugs(&self.shown, style),
        }
    }
}

/// One bug, for machines.
#[derive(Serialize)]
struct BugRecord<'a> {
    id: &'a BugId,
    title: &'a str,
    summary: &'a str,
    /// Its reproducer: the agent's own, a program of its dossier, or none.
    reproducer: Option<&'static str>,
    steps: Vec<StepRecord<'a>>,
    references: &'a [String],
}

/// One step of a bug's chain, for machines.
#[derive(Serialize)]
struct StepRecord<'a> {
    role: Role,
    commit: Option<&'a str>,
    subject: Option<&'a str>,
    effect: &'a str,
}

impl<'a> BugRecord<'a> {
    fn of(bug: &'a Bug) -> Self {
        let reproducer = bug.reproducer.as_ref().map(|reproducer| match reproducer.program {
            ProgramSource::BuiltIn { .. } => "built-in",
            ProgramSource::Own(_) => "program",
        });
        let step = |step: &'a Step| StepRecord {
            role: step.role,
            commit: step.commit.as_ref().map(|commit| commit.as_str()),
            subject: step.subject.as_deref(),
            effect: &step.effect,
        };
        Self {
            id: &bug.id,
            title: &bug.title,
            summary: &bug.summary,
            reproducer,
            steps: bug.chain.iter().map(step).collect(),
            references: &bug.references,
        }
    }
}

/// Lists the known bugs, or describes one.
pub(super) fn bugs(args: &BugsArgs) -> Result<Exit, Stop> {
    let known = matrix_file::bugs(args.dossiers.as_deref())?;
    let shown: Vec<&Bug> = match &args.command {
        None => known.iter().collect(),
        Some(BugsCommand::Show { bug }) => vec![known.find(bug.as_str()).map_err(Stop::usage)?],
    };
    let bugs = shown.iter().copied().map(BugRecord::of).collect();
    let document = BugsDocument { schema_version: SCHEMA_VERSION, bugs, shown, whole: args.command.is_some() };
    ended(Exit::Clean, show(&document, args.format, Style::of_terminal()))
}
