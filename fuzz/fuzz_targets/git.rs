//! Messages of commits, and patches of quilt.
#![no_main]

use backproof::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::git(data));
