//! Records of the kernels that were built, and the kernels themselves, by content.
//!
//! ```text
//! builds/kept/<key>.json  the kernel of one source and configuration
//! ```

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::code::KernelCode;
use super::error::{BuildError, BuildStep};
use super::job::JobDone;
use super::objects::ObjectTree;
use super::tools::Toolchain;
use crate::kernel::assemble;
use crate::kernel::image::BUILT_IMAGE;
use crate::kernel::store::{Store, sha256_of_parts};

/// Increase it if the same source would build another kernel, for example by other arguments of make, or if its code
/// would be described differently.
const FORMAT: &str = "3";

/// The end of a built kernel's release. It is the same for all, so that a change that compiles to nothing gives the
/// same image.
pub(super) const LOCAL_VERSION: &str = "-backproof";

/// A kernel that was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BuildRecord {
    /// For people.
    pub kernel: String,
    pub release: Option<String>,
    pub image_sha256: String,
    pub image_size: u64,
    pub config_sha256: String,
    config_size: u64,
    /// Its functions and variables.
    pub code_sha256: String,
    code_size: u64,
    /// The first line of each program's `--version`.
    pub toolchain: String,
    /// Lines of the small configuration that the source doesn't have.
    pub dropped: Vec<String>,
    /// Arguments of make that the source requires.
    pub workarounds: Vec<String>,
    /// Lines that make printed; they measure the progress of the next build.
    pub output_lines: u64,
}

/// The name of a build's record, made of its inputs.
pub(super) fn key(source_sha256: &str, config: &str) -> String {
    sha256_of_parts(&[FORMAT, source_sha256, config])
}

fn record(key: &str) -> String {
    format!("builds/kept/{key}.json")
}

/// The kernel with this key, if the store has one. Built by these programs; if some of them are missing, by any.
pub(super) fn built(key: &str, toolchain: Option<&Toolchain>, store: &Store) -> Option<BuildRecord> {
    let is_same = |built: &BuildRecord| toolchain.is_none_or(|toolchain| toolchain.id == built.toolchain);
    let is_whole = |built: &BuildRecord| {
        store.holds(&built.image_sha256, built.image_size)
            && store.holds(&built.config_sha256, built.config_size)
            && store.holds(&built.code_sha256, built.code_size)
    };
    store.records(&record(key)).find(|built| is_same(built) && is_whole(built))
}

/// Puts the image and the configuration into the store, and after them the record that names them.
pub(super) fn keep(
    kernel: &str,
    key: &str,
    tree: &ObjectTree,
    toolchain: &Toolchain,
    done: &JobDone,
    store: &Store,
) -> Result<BuildRecord, BuildError> {
    let image = tree.obj.join(BUILT_IMAGE);
    let config = tree.obj.join(".config");
    let size = |path: &Path| fs::metadata(path).map(|m| m.len()).map_err(BuildError::io(BuildStep::Keep, path));
    let (_, image_sha256, release) = assemble::adopt(&image, store).map_err(BuildError::cache(BuildStep::Keep))?;
    let config_sha256 = store.adopt(&config).map_err(BuildError::cache(BuildStep::Keep))?;
    let (code_sha256, code_size) = KernelCode::read(tree)?.keep(store)?;
    let built = BuildRecord {
        kernel: kernel.to_owned(),
        release,
        image_sha256,
        image_size: size(&image)?,
        config_sha256,
        config_size: size(&config)?,
        code_sha256,
        code_size,
        toolchain: toolchain.id.clone(),
        dropped: done.dropped.clone(),
        workarounds: done.workarounds.args(),
        output_lines: done.output_lines,
    };
    let folder = store.path("builds/kept");
    fs::create_dir_all(&folder).map_err(BuildError::io(BuildStep::Keep, &folder))?;
    store.write_record(&record(key), &built).map_err(BuildError::cache(BuildStep::Keep))?;
    Ok(built)
}
