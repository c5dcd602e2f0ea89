//! Decides whether a kernel may go out: the gate, the difference from a baseline, and the documents that are attached to
//! a rollout.

mod check;
mod difference;
mod gate;
mod statement;
mod validation;
mod vex;

pub use check::{CheckError, FileCheck, check, files_in};
pub use difference::{CellChange, ConfigChange, Difference, FunctionSize, KernelParts};
pub use gate::{Gate, GateCell, GateRules};
pub use statement::Statement;
pub use validation::{
    Candidate, ControlsJudged, JudgedFile, SCHEMA_VERSION, ToolRecord, ValidatedBoot, Validation, WrittenFiles,
};
pub use vex::Vex;
