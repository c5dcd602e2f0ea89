//! `backproof prove`: does the verdict flip exactly at a change, and where does it turn?

mod args;
mod between;
mod change;
mod pair;
mod question;
mod row;

pub(in crate::cli) use args::Prove;

use super::Stop;
use crate::exit::Exit;

/// Proves a change, or searches for it.
pub(super) fn prove(args: &Prove) -> Result<Exit, Stop> {
    let question = question::ProofQuestion::of(args)?;
    if args.between.is_empty() { pair::prove(args, &question) } else { between::prove(args, &question) }
}
