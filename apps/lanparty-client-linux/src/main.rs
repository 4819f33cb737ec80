//! softlan: the client-linux program.

fn main() {}
