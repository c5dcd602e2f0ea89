//! `backproof kernels`: the kernels of a matrix, their lock, and their cache.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Stop, matrix_file};
use crate::exit::Exit;
use crate::matrix::Matrix;
use crate::words::KernelName;

mod archive;
mod gc;
mod list;
mod update;

pub(super) use gc::age;

#[derive(Debug, Subcommand)]
pub(super) enum Kernels {
    /// List the kernels of a matrix with their locks, or the versions of an archive
    List(list::List),
    /// Resolve the kernels of a matrix again and update kernels.lock
    Update(update::Update),
    /// Show the size of the cache, or remove unused files
    Gc(gc::Gc),
}

/// The selected kernels.
#[derive(Args, Debug)]
struct Which {
    /// Read this matrix of kernels [default: ./kernels.yaml, or the built-in one]
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// Use only this kernel, plus any matched by --tag (repeatable)
    #[arg(long, value_name = "NAME")]
    kernel: Vec<KernelName>,
    /// Use only kernels with this tag, plus any that are named (repeatable)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
}

impl Which {
    fn matrix(&self) -> Result<Matrix, Stop> {
        matrix_file::matrix(self.matrix.as_deref(), &matrix_file::bugs(None)?)
    }

    /// Whether no kernels were named.
    fn is_all(&self) -> bool {
        self.kernel.is_empty() && self.tag.is_empty()
    }

    /// Those of the matrix.
    fn of(&self, matrix: &Matrix) -> Result<Matrix, Stop> {
        matrix.select(&self.kernel, &[], &self.tag).map_err(Stop::usage)
    }
}

/// Runs one of them.
pub(super) fn kernels(command: &Kernels) -> Result<Exit, Stop> {
    match command {
        Kernels::List(args) => list::list(args),
        Kernels::Update(args) => update::update(args),
        Kernels::Gc(args) => gc::gc(args),
    }
}
