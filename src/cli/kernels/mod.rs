//! `backproof kernels`: the kernels of a matrix, what they were resolved to, and the cache that they are kept in.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Stop, matrix_file};
use crate::matrix::Matrix;
use crate::words::KernelName;

mod archive;
mod gc;
mod list;
mod update;

#[derive(Debug, Subcommand)]
pub(super) enum Kernels {
    /// Show the kernels of a matrix, what they are locked to, and which are in the cache; or what an archive has
    List(list::List),
    /// Resolve the kernels of a matrix anew, show what would change in its lock, and write that where you say so
    Update(update::Update),
    /// Tell what the cache holds; with a limit, remove what was not used for longest
    Gc(gc::Gc),
}

/// Which kernels are meant.
#[derive(Args, Debug)]
struct Which {
    /// The matrix of kernels [default: kernels.yaml here, or else the built-in one]
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// This kernel, beside those that --tag names and no others (may be repeated)
    #[arg(long, value_name = "NAME")]
    kernel: Vec<KernelName>,
    /// Kernels with this tag, beside those that --kernel names and no others (may be repeated)
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
pub(super) fn kernels(command: &Kernels) -> Result<u8, Stop> {
    match command {
        Kernels::List(args) => list::list(args),
        Kernels::Update(args) => update::update(args),
        Kernels::Gc(args) => gc::gc(args),
    }
}
