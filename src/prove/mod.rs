//! Proves what a change does: whether the verdict flips exactly there, and where in a row of kernels it turns.

mod flip;
mod proof;
mod search;
mod turns;

pub use flip::{Flip, NoFlipCause, Purpose};
pub use proof::{
    ChangePart, ChangeProof, CodeChange, PROOF_FILE, ProofSide, ProvenChange, SCHEMA_VERSION, SideBuild, TurningParts,
};
pub use search::{BadEnds, Turn, TurnSearch};
pub use turns::{Confirmation, RowKernel, RowSearch, SaidOfKernel, TurnProof, VerdictTurn, no_turn};
