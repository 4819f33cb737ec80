//! Fuzzes `lanparty_fuzz::coalesce`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::coalesce(bytes));
