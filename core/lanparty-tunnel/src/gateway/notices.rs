//! Lines for the operator, few enough to be read.

use std::collections::VecDeque;
use std::time::Instant;

use lanparty_bounds::{Rate, TokenBucket};
use lanparty_guard::{Event, Owner};
use lanparty_obs::StatusLine;

/// How many lines wait to be printed.
const MAX_LINES: usize = 32;

/// Claims and losses told: ten at once and one every six seconds, however many there are.
const CLAIMS: Rate = Rate {
    per_second: 1,
    burst: 10 * CLAIM_COST,
};

/// Tokens for one claim, which makes one a second one in six seconds.
const CLAIM_COST: u64 = 6;

/// Lines that wait to be printed.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    lines: VecDeque<StatusLine>,
    claims: TokenBucket,
}

impl Notices {
    pub(crate) fn push(&mut self, line: StatusLine) {
        if self.lines.len() < MAX_LINES {
            self.lines.push_back(line);
        }
    }

    /// Takes what the guard has seen.
    pub(crate) fn guard(&mut self, event: Event, now: Instant) {
        match event {
            Event::Claim {
                member,
                address,
                owner,
            } if self.claims.take(CLAIMS, CLAIM_COST, now) => self.push(StatusLine::Claim {
                mac: member,
                address,
                owner: words(owner),
            }),
            // Who claims what the LAN answers for at once is told when it claims again.
            Event::Lost {
                member,
                address,
                owner,
                was_proven: true,
            } if self.claims.take(CLAIMS, CLAIM_COST, now) => self.push(StatusLine::AddressLost {
                mac: member,
                address,
                owner: words(owner),
            }),
            Event::Claim { .. }
            | Event::Bound { .. }
            | Event::Proven { .. }
            | Event::Lost { .. } => {}
        }
    }

    pub(crate) fn poll(&mut self) -> Option<StatusLine> {
        self.lines.pop_front()
    }
}

fn words(owner: Owner) -> String {
    match owner {
        Owner::Protected(role) => format!("the LAN ({})", role.as_str()),
        Owner::Lan(mac) => format!("{mac} on the LAN"),
        Owner::Member(mac) => format!("client {mac}"),
    }
}
