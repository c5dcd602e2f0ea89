//! A user's patch.
#![no_main]

use backproof::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::patch(data));
