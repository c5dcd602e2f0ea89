//! `backproof kernels`: the kernels of a matrix, what they were resolved to, and the cache that they are kept in.

use clap::Subcommand;

use super::Stop;

mod gc;

#[derive(Debug, Subcommand)]
pub(super) enum Kernels {
    /// Tell what the cache holds; with a limit, remove what was not used for longest
    Gc(gc::Gc),
}

/// Runs one of them.
pub(super) fn kernels(command: &Kernels) -> Result<u8, Stop> {
    match command {
        Kernels::Gc(args) => gc::gc(args),
    }
}
