//! `backproof kernels list --source`: lists an archive of kernels.

use anyhow::Context as _;

use super::list::List;
use crate::cli::{Stop, show};
use crate::exit::Exit;
use crate::kernel::{self, Obtain};
use crate::report::{ArchiveDocument, Fetching, Style};
use crate::shim::Shim;

/// Lists the versions of the archive of mainline builds that match the pattern.
pub(super) fn mainline(args: &List) -> Result<Exit, Stop> {
    let matrix = args.which.matrix()?;
    let store = args.cache.open()?;
    let shim = Shim::of_this_program().context("this program cannot start itself").map_err(Stop::no_verdict)?;
    let fetching = Fetching::new();
    let tell = |progress| fetching.tell(&progress);
    let with = Obtain { store: &store, shim: &shim, offline: args.offline, refresh: false, locked: None, tell: &tell };
    let pattern = args.pattern.as_deref().unwrap_or("*");
    let listed = kernel::list_mainline(pattern, &matrix.mainline, &with);
    fetching.finish();
    let listing = listed.map_err(Stop::of)?;
    let document = ArchiveDocument::of(&listing);
    show(&document, args.format, Style::of_terminal()).map(|()| Exit::Clean)
}
