//! `backproof kernels`: the kernels of a matrix, what they were resolved to, and the cache that they are kept in.

use clap::Subcommand;

use super::Stop;

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

/// Runs one of them.
pub(super) fn kernels(command: &Kernels) -> Result<u8, Stop> {
    match command {
        Kernels::List(args) => list::list(args),
        Kernels::Update(args) => update::update(args),
        Kernels::Gc(args) => gc::gc(args),
    }
}
