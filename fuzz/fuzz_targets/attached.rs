//! A document that a rollout attached.
#![no_main]

use backproof::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::attached(data));
