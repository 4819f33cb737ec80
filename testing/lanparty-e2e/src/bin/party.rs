//! A whole party.
fn main() {}
