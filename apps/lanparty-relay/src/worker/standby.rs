//! A gateway that waits for the place of another.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Hello, close_code};
use lanparty_net::LinkId;

use super::Worker;

/// How long a gateway may be silent before another one that asks gets its place: a member that has nothing to say is heard every
/// half second, and at least every two by [`KEEP_ALIVE`](lanparty_net::KEEP_ALIVE) if it is another program's.
const GATEWAY_SILENCE: Duration = Duration::from_millis(2500);

impl Worker {
    /// Gives up the connection of a gateway that is silent, or deaf, while another one asks for its place.
    pub(super) fn drop_silent_gateway(&mut self, hello: &Hello, now: Instant) {
        let Some(link) = self
            .switch
            .rival_of(hello)
            .map(|conn| LinkId::from_bits(conn.0))
        else {
            return;
        };
        if self.is_silent(link, now) || self.is_deaf(link, now) {
            tracing::info!(room = %hello.room, "the gateway is silent, and another one takes its place");
            self.close(link, close_code::BUSY, "silent", now);
        }
    }

    fn is_silent(&self, link: LinkId, now: Instant) -> bool {
        self.endpoint
            .facts(link)
            .is_none_or(|facts| now.saturating_duration_since(facts.last_heard) >= GATEWAY_SILENCE)
    }

    /// Asks a gateway for an answer, and returns whether it has owed one for too long: where packets vanish only on their way to it,
    /// it is heard, and hears nobody.
    fn is_deaf(&mut self, link: LinkId, now: Instant) -> bool {
        let (Some(facts), Some(conn)) = (self.endpoint.facts(link), self.conns.get_mut(link))
        else {
            return false;
        };
        let asked_since = conn.asked_since.filter(|at| facts.last_answered < *at);
        let asked_since = *conn.asked_since.insert(asked_since.unwrap_or(now));
        self.endpoint.ping(link);

        now.saturating_duration_since(asked_since) >= GATEWAY_SILENCE
    }
}
