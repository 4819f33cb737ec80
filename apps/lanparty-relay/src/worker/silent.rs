//! Connections that have not said hello, bounded.
//!
//! Who comes to play says hello in the round trip after its handshake. Where too many do not, the one that is silent for longest goes:
//! that is never a player, unless strangers finish as many handshakes within that round trip as may be silent.

use std::collections::VecDeque;
use std::time::Instant;

use lanparty_ctrl::close_code;
use lanparty_net::LinkId;

use super::Worker;
use super::conn::{Conn, Conns, Phase};
use crate::limit::Limit;

/// Connections in the order in which they came. There are no more than may be silent, those that have said hello since included.
#[derive(Debug)]
pub(super) struct Silent {
    max: usize,
    links: VecDeque<LinkId>,
}

impl Silent {
    /// Makes a list for at most `max` connections; zero is no limit.
    pub(super) const fn new(max: usize) -> Self {
        Self {
            max,
            links: VecDeque::new(),
        }
    }

    /// Takes note of a connection that has not said hello. Returns the one that has to go for it.
    fn push(&mut self, link: LinkId, conns: &Conns) -> Option<LinkId> {
        if self.max == 0 {
            return None;
        }
        if self.links.len() >= self.max {
            self.links
                .retain(|link| conns.get(*link).is_some_and(Conn::is_silent));
        }
        let crowded_out = if self.links.len() >= self.max {
            self.links.pop_front()
        } else {
            None
        };
        self.links.push_back(link);

        crowded_out
    }
}

impl Conn {
    const fn is_silent(&self) -> bool {
        matches!(self.phase, Phase::Silent)
    }
}

impl Worker {
    /// Takes note of a new connection, for which another one may have to go.
    pub(super) fn expect_hello(&mut self, link: LinkId, now: Instant) {
        let Some(crowded_out) = self.silent.push(link, &self.conns) else {
            return;
        };
        if let Some(conn) = self.conns.get(crowded_out) {
            let limit = Limit::SilentConnections;
            self.shared.limiter.note(limit, conn.remote, now);
        }
        let why = "too many connections have not said hello";
        self.close(crowded_out, close_code::BUSY, why, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(number: u64) -> LinkId {
        LinkId::from_bits(number)
    }

    fn connect(conns: &mut Conns, number: u64) {
        let remote = (std::net::Ipv4Addr::LOCALHOST, 1).into();
        conns.insert(Conn::new(link(number), remote, Instant::now()));
    }

    #[test]
    fn the_one_that_is_silent_for_longest_goes() {
        let (mut silent, mut conns) = (Silent::new(3), Conns::default());
        for number in 0..3 {
            connect(&mut conns, number);
            assert_eq!(silent.push(link(number), &conns), None);
        }

        connect(&mut conns, 3);
        assert_eq!(silent.push(link(3), &conns), Some(link(0)));
        assert_eq!(silent.links.len(), 3);
    }

    #[test]
    fn who_has_said_hello_or_is_gone_makes_room() {
        let (mut silent, mut conns) = (Silent::new(3), Conns::default());
        for number in 0..3 {
            connect(&mut conns, number);
            assert_eq!(silent.push(link(number), &conns), None);
        }
        conns.get_mut(link(1)).unwrap().phase = Phase::Leaving {
            code: 0,
            sentence: String::new(),
        };
        conns.remove(link(2));

        for (number, crowded_out) in [(3, None), (4, None), (5, Some(link(0)))] {
            connect(&mut conns, number);
            assert_eq!(silent.push(link(number), &conns), crowded_out);
        }
    }

    #[test]
    fn no_limit_keeps_no_list() {
        let (mut silent, mut conns) = (Silent::new(0), Conns::default());
        for number in 0..100 {
            connect(&mut conns, number);
            assert_eq!(silent.push(link(number), &conns), None);
        }

        assert!(silent.links.is_empty());
    }
}
