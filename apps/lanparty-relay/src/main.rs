//! softlan: the relay program.

fn main() {}
