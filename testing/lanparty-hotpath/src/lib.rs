//! What a frame costs on the hot path, in instructions, which a machine repeats exactly and a clock never does.
//!
//! A [`Scenario`] pushes frames through the deciding cores of client, relay and gateway, without sockets and cryptography, which are not
//! ours. The program runs each under valgrind with two numbers of frames and divides the difference: setup and warm-up cancel out.
//! [`SCENARIOS`] holds what a frame may cost.

mod frames;
mod scenarios;
mod stations;

pub use scenarios::{SCENARIOS, Scenario};

/// Percent by which a frame may exceed its budget: compilers and C libraries differ that much between machines.
pub const TOLERANCE: u64 = 10;

/// Frames of the shorter run: every buffer has grown when it ends.
pub const FEW: u32 = 2_000;

/// Frames of the longer run.
pub const MANY: u32 = 10_000;

/// Returns the most instructions that a frame of `scenario` may cost.
pub const fn limit(scenario: &Scenario) -> u64 {
    scenario.budget * (100 + TOLERANCE) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_delivers_its_frames() {
        for scenario in &SCENARIOS {
            (scenario.run)(100);
        }
    }

    #[test]
    fn a_limit_is_the_budget_and_the_tolerance() {
        let scenario = Scenario {
            budget: 1000,
            ..SCENARIOS[0]
        };

        assert_eq!(limit(&scenario), 1100);
    }
}
