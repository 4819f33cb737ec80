//! Who may connect: shares of addresses and networks, floods, bans, memory.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use lanparty_relay_core::admission::{
    AdmissionControl, ConnectionLimits, Decision, Limit, MAX_GROUPS, Pending, Quota,
};
use lanparty_switch::Rate;

const LIMITS: ConnectionLimits = ConnectionLimits {
    address: Quota {
        connects: Rate {
            per_second: 20,
            burst: 40,
        },
        connections: 60,
        handshakes: 16,
    },
    network: Quota {
        connects: Rate {
            per_second: 1000,
            burst: 1000,
        },
        connections: 1000,
        handshakes: 1000,
    },
    penalty: Duration::from_mins(1),
    handshakes: 1000,
    retry_above: 200,
    ignore_above: 2000,
    memory: 1000,
};

/// Admission control, a clock, and peers with numbers.
struct Gate {
    control: AdmissionControl,
    now: Instant,
}

impl Gate {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn new(limits: ConnectionLimits) -> Self {
        Self {
            control: AdmissionControl::new(limits),
            now: Instant::now(),
        }
    }

    /// A peer that validated its address connects.
    fn validated(&mut self, number: u32) -> Decision {
        let decided = (self.control).handle_initial(remote(number), true, false, self.now);

        decided.0
    }

    /// A peer that did not validate its address connects.
    fn unvalidated(&mut self, number: u32) -> Decision {
        let decided = (self.control).handle_initial(remote(number), false, true, self.now);

        decided.0
    }

    /// Returns how many of a hundred connections of one peer are accepted.
    fn accepted_of_100(&mut self, number: u32) -> usize {
        (0..100)
            .filter(|_| self.validated(number) == Decision::Accept)
            .count()
    }

    fn connected(&mut self, number: u32, was_validated: bool) {
        let pending = pending(number, was_validated, true);
        self.control.handle_connected(pending, self.now);
    }

    fn gone(&mut self, number: u32, was_validated: bool, is_connected: bool) {
        let pending = pending(number, was_validated, is_connected);
        self.control.handle_gone(pending);
    }

    /// Returns how often a limit was reached.
    fn reached(&self, limit: Limit) -> u64 {
        let mut reached = self.control.reached();

        reached.find(|(found, _)| *found == limit).unwrap().1
    }
}

/// A connection as it is when it goes.
fn pending(number: u32, was_validated: bool, is_connected: bool) -> Pending {
    Pending {
        remote: remote(number),
        was_validated,
        is_connected,
    }
}

fn remote(number: u32) -> SocketAddr {
    (Ipv4Addr::from_bits(0x0a00_0000 + number), 5000).into()
}

#[test]
fn one_address_connects_at_its_rate_and_holds_so_many() {
    let mut gate = Gate::new(LIMITS);

    assert_eq!(gate.accepted_of_100(1), 40);
    gate.now += Duration::from_secs(5);
    assert_eq!(gate.accepted_of_100(1), 20, "60 connections at a time");
    assert_eq!(gate.validated(2), Decision::Accept);
    gate.gone(1, true, true);
    gate.now += Duration::from_secs(5);
    assert_eq!(gate.accepted_of_100(1), 1);
}

#[test]
fn a_rush_has_to_validate_its_addresses_and_a_flood_gets_no_answer() {
    let mut gate = Gate::new(LIMITS);
    let decisions: Vec<_> = (0..3000).map(|number| gate.unvalidated(number)).collect();

    assert!(decisions[..200].iter().all(|d| *d == Decision::Accept));
    assert_eq!(decisions[200], Decision::Retry);
    assert_eq!(decisions[2999], Decision::Ignore);
    assert_eq!(gate.validated(5000), Decision::Accept);
    assert_eq!(gate.control.counts().retried, 1800);
    assert_eq!(
        (gate.reached(Limit::Rush), gate.reached(Limit::Flood)),
        (1800, 1000)
    );
}

#[test]
fn a_forged_address_does_not_keep_its_owner_out() {
    let mut gate = Gate::new(LIMITS);
    let forged: Vec<_> = (0..500).map(|_| gate.unvalidated(1)).collect();

    let accepted = forged.iter().filter(|d| **d == Decision::Accept);
    assert_eq!(accepted.count(), 16);
    assert!(forged[16..].iter().all(|d| *d == Decision::Retry));
    assert_eq!(
        gate.accepted_of_100(1),
        40,
        "the owner validates it, and has all of its own"
    );
}

#[test]
fn a_handshake_becomes_a_connection_or_is_forgotten() {
    let mut gate = Gate::new(ConnectionLimits {
        address: Quota {
            connections: 1,
            ..LIMITS.address
        },
        ..LIMITS
    });

    assert_eq!(gate.unvalidated(1), Decision::Accept);
    gate.gone(1, false, false);
    assert_eq!(gate.unvalidated(1), Decision::Accept);
    gate.connected(1, false);
    let again = gate.unvalidated(1);
    assert_eq!(again, Decision::Retry, "the address has its one");
    gate.gone(1, false, true);
    assert_eq!(gate.unvalidated(1), Decision::Accept);
}

#[test]
fn many_handshakes_at_a_time_have_peers_validate_their_addresses() {
    let mut gate = Gate::new(ConnectionLimits {
        handshakes: 2,
        ..LIMITS
    });

    assert_eq!(gate.unvalidated(1), Decision::Accept);
    assert_eq!(gate.unvalidated(2), Decision::Accept);
    assert_eq!(gate.unvalidated(3), Decision::Retry);
    assert_eq!(gate.validated(3), Decision::Accept);
    gate.connected(3, true);
    gate.connected(1, false);
    assert_eq!(gate.unvalidated(4), Decision::Accept);
    assert_eq!(gate.reached(Limit::Handshakes), 1);
}

