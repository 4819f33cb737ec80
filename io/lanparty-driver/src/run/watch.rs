//! What is due from time to time: timers, signs of life, counters, the last words.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Mode, Stats, close_code};
use lanparty_device::FrameDevice as _;
use lanparty_obs::DropReason;
use lanparty_proto::budget;
use lanparty_session::{ConnectionError, JoinInfo};
use lanparty_tunnel::DataPath;

use super::outputs::cause_of;
use super::{DEAF, LEAVE_GRACE, Member, PORT_PATIENCE, SIGN_CHECK, SILENCE_CHECK};
use crate::connections::Connection;
use crate::port::{Port, PortError};
use crate::sleep::SleepDetector;

impl<P: Port, D: DataPath> Member<P, D> {
    pub(super) fn run_timers(&mut self, now: Instant) -> Result<(), PortError> {
        for (attempt, cause) in self.connections.handle_timeout(now) {
            self.config
                .session
                .handle_closed(attempt, cause_of(cause), now);
        }
        self.read_all_events(now);
        if self.next_check <= now {
            self.next_check = now + SILENCE_CHECK;
            self.check_silence(now);
            self.check_sleep(now);
            self.check_away(now);
            self.remember(now);
            self.collect_losses(now);
            self.check_too_large(now);
            self.diagnose(now);
            let stats = self.stats();
            self.config.session.handle_stats(stats, now);
        }
        if let Some(neighbor) = self.path.take_neighbor() {
            self.config.session.handle_neighbor(neighbor, now);
        }
        self.config.session.handle_timeout(now);
        if !self.is_draining() {
            self.path.handle_timeout(now, &mut self.outbox);
        }
        while let Some(line) = self.path.poll_status() {
            (self.config.status)(&line);
        }
        self.process_outputs(now)?;
        self.forward(now);
        self.deliver();

        Ok(())
    }

    /// Hands over what the data path wants to outlive this process.
    fn remember(&mut self, now: Instant) {
        let Some(file) = self.memory.as_ref().filter(|_| !self.is_draining()) else {
            return;
        };
        if let Some(memory) = self.path.take_memory(now) {
            file.write(memory.into_bytes());
        }
    }

    /// Tells the session how long the relay has not answered, and asks it for a sign of life.
    ///
    /// Only an answer counts: a relay that does not hear us is heard itself as long as others talk.
    /// QUIC counts whatever is heard, so such a connection is ended here.
    ///
    /// Whoever was silent is looked at more often, so that the answer is not missed while a second connection is tried.
    pub(super) fn check_silence(&mut self, now: Instant) {
        let deaf_after = self.config.settings.idle_timeout() + DEAF;
        let mut deaf = None;
        let is_watched =
            |connection: &&mut Connection| connection.is_connected && !connection.is_closing;
        for connection in self.connections.open.iter_mut().filter(is_watched) {
            let Some(facts) = connection.endpoint.facts(connection.link) else {
                continue;
            };
            let silence = now.saturating_duration_since(facts.last_answered);
            if silence >= SILENCE_CHECK {
                connection.endpoint.ping(connection.link);
                self.next_check = now + SIGN_CHECK;
            } else {
                // Whoever only listens would otherwise look up to twice as late.
                self.next_check = self.next_check.min(facts.last_answered + SILENCE_CHECK);
            }
            self.config
                .session
                .handle_silence(connection.attempt, silence, now);
            let carries = |joined: &JoinInfo| joined.connection == connection.attempt;
            if self.joined.as_ref().is_some_and(carries) {
                self.path.handle_silence(silence, now);
            }
            if silence >= deaf_after {
                deaf = Some(connection.attempt);
            }
        }
        if let Some(attempt) = deaf {
            self.connections
                .close(attempt, close_code::BUSY, "no answers", now);
            self.config
                .session
                .handle_closed(attempt, ConnectionError::TimedOut, now);
        }
    }

    /// The system's addresses or routes changed, or it slept: nobody knows which connections still work.
    ///
    /// A packet from a new address lets the relay move the connection there. What is known of the path stays: most changes, those of
    /// the TAP among them, are not on the way to the relay, and the library notices by itself when a path carries less.
    pub(super) fn handle_network_change(&mut self, now: Instant) {
        for connection in &mut self.connections.open {
            if connection.is_connected && !connection.is_closing {
                connection.endpoint.ping(connection.link);
            }
        }
        self.next_check = now + SIGN_CHECK;
        self.diagnosis.look_now();
        self.config.session.handle_network_change(now);
    }

