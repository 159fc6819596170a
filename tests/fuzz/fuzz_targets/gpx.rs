//! The target `gpx`; what must hold is in `beatbook_tests::fuzz::gpx`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| beatbook_tests::fuzz::gpx(bytes));
