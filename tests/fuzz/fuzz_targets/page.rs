//! The target `page`; what must hold is in `beatbook_tests::fuzz::page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| beatbook_tests::fuzz::page(bytes));
