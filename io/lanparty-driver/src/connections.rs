//! Connecting: every address of the relay is tried, the first that answers wins, the others are told and forgotten.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lanparty_net::{CloseCause, Endpoint, LinkId, MemberSettings, member_socket};
use lanparty_session::ConnectionId;

/// How long one address may be silent before the next is tried beside it (RFC 8305, 5: 250 ms).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// How long other addresses have to answer once one has answered with a certificate that is not the relay's: a round trip around the
/// world and the loss of a packet (RFC 9002, 6.2.2: 1 s).
const OTHERS_PATIENCE: Duration = Duration::from_secs(1);

/// How many links may exist at a time: the one in use, one beside it, and the addresses tried for that.
pub(crate) const MAX_CONNECTIONS: usize = 8;

/// A socket of its own with one link on it.
///
/// Each attempt has a fresh socket, and so a fresh binding in every NAT on the way: an old binding that died cannot take it down too.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Names the connection among all of this member's; the names of links are each endpoint's own.
    pub(crate) id: u64,
    pub(crate) endpoint: Endpoint,
    pub(crate) link: LinkId,
    pub(crate) attempt: ConnectionId,
    pub(crate) is_connected: bool,
    /// Ended by us: kept only until its last packet has left.
    pub(crate) is_closing: bool,
}

/// An attempt that has not connected yet.
#[derive(Debug)]
struct Dial {
    attempt: ConnectionId,
    worker: Option<u8>,
    rest: VecDeque<SocketAddr>,
    next: Instant,
}

/// An address that answered and is not the relay: the reason why the attempt failed, unless another address is.
#[derive(Debug)]
struct Impostor {
    attempt: ConnectionId,
    due: Instant,
    cause: CloseCause,
}

/// All connections of a member, and the attempts that open more.
#[derive(Debug)]
pub(crate) struct Connections {
    settings: MemberSettings,
    addresses: Vec<SocketAddr>,
    dials: Vec<Dial>,
    impostors: Vec<Impostor>,
    next_id: u64,
    pub(crate) open: Vec<Connection>,
}

impl Connections {
    pub(crate) const fn new(settings: MemberSettings, addresses: Vec<SocketAddr>) -> Self {
        Self {
            settings,
            addresses,
            dials: Vec::new(),
            impostors: Vec::new(),
            next_id: 0,
            open: Vec::new(),
        }
    }

    /// Returns the connection of an attempt that won.
    pub(crate) fn connected(&mut self, attempt: ConnectionId) -> Option<&mut Connection> {
        self.open.iter_mut().find(|connection| {
            connection.attempt == attempt && connection.is_connected && !connection.is_closing
        })
    }

    /// Takes the addresses that the relay's name stands for now: new ones go first, the others keep their order.
    pub(crate) fn set_addresses(&mut self, mut addresses: Vec<SocketAddr>) {
        if addresses.is_empty() {
            return;
        }
        self.addresses.retain(|known| addresses.contains(known));
        addresses.retain(|address| !self.addresses.contains(address));
        addresses.append(&mut self.addresses);
        self.addresses = addresses;
    }

    /// Begins an attempt.
    pub(crate) fn dial(&mut self, attempt: ConnectionId, worker: Option<u8>, now: Instant) {
        self.dials.push(Dial {
            attempt,
            worker,
            rest: self.addresses.iter().copied().collect(),
            next: now,
        });
    }

    /// An address that is tried goes last next time: an attempt that is cut short is followed by one that goes on behind it, and one
    /// that has tried all by the same again (SPEC N2).
    fn postpone(&mut self, tried: SocketAddr) {
        if let Some(at) = self.addresses.iter().position(|address| *address == tried)
            && let Some(behind) = self.addresses.get_mut(at..)
        {
            behind.rotate_left(1);
        }
    }

    /// The address that worked goes first next time.
    fn prefer(&mut self, worked: SocketAddr) {
        if let Some(at) = self.addresses.iter().position(|address| *address == worked)
            && let Some(before) = self.addresses.get_mut(..=at)
        {
            before.rotate_right(1);
        }
    }

