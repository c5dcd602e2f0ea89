//! `backproof affected`: is this kernel affected?

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context as _, anyhow};

use super::{Affected, Format, Stop, print, print_json};
use crate::answer::{Answers, Asked};
use crate::matrix::{Bug, Bugs};
use crate::report::{self, Style};

/// The most subjects that are read from stdin, and the most bytes of all: a nightly's fleet, and no endless stream.
const SUBJECTS: usize = 100_000;
const STDIN: u64 = 16 << 20;

/// Answers about each subject, and gives the exit code.
pub(super) fn affected(args: &Affected) -> Result<u8, Stop> {
    let bugs = Bugs::built_in();
    let asked = Asked { bugs: chosen(&bugs, args)? };
    let subjects = subjects(args)?;
    let answers = Answers::of(subjects.iter().map(|subject| asked.answer(subject)).collect());
    match args.format {
        Format::Json => print_json(&answers)?,
        Format::Table => print(&report::answers(&answers, Style::of_stdout()))?,
    }
    Ok(answers.exit_code)
}

fn chosen<'a>(bugs: &'a Bugs, args: &Affected) -> Result<Vec<&'a Bug>, Stop> {
    if args.bug.is_empty() {
        return Ok(bugs.iter().collect());
    }
    let known = || bugs.iter().map(|bug| bug.id.as_str()).collect::<Vec<_>>().join(", ");
    let find = |id| bugs.get(id).ok_or_else(|| Stop::usage(anyhow!("there is no bug `{id}`; known are {}", known())));
    args.bug.iter().map(find).collect()
}

/// What is asked about: the arguments, and each line of stdin where `-` stands for it or nothing was named.
fn subjects(args: &Affected) -> Result<Vec<String>, Stop> {
    let stdin = std::io::stdin();
    let from_stdin = args.what.iter().any(|what| what == "-") || (args.what.is_empty() && !stdin.is_terminal());
    let mut subjects: Vec<String> = args.what.iter().filter(|what| *what != "-").cloned().collect();
    if from_stdin {
        for line in stdin.lock().take(STDIN).lines() {
            let line = line.context("stdin cannot be read as UTF-8 text, one subject a line").map_err(Stop::usage)?;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                subjects.push(line.to_owned());
            }
            if subjects.len() > SUBJECTS {
                return Err(Stop::usage(anyhow!("more than {SUBJECTS} subjects; ask in parts")));
            }
        }
    }
    if subjects.is_empty() {
        let hint = "name a release (`backproof affected $(uname -r)`), a package, an image or a source tree, or write them to stdin, one a line";
        return Err(Stop::usage(anyhow!("nothing was asked about: {hint}")));
    }
    Ok(subjects)
}
