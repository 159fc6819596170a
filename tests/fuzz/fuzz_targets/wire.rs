//! The target `wire`; what must hold is in `beatbook_tests::fuzz::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| beatbook_tests::fuzz::wire(bytes));
