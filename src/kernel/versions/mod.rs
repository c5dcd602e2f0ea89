//! The order of package versions, as the package managers see it.

pub mod dpkg;
pub mod rpm;
