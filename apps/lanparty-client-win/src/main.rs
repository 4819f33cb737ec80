//! softlan: the client-win program.

fn main() {}
