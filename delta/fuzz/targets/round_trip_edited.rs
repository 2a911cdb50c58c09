#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| groundswell_delta::fuzzing::round_trip_edited(data));
