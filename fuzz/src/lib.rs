//! Fuzz targets. Each is a plain function of bytes that panics when something that must hold does not.
//!
//! A target is one function in a file of `src/`, one line in [`TARGETS`], three lines in `fuzz_targets/NAME.rs`
//! with its `[[bin]]`, and a folder `corpus/NAME/`. `cargo test` replays every committed input on the stable
//! compiler; `cargo +nightly fuzz run NAME --features libfuzzer` looks for new ones.

mod control;
mod frame;
mod overlay;

pub use self::control::control;
pub use self::frame::frame;
pub use self::overlay::overlay;

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, fn(&[u8]))] =
    &[("control", control), ("frame", frame), ("overlay", overlay)];
