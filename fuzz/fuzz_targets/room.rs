//! Fuzzes `lanparty_fuzz::room`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::room(bytes));
