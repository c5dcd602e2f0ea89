//! What a kernel prints.
#![no_main]

use backproof::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::console(data));
