//! A lock file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| drop(backproof::matrix::Lock::parse(data, "kernels.lock".as_ref())));
