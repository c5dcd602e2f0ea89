//! The kernel under test, as its own processes see it: sockets, sysctls, counters, namespaces.

pub mod client;
pub mod clock;
pub mod counters;
pub mod kmsg;
pub mod namespace;
pub mod socket;
pub mod sysctl;
