//! Builds one control in its line's trees.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use super::error::{BuildError, BuildStep};
use super::kept::{self, BuildKey, Built, Cost};
use super::source::{self, ControlSource};
use super::tools::Toolchain;
use super::tree::ControlTree;
use super::{BuildContext, BuildEvent, config, make, make_folder};
use crate::recipe::ControlRecipe;
use crate::regular;

/// Lines that make prints for a line's first control, and for a further one. Measured with 6.1.192.
const OUTPUT_LINES: (u64, u64) = (1489, 57);

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
    let output_lines = if is_first { OUTPUT_LINES.0 } else { last_time().unwrap_or(OUTPUT_LINES.1) };
    (with.tell)(BuildEvent::Started { line: line.clone(), control: control.to_string(), output_lines });
    let logs = with.store.path(&format!("controls/{line}/logs"));
    make_folder(&logs, BuildStep::Compile)?;
    let log = logs.join(format!("{control}.log"));
    fs::write(&log, "").map_err(BuildError::io(BuildStep::Compile, &log))?;
    let job = ControlJob { recipe, tree, toolchain, log: &log, with };
    let (began, cpu) = (Instant::now(), make::children_cpu());

    (with.tell)(BuildEvent::Step(BuildStep::Patch));
    tree.patch(recipe.patch, with.store)?.map_err(|misfit| BuildError::Patch {
        control: control.to_string(),
        line: line.clone(),
        file: misfit.file,
        why: misfit.why,
    })?;
    let mut building = tree.begin(with.store)?;
    let mut made = job.configure_and_make();
    if has_failed(&made) && building.is_resumed() {
        // Only a kill leaves half-written files. Without one, a failure is final.
        job.say_again()?;
        building.start_again(with.store)?;
        made = job.configure_and_make();
    }
    if has_failed(&made) {
        building.fail()?;
    }
    let output_lines = made?;
    // Not after a failure: on a full disk make may fail to delete the target of a failed command.
    building.end()?;
    (with.tell)(BuildEvent::Step(BuildStep::Keep));
    let cpu_seconds = make::children_cpu().zip(cpu).map(|(after, before)| after.saturating_sub(before).as_secs_f64());
    let cost = Cost { cpu_seconds, seconds: began.elapsed().as_secs_f64(), output_lines };
    let built = kept::keep(recipe, &BuildKey::of(recipe, &source.id, toolchain), &tree.obj(), &cost, with.store)?;
    (with.tell)(BuildEvent::Built(Box::new(built.clone())));
    Ok(built)
}

/// Whether make failed by itself and was not killed.
fn has_failed(made: &Result<u64, BuildError>) -> bool {
    matches!(made, Err(BuildError::Make { status, .. }) if status.code().is_some())
}

/// One control that is being built.
struct ControlJob<'a> {
    recipe: &'a ControlRecipe<'a>,
    tree: &'a ControlTree,
    toolchain: &'a Toolchain,
    log: &'a Path,
    with: &'a BuildContext<'a>,
}

impl ControlJob<'_> {
    /// Returns the number of lines that the last make printed.
    fn configure_and_make(&self) -> Result<u64, BuildError> {
        self.configure()?;
        self.make(BuildStep::Compile, &[&self.version(), "bzImage"])
    }

    /// Reports that everything is built again, as an event and in the log.
    fn say_again(&self) -> Result<(), BuildError> {
        let (line, control) = (self.recipe.line.name.clone(), self.recipe.control.name.to_string());
        let text = format!("{control} ({line}): make failed on what a killed build left; all is built again");
        let written = File::options().append(true).open(self.log).and_then(|mut log| writeln!(log, "# {text}"));
        written.map_err(BuildError::io(BuildStep::Compile, self.log))?;
        (self.with.tell)(BuildEvent::Again(text));
        (self.with.tell)(BuildEvent::Started { line, control, output_lines: OUTPUT_LINES.0 });
        Ok(())
    }

    /// `uname -r` names the control. With LOCALVERSION given, make does not ask git about the tree.
    fn version(&self) -> String {
        format!("LOCALVERSION=-control-{}", self.recipe.control.name)
    }

    /// Makes the .config, unless the present one was made from the same lines with the same programs. Checks it.
    fn configure(&self) -> Result<(), BuildError> {
        let obj = self.tree.obj();
        // Kconfig asks the compiler for its features, so another compiler makes another .config from the same lines.
        let wanted = &format!("{}\n# {}\n", self.recipe.config.trim_end(), self.toolchain.id);
        let (asked, draft, config) =
            (obj.join("backproof.config"), obj.join("backproof.config.new"), obj.join(".config"));
        let is_made = regular::read(&asked, 1 << 20).is_ok_and(|made| made == wanted.as_bytes()) && config.is_file();
        if !is_made {
            // Otherwise a kill here would leave the old lines next to another .config.
            match fs::remove_file(&asked) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(BuildError::io(BuildStep::Configure, &asked)(error));
                }
                _ => {}
            }
            fs::write(&draft, wanted).map_err(BuildError::io(BuildStep::Configure, &draft))?;
            let all = format!("KCONFIG_ALLCONFIG={}", draft.display());
            self.make(BuildStep::Configure, &[&all, "allnoconfig"])?;
        }
        let made = fs::read_to_string(&config).map_err(BuildError::io(BuildStep::Configure, &config))?;
        let lost = config::lost(wanted, &made);
        if !lost.is_empty() {
            let (control, line) = (self.recipe.control.name.to_string(), self.recipe.line.name.clone());
            return Err(BuildError::Config { control, line, lost, log: self.log.to_owned() });
        }
        if is_made {
            return Ok(());
        }
        // It gets its own name only once Kconfig has finished.
        fs::rename(&draft, &asked).map_err(BuildError::io(BuildStep::Configure, &asked))
    }

    /// Runs make and returns the number of lines that it printed.
    fn make(&self, step: BuildStep, args: &[&str]) -> Result<u64, BuildError> {
        (self.with.tell)(BuildEvent::Step(step));
        let jobs = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut all = self.tree.make_args();
        all.push(format!("-j{jobs}").into());
        all.extend(args.iter().map(OsString::from));
        let ran = make::run(&all, self.log, self.with.shim, |lines| (self.with.tell)(BuildEvent::Output(lines)));
        let ran = ran.map_err(BuildError::io(step, self.log))?;
        if ran.status.success() {
            return Ok(ran.lines);
        }
        // Some programs don't say why a write failed; a shell says "I/O error".
        if ran.disk_full || source::free_mib(self.with.store)? == 0 {
            return Err(BuildError::DiskFull { step, path: self.tree.obj(), needs_mib: None });
        }
        Err(BuildError::Make {
            step,
            control: self.recipe.control.name.to_string(),
            line: self.recipe.line.name.clone(),
            status: ran.status,
            log: self.log.to_owned(),
            tail: ran.tail,
        })
    }
}
