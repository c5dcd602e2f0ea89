//! Ubuntu's archive of mainline builds.

mod checksums;
mod choose;
#[cfg(test)]
mod fixtures;
mod index;
mod signature;
