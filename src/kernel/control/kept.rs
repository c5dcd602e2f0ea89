//! Records of the control kernels that were built, and the kernels themselves, by content.
//!
//! ```text
//! controls/kept/<key>.json        the kernel of one recipe, source and compiler
//! controls/<line>/<control>.json  the kernel of the last build, which a matrix means by this control
//! ```

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::kernel::assemble;
use crate::kernel::build::{BuildError, BuildStep, JobDone, SourceId, Toolchain};
use crate::kernel::image::BUILT_IMAGE;
use crate::kernel::store::{Store, sha256_of_parts};
use crate::recipe::ControlRecipe;
use crate::words::KernelName;

/// Increase it if the same recipe would build another kernel, for example by other arguments of make.
const FORMAT: &str = "1";

/// A control kernel that was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Built {
    /// Its name.
    pub control: KernelName,
    /// Its line of releases.
    pub line: String,
    /// `uname -r`.
    pub release: Option<String>,
    /// sha256 of its image.
    pub image_sha256: String,
    /// Bytes of its image.
    pub image_size: u64,
    /// Its source.
    pub source: SourceId,
    /// Its compiler: the first line of each program's `--version`.
    pub toolchain: String,
    /// Seconds of processor time of make and its children in the run that finished; `None` if the host does not say.
    pub cpu_seconds: Option<f64>,
    /// Seconds of wall time of this run.
    pub seconds: f64,
    /// Lines that make printed; they measure the progress of the next build.
    pub(super) output_lines: u64,
    pub(super) recipe_sha256: String,
    pub(super) config_sha256: String,
    config_size: u64,
}

/// The inputs of a build.
pub(super) struct BuildKey {
    pub recipe_sha256: String,
    source: SourceId,
    toolchain: String,
}

impl BuildKey {
    pub(super) fn of(recipe: &ControlRecipe, source: &SourceId, toolchain: &Toolchain) -> Self {
        Self { recipe_sha256: recipe_sha256(recipe), source: source.clone(), toolchain: toolchain.id.clone() }
    }

    fn record(&self) -> String {
        let parts = [&self.recipe_sha256, &self.source.sha256, &self.toolchain];
        format!("controls/kept/{}.json", sha256_of_parts(&parts.map(String::as_str)))
    }

    /// The kernel built from this, if the store still has it. It becomes the line's.
    pub(super) fn built(&self, store: &Store) -> Result<Option<Built>, BuildError> {
        let Some(built) = store.records(&self.record()).find(|built: &Built| built.is_whole(store)) else {
            return Ok(None);
        };
        let current = current(&built.line, built.control.as_str());
        if store.read_record::<Built>(&current).as_ref() != Some(&built) {
            store.write_record(&current, &built).map_err(BuildError::cache(BuildStep::Keep))?;
        }
        Ok(Some(built))
    }
}

/// Puts the image and the configuration into the store, and after them the record that names them.
pub(super) fn keep(
    recipe: &ControlRecipe,
    key: &BuildKey,
    obj: &Path,
    done: &JobDone,
    store: &Store,
) -> Result<Built, BuildError> {
    let image = obj.join(BUILT_IMAGE);
    let config = obj.join(".config");
    let size = |path: &Path| fs::metadata(path).map(|m| m.len()).map_err(BuildError::io(BuildStep::Keep, path));
    let adopted = assemble::adopt(&image, store).map_err(BuildError::cache(BuildStep::Keep))?;
    let (_, image_sha256, release) = adopted;
    let (control, line) = (&recipe.control.name, &recipe.line.name);
    // From now on, the stored image represents this control.
    let ending = format!("-control-{control}");
    if !release.as_ref().is_some_and(|release| release.ends_with(&ending)) {
        let (control, line) = (control.to_string(), line.clone());
        return Err(BuildError::OtherImage { control, line, release });
    }
    let config_sha256 = store.adopt(&config).map_err(BuildError::cache(BuildStep::Keep))?;
    let built = Built {
        control: control.clone(),
        line: line.clone(),
        release,
        image_sha256,
        image_size: size(&image)?,
        source: key.source.clone(),
        toolchain: key.toolchain.clone(),
        cpu_seconds: done.cpu_seconds,
        seconds: done.seconds,
        output_lines: done.output_lines,
        recipe_sha256: key.recipe_sha256.clone(),
        config_sha256,
        config_size: size(&config)?,
    };
    for record in [key.record(), current(&built.line, built.control.as_str())] {
        store.write_record(&record, &built).map_err(BuildError::cache(BuildStep::Keep))?;
    }
    Ok(built)
}

impl Built {
    fn is_whole(&self, store: &Store) -> bool {
        store.holds(&self.image_sha256, self.image_size) && store.holds(&self.config_sha256, self.config_size)
    }
}

/// Whether the store has a control.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlStatus {
    /// It has a kernel of this recipe.
    Built(Box<Built>),
    /// It has a kernel of an older recipe.
    Outdated,
    /// It has none.
    NotBuilt,
}

/// Whether the store has this control, by its records alone, without hashing or running anything.
pub fn standing(recipe: &ControlRecipe, store: &Store) -> ControlStatus {
    let record = current(&recipe.line.name, recipe.control.name.as_str());
    let mut outdated = false;
    for built in store.records(&record).filter(|built: &Built| built.is_whole(store)) {
        if built.recipe_sha256 == recipe_sha256(recipe) {
            return ControlStatus::Built(Box::new(built));
        }
        outdated = true;
    }
    if outdated { ControlStatus::Outdated } else { ControlStatus::NotBuilt }
}

/// Lines that make printed when this control was last built, from any source.
pub(super) fn output_lines(recipe: &ControlRecipe, store: &Store) -> Option<u64> {
    let record = current(&recipe.line.name, recipe.control.name.as_str());
    store.read_record::<Built>(&record).map(|built| built.output_lines)
}

fn current(line: &str, control: &str) -> String {
    format!("controls/{line}/{control}.json")
}

fn recipe_sha256(recipe: &ControlRecipe) -> String {
    sha256_of_parts(&[FORMAT, recipe.patch.unwrap_or_default(), &recipe.config, recipe.control.name.as_str()])
}