    /// Notices that the system slept: the clock that `Instant` reads stood still meanwhile, and the relay's did not.
    fn check_sleep(&mut self, now: Instant) {
        if self.sleep.as_mut().is_some_and(SleepDetector::has_slept) {
            tracing::debug!("the system slept");
            self.handle_network_change(now);
        }
    }

    /// Takes the port down once an outage is so long that games are better told.
    pub(super) fn check_away(&mut self, now: Instant) {
        if self
            .away_since
            .is_some_and(|since| now.saturating_duration_since(since) >= PORT_PATIENCE)
        {
            self.away_since = None;
            self.port.handle_away();
        }
    }

    /// Counts what links and port gave up by themselves.
    fn collect_losses(&mut self, now: Instant) {
        let losses = self.port.device().statistics().losses();
        let port = losses.since(&mut self.known_losses);
        self.drops.up.add_many(DropReason::PortMissed, port.missed);
        let down = &mut self.drops.down;
        down.add_many(DropReason::PortBusy, port.busy);
        down.add_many(DropReason::PortDown, port.down);
        down.add_many(DropReason::PortRefused, port.refused);
        let interface = self.config.session.interface();
        if let Some(line) = self.port_losses.check(port, interface, now) {
            (self.config.status)(&line);
        }
        for connection in self
            .connections
            .open
            .iter_mut()
            .filter(|connection| connection.is_connected)
        {
            let losses = connection.endpoint.take_losses(connection.link);
            let up = &mut self.drops.up;
            up.add_many(DropReason::QueueDelay, losses.queue.codel);
            up.add_many(DropReason::AckSuperseded, losses.queue.superseded);
            up.add_many(DropReason::DatagramBudget, losses.oversize);
        }
    }

    /// Tells the person of packets that cannot pass.
    fn check_too_large(&mut self, now: Instant) {
        let Some(joined) = &self.joined else {
            return;
        };
        let budget = self.config.session.budget();
        let mtu = match joined.mode {
            Mode::Native => joined.mtu.min(budget::ip_mtu(budget)),
            Mode::Full => joined.mtu,
        };
        let drops = &self.path.counters().drops_up;
        if let Some(line) = self.too_large.check(drops, mtu, now) {
            (self.config.status)(&line);
        }
    }

    pub(super) fn stats(&mut self) -> Stats {
        let counters = self.path.counters();
        let mut drops = counters.drops_up.clone();
        for more in [&counters.drops_down, &self.drops.up, &self.drops.down] {
            drops.merge(more);
        }
        let attempt = self.joined.as_ref().map(|joined| joined.connection);
        let facts = attempt.and_then(|attempt| {
            let connection = self.connections.connected(attempt)?;
            connection.endpoint.facts(connection.link)
        });
        let counters = self.path.counters();

        Stats {
            frames_up: counters.up.frames,
            bytes_up: counters.up.bytes,
            frames_down: counters.down.frames,
            bytes_down: counters.down.bytes,
            rtt_us: facts.map_or(0, |facts| {
                u64::try_from(facts.rtt.as_micros()).unwrap_or(u64::MAX)
            }),
            budget: facts.map_or(0, |facts| u16::try_from(facts.budget).unwrap_or(u16::MAX)),
            drops: drops
                .iter()
                .map(|(reason, count)| (reason.as_str().to_owned(), count))
                .collect(),
        }
    }

    /// Sends, and takes what came of that.
    pub(super) fn send(&mut self, now: Instant) -> Result<(), PortError> {
        self.flush(now);
        self.read_all_events(now);
        self.process_outputs(now)?;
        self.forward(now);
        self.deliver();
        self.flush(now);

        Ok(())
    }

    fn flush(&mut self, now: Instant) {
        for connection in &mut self.connections.open {
            connection.endpoint.flush(now);
        }
    }

    /// Gives the last words a moment to leave, if the socket did not take them at once.
    pub(super) fn linger(&mut self) {
        let end = Instant::now() + LEAVE_GRACE;
        while self
            .connections
            .open
            .iter()
            .any(|connection| connection.endpoint.wants_write())
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(10));
            self.flush(Instant::now());
        }
    }
}
