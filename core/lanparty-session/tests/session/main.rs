//! What a session does, told as its owner sees it.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    reason = "tests need some instant to start from, and look for one output among many"
)]

mod harness;
mod joining;
mod leaving;
mod peers;
mod process_handover;
mod properties;
mod reconnecting;
mod relay_handover;
mod standby;
