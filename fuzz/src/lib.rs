//! Fuzz targets. Each is a plain function of bytes that panics when something that must hold does not.
//!
//! A target is one function in a file of `src/`, one line in [`TARGETS`], three lines in `fuzz_targets/NAME.rs`
//! with its `[[bin]]`, and a folder `corpus/NAME/`. `cargo test` replays every committed input on the stable
//! compiler; `cargo +nightly fuzz run NAME --features libfuzzer` looks for new ones.

mod chain;
mod coalesce;
mod control;
mod frame;
mod ip;
mod mss;
mod overlay;
mod player;
mod policy;
mod reassembly;
mod room;
mod segment;

pub use self::chain::chain;
pub use self::coalesce::coalesce;
pub use self::control::control;
pub use self::frame::frame;
pub use self::ip::ip;
pub use self::mss::mss;
pub use self::overlay::overlay;
pub use self::player::player;
pub use self::policy::policy;
pub use self::reassembly::reassembly;
pub use self::room::room;
pub use self::segment::segment;

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("chain", chain),
    ("coalesce", coalesce),
    ("control", control),
    ("frame", frame),
    ("ip", ip),
    ("mss", mss),
    ("overlay", overlay),
    ("player", player),
    ("policy", policy),
    ("room", room),
    ("reassembly", reassembly),
    ("segment", segment),
];
