//! Fuzzes `lanparty_fuzz::player`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::player(bytes));
