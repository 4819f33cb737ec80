//! What the relay promises of rooms and frames (the R rows of the requirements), by topic.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail like tests"
)]

mod admission;
mod budgets;
mod forwarding;
mod handover;
mod make_before_break;
mod party;
mod policy;
mod rates;
mod resume;
mod violations;
