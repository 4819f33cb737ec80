//! softlan: the gateway program.

fn main() {}
