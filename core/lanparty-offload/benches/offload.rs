//! What the pieces of the data path cost per frame.

fn main() {}
