//! Runs a matrix: workers boot kernels, settle their cells, and send events.

mod boot_cache;
mod boot_end;
mod boots;
mod cell;
mod crash;
mod engine;
mod event;
mod guest_boot;
mod look_cache;
mod probe;
mod profile_modules;
mod programs;
mod reach;
mod recording;
mod seeds;
mod settle;
mod shared_death;
mod tally;
mod trial;
mod witnesses;

pub use boot_cache::CacheUse;
pub use boot_end::{BootEnd, WireRecord};
pub use cell::{Cell, CellTrials};
pub use crash::CrashSeen;
pub use engine::{Lab, RunPlan, run};
pub use event::{BootId, BootRecord, Event, KernelRecord};
pub use guest_boot::boot_again;
pub(crate) use look_cache::LookCache;
pub use probe::{ProbeError, Probed, probe_host};
pub use programs::{BadPrograms, programs};
pub use reach::{CellReach, FunctionReach};
pub use recording::{Recording, RecordingError};
pub use seeds::SeedCount;
pub use settle::judge_again;
pub use tally::{CellTally, ControlFault};
pub use witnesses::KernelLook;
