//! The arguments of `backproof prove`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::cli::args::{Format, MachineArgs, Output};
use crate::matrix::SEEDS_MAX;
use crate::words::{BugId, Role};

const EXAMPLES: &str = "Examples:
  backproof prove --bug tcp-fragment-stall --repo linux --at v6.1.100 --step fix
  backproof prove --bug tcp-fragment-stall --tree linux --patch backport.patch
  backproof prove --bug tcp-fragment-stall --repo linux --commit A..B --each
  backproof prove --bug tcp-fragment-stall --repo linux --between v4.19.50 v4.19.70

Exit codes: 0 the verdict flips, or turns were found; 1 it does not flip; 2 bad usage, or ends that don't differ; \
3 no verdict";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("question").required(true).args(["step", "patch", "commit", "between"])))]
#[command(group(ArgGroup::new("source").args(["repo", "tree"])))]
#[command(group(ArgGroup::new("subject").required(true).args(["bug", "reproducer"])))]
pub(in crate::cli) struct Prove {
    /// Bug whose verdict is to flip: a name, a CVE or a commit
    #[arg(long, value_name = "BUG")]
    pub(super) bug: Option<BugId>,
    /// Program that provokes a bug without a dossier (docs/reproducers.md)
    #[arg(long, value_name = "FILE", conflicts_with = "step")]
    pub(super) reproducer: Option<PathBuf>,
    /// Prove this step of the bug's chain: break, half-fix, fix or fix-of-fix
    #[arg(long, value_name = "ROLE", requires = "repo", value_parser = role)]
    pub(super) step: Option<Role>,
    /// Prove this patch; several are one change, in this order (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(super) patch: Vec<PathBuf>,
    /// Prove this commit, or the commits of a range A..B
    #[arg(long, value_name = "COMMITS", requires = "repo")]
    pub(super) commit: Option<String>,
    /// Find where the verdict turns, between two kernels in a row
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["each", "tree", "at", "break_"])]
    pub(super) between: Vec<String>,
    /// Kernel repository
    #[arg(long, value_name = "REPO", conflicts_with = "tree")]
    pub(super) repo: Option<PathBuf>,
    /// Revision of the repository to judge the change in [default: --commit's last, else HEAD]
    #[arg(long, value_name = "REV", requires = "repo")]
    pub(super) at: Option<String>,
    /// Kernel source folder to judge the change in; it is copied, never touched
    #[arg(long, value_name = "DIR", conflicts_with = "step")]
    pub(super) tree: Option<PathBuf>,
    /// Judge after each patch or commit of several, to name the one that matters
    #[arg(long)]
    pub(super) each: bool,
    /// Expect the change to bring the bug in, not to remove it
    #[arg(long = "break", conflicts_with = "step")]
    pub(super) break_: bool,
    /// Configuration to build with [default: a small one]
    #[arg(long, value_name = "FILE", requires = "source")]
    pub(super) config: Option<PathBuf>,
    /// Lines to add to the configuration (repeatable)
    #[arg(long, value_name = "FILE", requires = "source")]
    pub(super) fragment: Vec<PathBuf>,
    /// With --between: boot N more kernels, in the widest gaps
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, requires = "between")]
    pub(super) spot_checks: u16,
    /// Boot each kernel under N seeds, from --seed on, in virtual time [default: 3; --between: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SEEDS_MAX)))]
    pub(super) seeds: Option<u32>,
    /// Boot every kernel, even if its boot is cached
    #[arg(long)]
    pub(super) fresh: bool,
    /// Also use cached boots in real time, to go on after an interruption
    #[arg(long, conflicts_with = "fresh")]
    pub(super) reuse: bool,
    /// With --between: take names of kernels from this matrix [default: ./kernels.yaml, or the built-in one]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["repo", "tree"])]
    pub(super) matrix: Option<PathBuf>,
    /// Add your own dossiers from this folder
    #[arg(long, value_name = "DIR")]
    pub(super) dossiers: Option<PathBuf>,
    /// Use only the cache, never the network
    #[arg(long)]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) output: Output<Format>,
    #[command(flatten)]
    pub(super) host: MachineArgs,
}

fn role(text: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| format!("expected one of {}", Role::ALL.map(Role::as_str).join(", ")))
}
