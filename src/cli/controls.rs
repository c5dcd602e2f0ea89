//! `backproof controls`: kernels whose state is known, because a step of a bug's chain was added or removed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Colour};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{ControlsBuild, ControlsList, Stop, ended, host, show};
use crate::exit::Exit;
use crate::kernel::control::{self, BuildContext, BuildError, BuildOutcome, BuildRequest, Built, ControlStatus};
use crate::kernel::{Blame, Store};
use crate::recipe::{Control, ControlLine, Recipes};
use crate::report::{Building, Document, Style, paragraph, say, visible};
use crate::shim::Shim;
use crate::words::{BugId, Expectation, KernelName};

/// The version of both JSON documents' shape.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct ListDocument<'a> {
    schema_version: u32,
    controls: Vec<Listed<'a>>,
}

/// One control of one line.
#[derive(Serialize)]
struct Listed<'a> {
    line: &'a str,
    control: &'a KernelName,
    why: &'a str,
    expect: BTreeMap<BugId, Expectation>,
    built: bool,
    /// Whether it was built from an older recipe.
    outdated: bool,
    release: Option<String>,
    image_sha256: Option<String>,
    source: Option<String>,
}

/// Lists the controls, their expected states, and which are built.
pub(super) fn list(args: &ControlsList) -> Result<Exit, Stop> {
    let store = args.cache.open()?;
    let recipes = Recipes::built_in();
    let controls = recipes.pairs().map(|(line, control)| {
        let standing = control::standing(&recipes.recipe(line, control), &store);
        let (outdated, built) = match standing {
            ControlStatus::Built(built) => (false, Some(built)),
            ControlStatus::Outdated => (true, None),
            ControlStatus::NotBuilt => (false, None),
        };
        Listed {
            line: &line.name,
            control: &control.name,
            why: &control.why,
            expect: recipes.expected(control),
            built: built.is_some(),
            outdated,
            release: built.as_ref().and_then(|b| b.release.clone()),
            image_sha256: built.as_ref().map(|b| b.image_sha256.clone()),
            source: built.as_ref().map(|b| b.source.what.clone()),
        }
    });
    let document = ListDocument { schema_version: SCHEMA_VERSION, controls: controls.collect() };
    show(&document, args.format, Style::of_terminal()).map(|()| Exit::Clean)
}

/// Each control once, with its lines: it is expected to be the same in all of them.
impl Document for ListDocument<'_> {
    fn text(&self, style: Style) -> String {
        let (dim, loud, good) = (Colour::new().dimmed(), Colour::new().bold(), AnsiColor::Green.on_default());
        let recipes = Recipes::built_in();
        let mut text = String::new();
        for control in recipes.controls() {
            let _ = write!(text, "{loud}{}{loud:#} ", control.name);
            for listed in self.controls.iter().filter(|listed| *listed.control == control.name) {
                let word = match (listed.built, listed.outdated) {
                    (true, _) => format!("{good}built{good:#}"),
                    (false, true) => "outdated".to_owned(),
                    (false, false) => "not built".to_owned(),
                };
                let _ = write!(text, " {} {word}", listed.line);
            }
            let _ = write!(text, "\n{dim}");
            paragraph(&mut text, "  ", &control.why, style);
            let _ = write!(text, "{dim:#}");
            for (bug, expected) in recipes.expected(control) {
                let _ = writeln!(text, "  {bug}: {}", expected.as_str());
            }
        }
        text
    }
}

#[derive(Serialize)]
struct BuildDocument<'a> {
    schema_version: u32,
    built: &'a [Built],
    kept: &'a [Built],
    failed: Vec<String>,
    exit_code: Exit,
}

/// Builds missing controls.
pub(super) fn build(args: &ControlsBuild) -> Result<Exit, Stop> {
    let recipes = Recipes::built_in();
    let (controls, lines) = chosen(recipes, args)?;
    let store = args.cache.open()?;
    let shim = Shim::of_this_program().map_err(Stop::no_verdict)?;
    let (sender, mut events) = mpsc::unbounded_channel();
    let job = Job { controls, lines, args: args.clone(), store, shim };
    let runtime = host::runtime()?;
    let outcome = runtime.block_on(async {
        let mut live = Building::new();
        let stopped = host::stopped().map_err(Stop::no_verdict)?;
        let work = tokio::task::spawn_blocking(move || {
            let tell = |event| {
                // On shutdown nobody listens.
                let _ = sender.send(event);
            };
            job.run(&tell)
        });
        tokio::pin!(stopped, work);
        let mut ended = None;
        let outcome = loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => live.event(&event),
                    // The work has ended, and every event is shown.
                    None => break match ended.take() {
                        Some(ended) => Some(ended),
                        None => Some((&mut work).await),
                    },
                },
                () = &mut stopped => break None,
                done = &mut work, if ended.is_none() => ended = Some(done),
            }
        };
        live.finish();
        Ok(outcome)
    })?;
    // make and downloads end with the process.
    runtime.shutdown_background();
    let Some(outcome) = outcome else {
        say("interrupted; run the same command again to resume");
        return Ok(Exit::Interrupted);
    };
    let outcome = outcome.map_err(Stop::no_verdict)?;
    let exit_code = exit(&outcome.failed);
    let document = BuildDocument {
        schema_version: SCHEMA_VERSION,
        built: &outcome.built,
        kept: &outcome.kept,
        failed: outcome.failed.iter().map(chain).collect(),
        exit_code,
    };
    let printed = show(&document, args.format, Style::of_terminal());
    for error in &document.failed {
        let text = error.lines().map(visible).collect::<Vec<_>>().join("\n");
        say(format_args!("backproof: {text}"));
    }
    ended(exit_code, printed)
}

