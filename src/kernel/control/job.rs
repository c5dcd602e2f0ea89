//! Builds one control in its line's trees.

use std::fs;

use super::kept::{self, BuildKey, Built};
use super::source::ControlSource;
use super::tree::ControlTree;
use super::{BuildContext, BuildEvent, OUTPUT_LINES, make_folder};
use crate::kernel::build::{BuildError, BuildStep, ConfigOrder, Goal, JobEvent, ObjectJob, Toolchain};
use crate::recipe::ControlRecipe;

/// Patches, configures, compiles and keeps.
pub(super) fn build(
    recipe: &ControlRecipe,
    source: &ControlSource,
    tree: &ControlTree,
    toolchain: &Toolchain,
    with: &BuildContext,
) -> Result<Built, BuildError> {
    let (line, control) = (&recipe.line.name, &recipe.control.name);
    let is_first = !tree.obj().join("vmlinux").exists();
    // The last build may have been the first of its line, which prints more.
    let last_time = || kept::output_lines(recipe, with.store).filter(|lines| *lines < OUTPUT_LINES.0 / 2);
    let started = |output_lines| BuildEvent::Started { line: line.clone(), control: control.to_string(), output_lines };
    (with.tell)(started(if is_first { OUTPUT_LINES.0 } else { last_time().unwrap_or(OUTPUT_LINES.1) }));
    let logs = with.store.path(&format!("controls/{line}/logs"));
    make_folder(&logs, BuildStep::Compile)?;
    let log = logs.join(format!("{control}.log"));
    fs::write(&log, "").map_err(BuildError::io(BuildStep::Compile, &log))?;

    (with.tell)(BuildEvent::Step(BuildStep::Patch));
    tree.patch(recipe.patch, with.store)?.map_err(|misfit| BuildError::Patch {
        control: control.to_string(),
        line: line.clone(),
        file: misfit.file,
        why: misfit.why,
    })?;
    let done = ObjectJob {
        subject: &format!("{control} ({line})"),
        // A control is its configuration, so no line of it may be missing.
        config: &ConfigOrder {
            text: recipe.config.clone(),
            goal: Goal::AllNo,
            required: recipe.config.clone(),
            wished: String::new(),
            depends: None,
        },
        // `uname -r` names the control.
        version: &format!("-control-{control}"),
        tree: &tree.objects(),
        toolchain,
        works_around: false,
        log: &log,
        store: with.store,
        shim: with.shim,
        tell: &|event| match event {
            JobEvent::Step(step) => (with.tell)(BuildEvent::Step(step)),
            JobEvent::Output(lines) => (with.tell)(BuildEvent::Output(lines)),
            JobEvent::Again(text) | JobEvent::WorkedAround(text) => {
                (with.tell)(BuildEvent::Again(text));
                (with.tell)(started(OUTPUT_LINES.0));
            }
        },
    }
    .run()?;
    (with.tell)(BuildEvent::Step(BuildStep::Keep));
    let built = kept::keep(recipe, &BuildKey::of(recipe, &source.id, toolchain), &tree.obj(), &done, with.store)?;
    (with.tell)(BuildEvent::Built(Box::new(built.clone())));
    Ok(built)
}