    /// A connection is established: no further address is tried for its attempt, and the attempt's other connections are closed.
    ///
    /// Returns the attempt, unless another of its connections was faster.
    pub(crate) fn handle_connected(&mut self, id: u64, now: Instant) -> Option<ConnectionId> {
        let connection = self
            .open
            .iter_mut()
            .find(|connection| connection.id == id && !connection.is_closing)?;
        connection.is_connected = true;
        let attempt = connection.attempt;
        if let Some(facts) = connection.endpoint.facts(connection.link) {
            self.prefer(facts.remote);
        }
        self.forget(attempt);
        for other in &mut self.open {
            if other.attempt == attempt && other.id != id && !other.is_closing {
                other.close(0, "another address answered first", now);
            }
        }

        Some(attempt)
    }

    /// Ends the connections of an attempt, with a code and text for the relay.
    pub(crate) fn close(&mut self, attempt: ConnectionId, code: u32, text: &str, now: Instant) {
        self.forget(attempt);
        for connection in self
            .open
            .iter_mut()
            .filter(|connection| connection.attempt == attempt && !connection.is_closing)
        {
            connection.close(code, text, now);
        }
    }

    /// Returns when [`Connections::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let dials = self.dials.iter().map(|dial| dial.next);
        let links = self
            .open
            .iter()
            .filter_map(|connection| connection.endpoint.poll_timeout());

        let impostors = self.impostors.iter();
        let impostors = impostors
            .filter(|impostor| !self.is_dialling(impostor.attempt))
            .map(|impostor| impostor.due);

        dials.chain(links).chain(impostors).min()
    }

    /// Opens connections whose time has come. Gives attempts of which nothing is left, with the reason.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<(ConnectionId, CloseCause)> {
        let mut failed = Vec::new();
        let mut dials = std::mem::take(&mut self.dials);
        dials.retain_mut(|dial| {
            let goes_on = self.advance(dial, now);
            if !goes_on && !self.has_open(dial.attempt) {
                failed.push((dial.attempt, CloseCause::TimedOut));
            }

            goes_on
        });
        self.dials = dials;
        for connection in &mut self.open {
            connection.endpoint.handle_timeout(now);
        }
        while let Some(failure) = self.expose(now) {
            failed.push(failure);
        }

        failed
    }

    /// Ends an attempt of which one address was an impostor and no other has answered in time.
    fn expose(&mut self, now: Instant) -> Option<(ConnectionId, CloseCause)> {
        let is_due =
            |impostor: &Impostor| impostor.due <= now && !self.is_dialling(impostor.attempt);
        let found = self.impostors.iter().position(is_due)?;
        let Impostor { attempt, cause, .. } = self.impostors.swap_remove(found);
        self.close(attempt, 0, "another address has a wrong certificate", now);

        Some((attempt, cause))
    }

    fn is_dialling(&self, attempt: ConnectionId) -> bool {
        self.dials.iter().any(|dial| dial.attempt == attempt)
    }

    /// Tries no further address of an attempt, and forgets why earlier ones were none.
    fn forget(&mut self, attempt: ConnectionId) {
        self.dials.retain(|dial| dial.attempt != attempt);
        self.impostors
            .retain(|impostor| impostor.attempt != attempt);
    }

    /// Tries the next addresses whose time has come. Returns `false` once there are none left: what is open decides then.
    fn advance(&mut self, dial: &mut Dial, now: Instant) -> bool {
        while dial.next <= now {
            let Some(address) = dial.rest.pop_front() else {
                return false;
            };
            if !self.make_room(dial.attempt, now) {
                dial.rest.push_front(address);
                dial.next = now + NEXT_ADDRESS_AFTER;
                return true;
            }
            self.postpone(address);
            match self.open_connection(dial.attempt, address, dial.worker, now) {
                Ok(connection) => {
                    self.open.push(connection);
                    dial.next = now + NEXT_ADDRESS_AFTER;
                }
                Err(error) => tracing::debug!(%address, %error, "cannot try this address"),
            }
        }

        true
    }

    /// Returns whether there is room for one more connection. If need be, the address of the attempt that has been silent for longest makes
    /// way, so that each of many has its turn (SPEC N2).
    fn make_room(&mut self, attempt: ConnectionId, now: Instant) -> bool {
        if self.open.len() < MAX_CONNECTIONS {
            return true;
        }
        let is_dispensable = |connection: &Connection| {
            connection.is_closing || connection.attempt == attempt && !connection.is_connected
        };
        let Some(oldest) = self.open.iter().position(is_dispensable) else {
            return false;
        };
        let mut connection = self.open.remove(oldest);
        if !connection.is_closing {
            connection.close(0, "other addresses are to be tried", now);
        }

        true
    }

    /// A connection ended without our doing. Returns its attempt if that has nothing left, with what says most about why.
    pub(crate) fn handle_closed(
        &mut self,
        id: u64,
        cause: CloseCause,
        now: Instant,
    ) -> Option<(ConnectionId, CloseCause)> {
        let connection = self
            .open
            .iter_mut()
            .find(|connection| connection.id == id)?;
        connection.is_closing = true;
        let attempt = connection.attempt;
        if let Some(dial) = self.dials.iter_mut().find(|dial| dial.attempt == attempt) {
            dial.next = now;
        }
        let is_waiting = self
            .dials
            .iter()
            .any(|dial| dial.attempt == attempt && !dial.rest.is_empty());
        if is_waiting || self.has_open(attempt) {
            if let CloseCause::Certificate(_) = cause {
                let due = now + OTHERS_PATIENCE;
                self.impostors.push(Impostor {
                    attempt,
                    due,
                    cause,
                });
            }
            return None;
        }
        let mut impostors = self.impostors.iter();
        let impostor = impostors.find(|impostor| impostor.attempt == attempt);
        let cause = impostor.map_or(cause, |impostor| impostor.cause.clone());
        self.forget(attempt);

        Some((attempt, cause))
    }

    /// Forgets connections that are closed and have nothing more to send.
    pub(crate) fn sweep(&mut self) {
        self.open
            .retain(|connection| !connection.is_closing || connection.endpoint.wants_write());
    }

    fn has_open(&self, attempt: ConnectionId) -> bool {
        self.open
            .iter()
            .any(|connection| connection.attempt == attempt && !connection.is_closing)
    }

    fn open_connection(
        &mut self,
        attempt: ConnectionId,
        address: SocketAddr,
        worker: Option<u8>,
        now: Instant,
    ) -> anyhow::Result<Connection> {
        let mut endpoint = Endpoint::member(member_socket(address)?, self.settings.clone())?;
        let link = endpoint.connect(address, worker, now)?;
        endpoint.flush(now);
        self.next_id = self.next_id.wrapping_add(1);

        Ok(Connection {
            id: self.next_id,
            endpoint,
            link,
            attempt,
            is_connected: false,
            is_closing: false,
        })
    }
}

