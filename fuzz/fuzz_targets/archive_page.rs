//! The pages and checksums of the archive of mainline builds.
#![no_main]

use backproof::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::archive_page(data));
