//! Fuzzes `lanparty_fuzz::reassembly`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanparty_fuzz::reassembly(bytes));
