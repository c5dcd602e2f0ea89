//! The witness `source`: compares the functions of a source tree with the dossier.
//!
//! It finds a guard by its structure. So it can judge a tree with a squashed history, a meaningless version number, or
//! a vendor's own spelling of the code. Code in an unknown form is `unknown`.

use std::collections::BTreeSet;
use std::io;

use super::exhibits::Exhibits;
use super::makefile::MakefileVersion;
use super::{Finding, StateSet, Strength, Witness};
use crate::matrix::{Bug, SourceSignature};
use crate::words::State;

mod case;
mod files;
mod function;
mod matching;
pub(super) mod patches;
pub(super) mod quilt;
mod quote;
mod snapshot;
mod tarball;
mod tree;

pub use files::{MAX_FILE, SourceFiles, SourceFolder};
pub use snapshot::SnapshotFiles;
pub use tarball::{Tarball, TarballError};

use case::Fit;
use quote::QuotedLines;
use tree::{SourceFunction, SourceTree};

/// The top-level file of a kernel's source that names its release.
const MAKEFILE: &str = "Makefile";

/// The files that [`weigh`] and [`release`] read for these bugs, to be extracted from a tarball.
pub fn wanted<'b>(bugs: impl IntoIterator<Item = &'b Bug>) -> BTreeSet<&'b str> {
    let signatures = bugs.into_iter().flat_map(|bug| &bug.source);
    signatures.flat_map(|signature| functions(signature).map(|(file, _)| file)).chain([MAKEFILE]).collect()
}

/// The functions that a signature names, each with its file.
fn functions(signature: &SourceSignature) -> impl Iterator<Item = (&str, &str)> {
    let elsewhere = signature.cases.iter().flat_map(|case| &case.elsewhere);
    let elsewhere = elsewhere.map(|other| (other.file.as_str(), other.function.as_str()));
    [(signature.file.as_str(), signature.function.as_str())].into_iter().chain(elsewhere)
}

/// The release in the source's Makefile, as `5.2.0-rc6`; none if there is no kernel Makefile.
///
/// # Errors
///
/// If the Makefile cannot be read.
pub fn release(files: &(impl SourceFiles + ?Sized)) -> io::Result<Option<String>> {
    let makefile = files.read(MAKEFILE)?;
    Ok(makefile.and_then(|text| MakefileVersion::parse(&text)).map(|version| version.to_string()))
}

/// Looks at the source for a bug, if there is a source.
pub(super) fn look(exhibits: &Exhibits<'_>, bug: &Bug) -> Option<Finding> {
    Some(match exhibits.source.as_ref()? {
        Ok(files) => weigh(bug, files.as_ref()),
        Err(why) => Finding::unknown(Witness::Source, why),
    })
}

/// Weighs a bug by its source signatures.
pub fn weigh(bug: &Bug, files: &(impl SourceFiles + ?Sized)) -> Finding {
    if bug.source.is_empty() {
        let why = format!("the dossier of {} has no source signature", bug.id);
        return Finding::aside(Witness::Source, why);
    }
    let read: Vec<&str> = bug.source.iter().flat_map(functions).map(|(file, _)| file).collect();
    if let Some(why) = quilt::unapplied(files, &read) {
        return Finding::unknown(Witness::Source, why);
    }
    let tree = SourceTree::read(files, bug.source.iter().flat_map(functions));
    let judged: Vec<SignatureFinding> = bug.source.iter().map(|signature| judge(signature, &tree)).collect();
    let states = judged.iter().fold(StateSet::all(), |left, judged| left.and(judged.states));
    let said = |some: &dyn Fn(&&SignatureFinding) -> bool| -> Vec<&str> {
        judged.iter().filter(some).map(|judged| judged.why.as_str()).collect()
    };
    if states.is_empty() {
        return Finding::unknown(
            Witness::Source,
            format!("the functions contradict each other: {}", said(&|_| true).join("; ")),
        );
    }
    if states == StateSet::all() {
        return Finding::unknown(Witness::Source, said(&|_| true).join("; "));
    }
    let why = said(&|judged| judged.states != StateSet::all()).join("; ");
    Finding::new(Witness::Source, states, Strength::Strong, why)
}

