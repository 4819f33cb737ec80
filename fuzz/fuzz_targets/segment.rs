//! Fuzzes `lanparty_fuzz::segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::segment(bytes));
