//! The kernel under test, as its processes see it: sockets, sysctls, counters.

pub mod client;
pub mod clock;
pub mod counters;
pub mod kmsg;
pub mod socket;
pub mod sysctl;
