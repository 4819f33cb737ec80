//! Fuzzes `lanparty_fuzz::mss`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::mss(bytes));