/// What the building thread owns.
struct Job {
    controls: Vec<&'static Control>,
    lines: Vec<&'static ControlLine>,
    args: ControlsBuild,
    store: Store,
    shim: Shim,
}

impl Job {
    fn run(&self, tell: &(dyn Fn(control::BuildEvent) + Send + Sync)) -> BuildOutcome {
        let wanted = BuildRequest {
            controls: self.controls.clone(),
            lines: self.lines.clone(),
            source: self.args.source.as_deref(),
        };
        let (offline, refresh) = (self.args.offline, self.args.refresh);
        control::build(&wanted, &BuildContext { store: &self.store, shim: &self.shim, offline, refresh, tell })
    }
}

/// The named controls and lines, or all. With a source, no line means the source's own.
fn chosen(
    recipes: &'static Recipes,
    args: &ControlsBuild,
) -> Result<(Vec<&'static Control>, Vec<&'static ControlLine>), Stop> {
    let unknown = |what: &str, name: &str, known: Vec<&str>| {
        Stop::usage(anyhow::anyhow!("there is no {what} `{name}`: expected {}", known.join(", ")))
    };
    let all_controls = || recipes.controls().iter().map(|c| c.name.as_str()).collect();
    let all_lines = || recipes.lines().iter().map(|l| l.name.as_str()).collect();
    let control = |name: &String| recipes.control(name).ok_or_else(|| unknown("control", name, all_controls()));
    let line = |name: &String| recipes.line(name).ok_or_else(|| unknown("line", name, all_lines()));
    let controls = args.names.iter().map(control).collect::<Result<Vec<_>, _>>()?;
    let lines = args.line.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    let controls = if controls.is_empty() { recipes.controls().iter().collect() } else { controls };
    let has_one = |line: &&'static ControlLine| controls.iter().any(|control| control.is_of(line));
    let lines = if lines.is_empty() && args.source.is_none() {
        recipes.lines().iter().filter(has_one).collect()
    } else {
        lines
    };
    Ok((controls, lines))
}

impl Document for BuildDocument<'_> {
    fn text(&self, _: Style) -> String {
        let mut text = String::new();
        if !self.built.is_empty() {
            let _ = writeln!(text, "{:28}{:6}{:>8}{:>8}  release", "control", "line", "cpu s", "wall s");
        }
        for built in self.built {
            let cpu = built.cpu_seconds.map_or_else(|| "-".to_owned(), |s| format!("{s:.1}"));
            let release = built.release.as_deref().map_or_else(|| "-".to_owned(), visible);
            let (control, line, seconds) = (built.control.as_str(), &built.line, built.seconds);
            let _ = writeln!(text, "{control:28}{line:6}{cpu:>8}{seconds:>8.1}  {release}");
        }
        let cpu: f64 = self.built.iter().filter_map(|b| b.cpu_seconds).sum();
        let wall: f64 = self.built.iter().map(|b| b.seconds).sum();
        let _ = write!(text, "{} built", self.built.len());
        if !self.built.is_empty() {
            let _ = write!(text, " in {wall:.0} s, with {cpu:.0} s of processor time");
        }
        if !self.kept.is_empty() {
            let _ = write!(text, ", {} were there", self.kept.len());
        }
        if !self.failed.is_empty() {
            let bad = AnsiColor::Red.on_default().bold();
            let _ = write!(text, ", {bad}{} failed{bad:#}", self.failed.len());
        }
        text.push('\n');
        text
    }
}

fn exit(failed: &[BuildError]) -> Exit {
    let is_usage = |error: &BuildError| error.blame() == Blame::User;
    match failed {
        [] => Exit::Clean,
        some if some.iter().all(is_usage) => Exit::Usage,
        _ => Exit::NoVerdict,
    }
}

/// The error and what caused it, as the other commands show them.
fn chain(error: &BuildError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        // The message may already include its cause.
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
