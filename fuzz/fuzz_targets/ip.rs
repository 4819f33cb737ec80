//! Fuzzes `lanparty_fuzz::ip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::ip(bytes));
