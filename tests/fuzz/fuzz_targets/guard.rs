//! The target `guard`; what must hold is in `beatbook_tests::fuzz::guard`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| beatbook_tests::fuzz::guard(bytes));
