//! Records of the control kernels that were built, and the kernels themselves, by content.
//!
//! ```text
//! controls/kept/<key>.json        what came of one recipe, source and compiler
//! controls/<line>/<control>.json  the same of the last build: what a matrix means by this control
//! ```

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{BuildError, Step};
use super::source::SourceId;
use super::tools::Toolchain;
use crate::kernel::assemble;
use crate::kernel::store::{self, Store};
use crate::recipe::Recipe;
use crate::words::KernelName;

/// Changes whenever what is built of the same recipe would be another kernel: make's arguments, its environment.
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
    /// What it was built of.
    pub source: SourceId,
    /// What it was compiled with: the first line of each program's `--version`.
    pub toolchain: String,
    /// Seconds of processor time that make and its children took, in the run that came to the end; `None` where the
    /// host does not tell.
    pub cpu_seconds: Option<f64>,
    /// Seconds that this run took by the clock.
    pub seconds: f64,
    /// Lines that make printed: how far the next build of it is can be told by that.
    pub(super) output_lines: u64,
    pub(super) recipe_sha256: String,
    pub(super) config_sha256: String,
    config_size: u64,
}

/// What a kernel is made from.
pub(super) struct Key {
    pub recipe_sha256: String,
    source: SourceId,
    toolchain: String,
}

impl Key {
    pub(super) fn of(recipe: &Recipe, source: &SourceId, toolchain: &Toolchain) -> Self {
        Self { recipe_sha256: recipe_sha256(recipe), source: source.clone(), toolchain: toolchain.id.clone() }
    }

    fn record(&self) -> String {
        let parts = [&self.recipe_sha256, &self.source.sha256, &self.toolchain];
        format!("controls/kept/{}.json", sha256_of_parts(&parts.map(String::as_str)))
    }

    /// The kernel that was made from this, where it still is in the store. It becomes its line's.
    pub(super) fn built(&self, store: &Store) -> Result<Option<Built>, BuildError> {
        let Some(built) = store.records(&self.record()).find(|built: &Built| built.is_whole(store)) else {
            return Ok(None);
        };
        let current = current(&built.line, built.control.as_str());
        if store.read_record::<Built>(&current).as_ref() != Some(&built) {
            store.write_record(&current, &built).map_err(BuildError::cache(Step::Keep))?;
        }
        Ok(Some(built))
    }
}

/// What building took.
pub(super) struct Cost {
    pub cpu_seconds: Option<f64>,
    pub seconds: f64,
    pub output_lines: u64,
}

/// Puts the image and the configuration into the store, and then the record that names them: it is never there
/// before all that it names is.
pub(super) fn keep(recipe: &Recipe, key: &Key, obj: &Path, cost: &Cost, store: &Store) -> Result<Built, BuildError> {
    let image = obj.join("arch/x86/boot/bzImage");
    let config = obj.join(".config");
    let size = |path: &Path| fs::metadata(path).map(|m| m.len()).map_err(BuildError::io(Step::Keep, path));
    let adopted = assemble::adopt(&image, store).map_err(BuildError::cache(Step::Keep))?;
    let (_, image_sha256, release) = adopted;
    let (control, line) = (&recipe.control.name, &recipe.line.name);
    // What is kept here counts as the truth about this control from now on.
    let ending = format!("-control-{control}");
    if !release.as_ref().is_some_and(|release| release.ends_with(&ending)) {
        let (control, line) = (control.to_string(), line.clone());
        return Err(BuildError::OtherImage { control, line, release });
    }
    let config_sha256 = store.adopt(&config).map_err(BuildError::cache(Step::Keep))?;
    let built = Built {
        control: control.clone(),
        line: line.clone(),
        release,
        image_sha256,
        image_size: size(&image)?,
        source: key.source.clone(),
        toolchain: key.toolchain.clone(),
        cpu_seconds: cost.cpu_seconds,
        seconds: cost.seconds,
        output_lines: cost.output_lines,
        recipe_sha256: key.recipe_sha256.clone(),
        config_sha256,
        config_size: size(&config)?,
    };
    for record in [key.record(), current(&built.line, built.control.as_str())] {
        store.write_record(&record, &built).map_err(BuildError::cache(Step::Keep))?;
    }
    Ok(built)
}

impl Built {
    fn is_whole(&self, store: &Store) -> bool {
        store.holds(&self.image_sha256, self.image_size) && store.holds(&self.config_sha256, self.config_size)
    }
}

/// How a control stands in the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// A kernel of its recipe is there.
    Built(Box<Built>),
    /// A kernel is there, of a recipe that has changed since.
    Outdated,
    /// None is there.
    NotBuilt,
}

/// How this control stands, by its records alone: nothing is hashed and nothing is run.
pub fn standing(recipe: &Recipe, store: &Store) -> Standing {
    let record = current(&recipe.line.name, recipe.control.name.as_str());
    let mut outdated = false;
    for built in store.records(&record).filter(|built: &Built| built.is_whole(store)) {
        if built.recipe_sha256 == recipe_sha256(recipe) {
            return Standing::Built(Box::new(built));
        }
        outdated = true;
    }
    if outdated { Standing::Outdated } else { Standing::NotBuilt }
}

/// Lines that make printed when this control was last built, of whatever source.
pub(super) fn output_lines(recipe: &Recipe, store: &Store) -> Option<u64> {
    let record = current(&recipe.line.name, recipe.control.name.as_str());
    store.read_record::<Built>(&record).map(|built| built.output_lines)
}

fn current(line: &str, control: &str) -> String {
    format!("controls/{line}/{control}.json")
}

fn recipe_sha256(recipe: &Recipe) -> String {
    sha256_of_parts(&[FORMAT, recipe.patch.unwrap_or_default(), &recipe.config, recipe.control.name.as_str()])
}

/// Each part goes in with its length, so that no two lists look alike.
fn sha256_of_parts(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    store::hex(hash)
}
