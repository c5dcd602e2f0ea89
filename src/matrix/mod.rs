//! Reads the matrix of kernels (`kernels.yaml`) and the bugs' dossiers.

mod source;

pub use source::Source;
