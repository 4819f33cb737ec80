//! Connecting: every address of the relay is tried, the first that answers wins, the others are told and forgotten.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lanparty_client_core::Attempt;
use lanparty_net::{CloseCause, Endpoint, LinkId, MemberSettings, member_socket};

/// How long one address may be silent before the next is tried beside it (RFC 8305, 5: 250 ms).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// How many links may exist at a time: the one in use, one beside it, and the addresses tried for that.
pub(crate) const MAX_LINES: usize = 8;

/// A socket of its own with one link on it.
///
/// Each attempt has a fresh socket, and so a fresh binding in every NAT on the way: an old binding that died cannot take it down too.
#[derive(Debug)]
pub(crate) struct Line {
    /// Names the line among all of this member's; link names are each endpoint's own.
    pub(crate) id: u64,
    pub(crate) endpoint: Endpoint,
    pub(crate) link: LinkId,
    pub(crate) attempt: Attempt,
    pub(crate) is_connected: bool,
    /// Ended by us: kept only until its last packet has left.
    pub(crate) is_closing: bool,
}

/// An attempt that has not connected yet.
#[derive(Debug)]
struct Dial {
    attempt: Attempt,
    worker: Option<u8>,
    rest: VecDeque<SocketAddr>,
    next: Instant,
}

/// All lines of a member, and the attempts that open more.
#[derive(Debug)]
pub(crate) struct Lines {
    settings: MemberSettings,
    addresses: Vec<SocketAddr>,
    dials: Vec<Dial>,
    next_id: u64,
    pub(crate) open: Vec<Line>,
}

impl Lines {
    pub(crate) const fn new(settings: MemberSettings, addresses: Vec<SocketAddr>) -> Self {
        Self {
            settings,
            addresses,
            dials: Vec::new(),
            next_id: 0,
            open: Vec::new(),
        }
    }

    /// Returns the line of an attempt that won.
    pub(crate) fn connected(&mut self, attempt: Attempt) -> Option<&mut Line> {
        self.open
            .iter_mut()
            .find(|line| line.attempt == attempt && line.is_connected && !line.is_closing)
    }

    /// Takes the addresses that the relay's name stands for now.
    pub(crate) fn set_addresses(&mut self, addresses: Vec<SocketAddr>) {
        if !addresses.is_empty() {
            self.addresses = addresses;
        }
    }

    /// Begins an attempt.
    pub(crate) fn dial(&mut self, attempt: Attempt, worker: Option<u8>, now: Instant) {
        self.dials.push(Dial {
            attempt,
            worker,
            rest: self.addresses.iter().copied().collect(),
            next: now,
        });
    }

    /// The address that worked goes first next time.
    fn prefer(&mut self, worked: SocketAddr) {
        if let Some(at) = self.addresses.iter().position(|address| *address == worked) {
            self.addresses.swap(0, at);
        }
    }

    /// A line connected: no further address is tried for its attempt, and the attempt's other lines are closed.
    ///
    /// Returns the attempt, unless another of its lines was faster.
    pub(crate) fn handle_connected(&mut self, id: u64, now: Instant) -> Option<Attempt> {
        let line = self
            .open
            .iter_mut()
            .find(|line| line.id == id && !line.is_closing)?;
        line.is_connected = true;
        let attempt = line.attempt;
        if let Some(facts) = line.endpoint.facts(line.link) {
            self.prefer(facts.remote);
        }
        self.dials.retain(|dial| dial.attempt != attempt);
        for other in &mut self.open {
            if other.attempt == attempt && other.id != id && !other.is_closing {
                other.close(0, "another address answered first", now);
            }
        }

        Some(attempt)
    }

    /// Ends the lines of an attempt, with a code and text for the relay.
    pub(crate) fn close(&mut self, attempt: Attempt, code: u32, text: &str, now: Instant) {
        self.dials.retain(|dial| dial.attempt != attempt);
        for line in self
            .open
            .iter_mut()
            .filter(|line| line.attempt == attempt && !line.is_closing)
        {
            line.close(code, text, now);
        }
    }

    /// Returns when [`Lines::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let dials = self.dials.iter().map(|dial| dial.next);
        let links = self
            .open
            .iter()
            .filter_map(|line| line.endpoint.poll_timeout());

        dials.chain(links).min()
    }

    /// Opens lines whose time has come. Gives attempts of which nothing is left, with the reason.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<(Attempt, CloseCause)> {
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
        for line in &mut self.open {
            line.endpoint.handle_timeout(now);
        }

        failed
    }

    /// Tries the next addresses whose time has come. Returns `false` once there are none left: what is open decides then.
    fn advance(&mut self, dial: &mut Dial, now: Instant) -> bool {
        while dial.next <= now {
            let Some(address) = dial.rest.pop_front() else {
                return false;
            };
            match self.open_line(dial.attempt, address, dial.worker, now) {
                Ok(line) => {
                    self.open.push(line);
                    dial.next = now + NEXT_ADDRESS_AFTER;
                }
                Err(error) => tracing::debug!(%address, %error, "cannot try this address"),
            }
        }

        true
    }

    /// A line ended without our doing. Returns its attempt if that has nothing left.
    pub(crate) fn handle_closed(&mut self, id: u64, now: Instant) -> Option<Attempt> {
        let line = self.open.iter_mut().find(|line| line.id == id)?;
        line.is_closing = true;
        let attempt = line.attempt;
        if let Some(dial) = self.dials.iter_mut().find(|dial| dial.attempt == attempt) {
            dial.next = now;
            if !dial.rest.is_empty() {
                return None;
            }
        }
        if self.has_open(attempt) {
            return None;
        }
        self.dials.retain(|dial| dial.attempt != attempt);

        Some(attempt)
    }

    /// Forgets lines that are closed and have nothing more to send.
    pub(crate) fn sweep(&mut self) {
        self.open
            .retain(|line| !line.is_closing || line.endpoint.wants_write());
    }

    fn has_open(&self, attempt: Attempt) -> bool {
        self.open
            .iter()
            .any(|line| line.attempt == attempt && !line.is_closing)
    }

    fn open_line(
        &mut self,
        attempt: Attempt,
        address: SocketAddr,
        worker: Option<u8>,
        now: Instant,
    ) -> anyhow::Result<Line> {
        anyhow::ensure!(self.open.len() < MAX_LINES, "too many attempts at a time");
        let mut endpoint = Endpoint::member(member_socket(address)?, self.settings.clone())?;
        let link = endpoint.connect(address, worker, now)?;
        endpoint.flush(now);
        self.next_id = self.next_id.wrapping_add(1);

        Ok(Line {
            id: self.next_id,
            endpoint,
            link,
            attempt,
            is_connected: false,
            is_closing: false,
        })
    }
}

impl Line {
    fn close(&mut self, code: u32, text: &str, now: Instant) {
        self.endpoint.close(self.link, code, text, now);
        self.endpoint.flush(now);
        self.is_closing = true;
    }
}
