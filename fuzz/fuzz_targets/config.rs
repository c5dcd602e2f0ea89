//! A kernel's configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| drop(backproof::kernel::KernelConfig::parse(data)));