/// Whether a function that a signature names exists, but in none of the known forms.
pub fn is_unrecognised(bug: &Bug, files: &(impl SourceFiles + ?Sized)) -> bool {
    let tree = SourceTree::read(files, bug.source.iter().flat_map(functions));
    let is_there = |signature: &SourceSignature| tree.functions(&signature.file, &signature.function).is_ok();
    bug.source.iter().any(is_there) && bug.source.iter().all(|one| judge(one, &tree).states == StateSet::all())
}

/// The result of one signature.
struct SignatureFinding {
    states: StateSet,
    why: String,
}

fn nothing(why: String) -> SignatureFinding {
    SignatureFinding { states: StateSet::all(), why }
}

fn judge(signature: &SourceSignature, tree: &SourceTree) -> SignatureFinding {
    let (file, function) = (&signature.file, &signature.function);
    let definitions = match tree.functions(file, function) {
        Ok(definitions) => definitions,
        Err(why) => return nothing(why.to_owned()),
    };
    let mut judged: Vec<SignatureFinding> = definitions.iter().map(|one| judge_one(signature, one, tree)).collect();
    if judged.windows(2).all(|pair| pair[0].states == pair[1].states) && !judged.is_empty() {
        return judged.swap_remove(0);
    }
    let lines: Vec<_> = definitions.iter().map(|one| one.line.to_string()).collect();
    nothing(format!("{file} has differing definitions of {function}() (lines {})", lines.join(" and ")))
}

fn judge_one(signature: &SourceSignature, function: &SourceFunction, tree: &SourceTree) -> SignatureFinding {
    let (file, name) = (&signature.file, &signature.function);
    let at = format!("{file}:{}", function.line);
    let body = match &function.body {
        Ok(body) => body,
        Err(error) => return nothing(format!("{name}() in {file} cannot be read: {error}")),
    };
    let subject = matching::SearchedBody::new(body, tree.macros(file));
    let mut states: BTreeSet<State> = BTreeSet::new();
    let mut doubts = Vec::new();
    for case in &signature.cases {
        let mut fit = case::fit(&subject, &case.has, &case.lacks, &signature.harmless);
        let mut places = Vec::new();
        if let Fit::Yes(lines) = &fit {
            places.extend(lines.iter().map(|lines| QuotedLines { file, lines: *lines }));
        }
        for other in &case.elsewhere {
            if fit != Fit::No {
                fit = both(fit, tree.fit(other, &signature.harmless), other, &mut places);
            }
        }
        match fit {
            Fit::No => {}
            Fit::Doubt(why) => {
                states.extend(&case.states);
                doubts.push(format!("it may be that {}, but {why}", case.says));
            }
            Fit::Yes(_) => {
                states.extend(&case.states);
                let seen = match quote::quote(tree, &places) {
                    Some(seen) => seen,
                    None => format!("{at}: {name}()"),
                };
                let said = [format!("{seen}: {}", case.says)].into_iter().chain(doubts);
                return SignatureFinding {
                    states: states.into_iter().collect(),
                    why: said.collect::<Vec<_>>().join("; "),
                };
            }
        }
    }
    let doubts = if doubts.is_empty() { String::new() } else { format!(": {}", doubts.join("; ")) };
    nothing(format!("{at}: {name}() has none of the known forms{doubts}"))
}

/// Combines two results: both must fit.
fn both<'t>(one: Fit, other: Fit, at: &'t crate::matrix::Elsewhere, places: &mut Vec<QuotedLines<'t>>) -> Fit {
    match (one, other) {
        (_, Fit::No) | (Fit::No, _) => Fit::No,
        (Fit::Doubt(why), _) | (_, Fit::Doubt(why)) => Fit::Doubt(why),
        (one, Fit::Yes(lines)) => {
            places.extend(lines.into_iter().map(|lines| QuotedLines { file: &at.file, lines }));
            one
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