impl Connection {
    fn close(&mut self, code: u32, text: &str, now: Instant) {
        self.endpoint.close(self.link, code, text, now);
        self.endpoint.flush(now);
        self.is_closing = true;
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use lanparty_net::{DEVELOPMENT_NAME, Identity, Trust};
    use lanparty_queue::Pace;

    use super::*;

    fn settings() -> MemberSettings {
        let identity = Identity::development(&[DEVELOPMENT_NAME.to_owned()]).unwrap();
        let trust = Trust::Pinned(identity.chain.first().unwrap().clone());

        MemberSettings::new(DEVELOPMENT_NAME.to_owned(), &trust, Pace::Off).unwrap()
    }

    #[test]
    fn every_address_of_a_name_with_many_is_tried() {
        let silent: Vec<UdpSocket> = (0..3 * MAX_CONNECTIONS)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses = silent.iter().map(|socket| socket.local_addr().unwrap());
        let mut connections = Connections::new(settings(), addresses.collect());
        let mut now = Instant::now();
        connections.dial(ConnectionId(1), None, now);

        for _ in &silent {
            assert_eq!(connections.handle_timeout(now), []);
            connections.sweep();
            assert!(connections.open.len() <= MAX_CONNECTIONS);
            now += NEXT_ADDRESS_AFTER;
        }

        for socket in silent {
            socket.set_nonblocking(true).unwrap();
            socket.recv(&mut [0; 2048]).unwrap();
        }
    }

    #[test]
    fn an_attempt_goes_on_where_the_one_before_was_cut_short() {
        let silent: Vec<UdpSocket> = (0..6)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses: Vec<_> = silent
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect();
        let mut connections = Connections::new(settings(), addresses.clone());
        let mut now = Instant::now();

        for attempt in (1..=3).map(ConnectionId) {
            connections.dial(attempt, None, now);
            for _ in 0..2 {
                connections.handle_timeout(now);
                now += NEXT_ADDRESS_AFTER;
            }
            connections.close(attempt, 0, "it took too long", now);
            connections.sweep();
            // Names are looked up again for every attempt.
            connections.set_addresses(addresses.clone());
        }

        for socket in silent {
            socket.set_nonblocking(true).unwrap();
            socket.recv(&mut [0; 2048]).unwrap();
        }
    }
}