#[test]
fn a_ban_ends_after_its_time() {
    let mut gate = Gate::new(LIMITS);
    assert_eq!(gate.validated(1), Decision::Accept);

    gate.control.ban(remote(1), gate.now);
    assert_eq!(gate.validated(1), Decision::Refuse);
    assert_eq!(gate.validated(2), Decision::Accept);

    gate.now += LIMITS.penalty;
    assert_eq!(gate.validated(1), Decision::Accept);
}

#[test]
fn no_connection_is_accepted_while_memory_is_scarce() {
    let mut gate = Gate::new(LIMITS);
    assert!(!gate.control.handle_memory(Some(800), gate.now));
    assert_eq!(gate.validated(1), Decision::Accept);

    assert!(gate.control.handle_memory(Some(801), gate.now));
    assert_eq!(
        gate.validated(2),
        Decision::Accept,
        "free memory is given back first"
    );
    assert!(!gate.control.handle_memory(Some(801), gate.now));
    assert_eq!(gate.validated(3), Decision::Refuse);
    assert_eq!(gate.reached(Limit::Memory), 1);
    gate.control.handle_memory(Some(800), gate.now);

    assert_eq!(gate.validated(4), Decision::Accept);
}

#[test]
fn scarce_memory_is_given_back_every_five_seconds() {
    let mut gate = Gate::new(LIMITS);
    let given_back = (0..20).filter(|_| {
        gate.now += Duration::from_secs(1);
        gate.control.handle_memory(Some(1000), gate.now)
    });

    assert_eq!(given_back.count(), 4);
}

#[test]
fn without_a_limit_or_a_measurement_memory_is_not_scarce() {
    let mut gate = Gate::new(ConnectionLimits {
        memory: 0,
        ..LIMITS
    });
    assert!(!gate.control.handle_memory(Some(u64::MAX), gate.now));
    assert_eq!(gate.validated(1), Decision::Accept);

    let mut unmeasured = Gate::new(LIMITS);
    assert!(!unmeasured.control.handle_memory(None, gate.now));
    assert_eq!(unmeasured.validated(1), Decision::Accept);
}

#[test]
fn a_crowd_that_has_gone_is_noticed_once() {
    let mut gate = Gate::new(LIMITS);
    let come = |gate: &mut Gate, count| {
        for number in 0..count {
            assert_eq!(gate.validated(number), Decision::Accept);
        }
    };
    let go = |gate: &mut Gate, count| (0..count).for_each(|number| gate.gone(number, true, true));
    let has_emptied = |gate: &mut Gate| gate.control.handle_memory(None, gate.now);

    come(&mut gate, 200);
    go(&mut gate, 200);
    assert!(!has_emptied(&mut gate), "few");
    come(&mut gate, 400);
    assert!(!has_emptied(&mut gate), "they are there");
    go(&mut gate, 300);
    assert!(has_emptied(&mut gate));
    assert!(!has_emptied(&mut gate));
}

#[test]
fn the_table_is_bounded_and_forgets() {
    let mut gate = Gate::new(LIMITS);
    for number in 0..70_000 {
        gate.now += Duration::from_millis(1);
        gate.validated(number);
        gate.gone(number, true, true);
    }

    assert!(gate.control.remembered() <= MAX_GROUPS);
    assert_eq!(gate.validated(80_000), Decision::Accept);
}

/// Four connections of one network at a time, two of which need not validate their addresses.
fn small_network() -> Gate {
    Gate::new(ConnectionLimits {
        network: Quota {
            connects: Rate {
                per_second: 1,
                burst: 5,
            },
            connections: 4,
            handshakes: 2,
        },
        ..LIMITS
    })
}

#[test]
fn one_network_holds_so_many_and_another_is_not_concerned() {
    let mut gate = small_network();
    for number in 0..4 {
        assert_eq!(gate.validated(number), Decision::Accept);
    }

    assert_eq!(gate.validated(4), Decision::Refuse);
    assert_eq!(gate.reached(Limit::NetworkConnections), 1);
    assert_eq!(gate.validated(256), Decision::Accept, "another network");

    gate.gone(0, true, true);
    assert_eq!(gate.validated(4), Decision::Accept);
    gate.gone(1, true, true);
    assert_eq!(gate.validated(5), Decision::Ignore, "five at once");
    assert_eq!(gate.reached(Limit::NetworkConnects), 1);
    gate.now += Duration::from_secs(1);
    assert_eq!(gate.validated(5), Decision::Accept, "one a second");
}

#[test]
fn many_handshakes_of_one_network_have_it_validate_its_addresses() {
    let mut gate = small_network();

    assert_eq!(gate.unvalidated(0), Decision::Accept);
    assert_eq!(gate.unvalidated(1), Decision::Accept);
    assert_eq!(gate.unvalidated(2), Decision::Retry);
    assert_eq!(gate.reached(Limit::NetworkHandshakes), 1);
    assert_eq!(gate.unvalidated(256), Decision::Accept, "another network");
    assert_eq!(gate.validated(2), Decision::Accept);
    gate.connected(0, false);
    gate.gone(1, false, false);
    assert_eq!(gate.unvalidated(3), Decision::Accept);
}

#[test]
fn a_peer_that_is_not_accepted_is_not_remembered() {
    let mut gate = small_network();
    for number in 0..100 {
        gate.unvalidated(number);
    }

    let remembered = gate.control.remembered();
    assert_eq!(remembered, 3, "two addresses, one network");
}
