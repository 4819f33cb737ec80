//! Fuzzes `lanparty_fuzz::chain`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::chain(bytes));
