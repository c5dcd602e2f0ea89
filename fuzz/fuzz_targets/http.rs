//! Headers of an HTTP answer.
#![no_main]

use backproof::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::http(data));
