//! Connections that have not said hello, bounded.
//!
//! A player says hello in the round trip after its handshake. Where too many connections do not, the
//! one that is silent for longest goes: that is never a player, unless other peers finish as many
//! handshakes within that round trip as may be silent.

use std::collections::VecDeque;

use lanparty_switch::ConnId;

use crate::connection::Connection;
use crate::connections::Connections;

/// Connections in the order in which they came. There are no more than may be silent, those that have
/// said hello since included.
#[derive(Debug)]
pub(crate) struct Silent {
    max: usize,
    conns: VecDeque<ConnId>,
}

impl Silent {
    /// Makes a list for at most `max` connections; zero is no limit.
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            max,
            conns: VecDeque::new(),
        }
    }

    /// Takes note of a connection that has not said hello. Returns the one that has to go for it.
    pub(crate) fn push(&mut self, conn: ConnId, connections: &Connections) -> Option<ConnId> {
        if self.max == 0 {
            return None;
        }
        if self.conns.len() >= self.max {
            let is_silent =
                |conn: &ConnId| connections.get(*conn).is_some_and(Connection::is_silent);
            self.conns.retain(is_silent);
        }
        let crowded_out = if self.conns.len() >= self.max {
            self.conns.pop_front()
        } else {
            None
        };
        self.conns.push_back(conn);

        crowded_out
    }
}
