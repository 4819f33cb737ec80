//! One worker: a UDP socket, its links, the rooms pinned to it, and nothing that it waits for but them.
//!
//! One turn: wait; read the clock once; read what has come, batch by batch; run what is due; send. What a turn reads leaves in it; if it
//! reads much, some trains leave before it reads on.

mod conn;
mod control;
mod deadlines;
mod departure;
mod frames;
mod report;
mod silent;
mod standby;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lanparty_ctrl::close_code;
use lanparty_net::{Endpoint, LinkEvent};
use lanparty_offload::flow::FlowHasher;
use lanparty_queue::Tempo;
use lanparty_switch::{RoomRecord, Switch};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use self::conn::Conns;
use self::deadlines::Deadlines;
use self::departure::Departure;
pub(crate) use self::frames::Losses;
pub(crate) use self::report::{MemberReport, RoomReport, WorkerReport};
use self::silent::Silent;
use crate::directory::Directory;
use crate::door::Door;

/// How many batches one turn reads before it looks at timers and owners. A batch is about 64 packets.
const BATCHES_A_TURN: usize = 8;

/// How many datagrams are read before what they caused is sent: some trains, in a fraction of a millisecond.
const DATAGRAMS_A_FLUSH: usize = 256;

/// What a wait found; what is not ready costs no system call.
#[derive(Clone, Copy)]
struct Ready {
    socket: bool,
    bell: bool,
}

/// How long members have to take the news of a shutdown before their links are cut.
const FAREWELL: Duration = Duration::from_millis(300);

/// How long a worker may take to answer that it is alive: many of its longest turns.
const ALIVE_PATIENCE: Duration = Duration::from_secs(2);

/// How long a supervisor takes to start the next relay: what our unit waits (100 ms), and the start itself.
const NEXT_RELAY: Duration = Duration::from_millis(200);

/// How far apart members are told to come to the next relay.
const APART: Duration = Duration::from_millis(1);

/// The most that the coming of members is spread.
const SPREAD: Duration = Duration::from_secs(2);

/// What a worker is asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// To describe itself.
    Report(SyncSender<WorkerReport>),
    /// To say that it still turns.
    Alive(SyncSender<()>),
    /// To admit nobody any more, and say what the next process must know.
    HandOver(SyncSender<(u8, Vec<RoomRecord>)>),
    /// To go on after all: there is no next process.
    Stay,
    /// To move everybody to the next process, and end.
    MoveOut,
    /// To let strangers in: everybody has come from the process before.
    Settle,
    /// To tell everybody to go, and end.
    Shutdown,
}

/// How others reach a worker.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    requests: Sender<Request>,
    bell: Arc<OwnedFd>,
}

impl Mailbox {
    /// Returns whether the worker still turns.
    pub(crate) fn is_alive(&self) -> bool {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        self.send(Request::Alive(sender));

        answer.recv_timeout(ALIVE_PATIENCE).is_ok()
    }

    /// Asks the worker, which answers in its next turn. Nobody answers for a worker that has ended.
    pub(crate) fn send(&self, request: Request) {
        if self.requests.send(request).is_ok() {
            // A bell that cannot be rung any louder is ringing already.
            let _rung = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
        }
    }
}

/// What workers of one relay share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) directory: Arc<Directory>,
    pub(crate) door: Arc<Door>,
    pub(crate) patience: Patience,
    /// How many connections of one worker may not have said hello; zero is no limit.
    pub(crate) silent: usize,
}

/// How long workers wait for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the hello of a new connection (RFC 9000, 21.6 is the attack).
    pub(crate) hello: Duration,
    /// For the rest of a control message that was begun.
    pub(crate) message: Duration,
}

/// One worker.
pub(crate) struct Worker {
    number: u8,
    endpoint: Endpoint,
    switch: Switch,
    shared: Shared,
    conns: Conns,
    deadlines: Deadlines,
    silent: Silent,
    hasher: FlowHasher,
    requests: Receiver<Request>,
    bell: Arc<OwnedFd>,
    /// When the worker ends, once it was told to.
    ends_at: Option<Instant>,
    /// Members are on their way to the next process.
    departure: Option<Departure>,
    losses: Losses,
    tempo: Tempo,
}

impl Worker {
    pub(crate) fn new(
        number: u8,
        endpoint: Endpoint,
        switch: Switch,
        shared: Shared,
    ) -> Result<(Self, Mailbox)> {
        let (sender, requests) = std::sync::mpsc::channel();
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .context("cannot make an eventfd")?;
        let bell = Arc::new(bell);
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).context("the system gives no random numbers")?;
        let mailbox = Mailbox {
            requests: sender,
            bell: Arc::clone(&bell),
        };

        let worker = Self {
            number,
            endpoint,
            switch,
            silent: Silent::new(shared.silent),
            shared,
            conns: Conns::default(),
            deadlines: Deadlines::default(),
            hasher: FlowHasher::new(u64::from_ne_bytes(seed)),
            requests,
            bell,
            ends_at: None,
            departure: None,
            losses: Losses::default(),
            tempo: Tempo::default(),
        };

        Ok((worker, mailbox))
    }

    /// Goes on with the rooms of a worker of another process.
    pub(crate) fn take_over(&mut self, rooms: Vec<RoomRecord>) {
        for room in &rooms {
            // The other process had this worker keep it, so nobody else has it here.
            let _home = self.shared.directory.claim(&room.code, self.number);
        }
        self.switch.take_over(rooms, Instant::now());
        self.shared
            .directory
            .set_members(self.number, self.switch.members());
    }

    /// Works until it was told to end and everybody knows.
    pub(crate) fn run(mut self) {
        let mut now = Instant::now();
        while !self.is_over(now) {
            let ready = self.wait(now);
            now = Instant::now();
            self.turn(ready, now);
            if let Some(rest) = self.tempo.handle_turn(now) {
                std::thread::sleep(rest);
            }
        }
        self.log_end(now);
        self.conns.links().for_each(|link| {
            self.endpoint.close(
                link,
                close_code::SHUTDOWN,
                "the relay is shutting down",
                now,
            );
        });
        self.endpoint.flush(now);
    }

    /// Says what became of frames: nobody can ask any more.
    fn log_end(&mut self, now: Instant) {
        let report = self.report(now);
        let (totals, losses) = (&report.totals, report.losses);
        let drops: Vec<String> = (totals.drops.iter())
            .map(|(reason, count)| format!("{}={count}", reason.as_str()))
            .collect();
        tracing::info!(
            target: "ends",
            worker = self.number,
            frames_in = totals.ingress.frames,
            frames_out = totals.egress.frames,
            queue_full = losses.full,
            queue_delay = losses.delay,
            oversize = losses.oversize,
            dropped = drops.join(" "),
            "ended"
        );
    }

    fn is_over(&self, now: Instant) -> bool {
        self.ends_at
            .is_some_and(|at| now >= at || self.conns.is_empty())
    }

    /// Waits until there is something to do. A wait that fails is a short one: the turn then finds nothing.
    fn wait(&self, now: Instant) -> Ready {
        let next = [
            self.endpoint.poll_timeout(),
            self.switch.poll_timeout(),
            self.deadlines.next(),
            self.ends_at,
            self.departure.as_ref().map(|departure| departure.next_look),
        ];
        let timeout = next.into_iter().flatten().min().map(|at| {
            let left = at.saturating_duration_since(now);
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut interest = PollFlags::IN;
        interest.set(PollFlags::OUT, self.endpoint.wants_write());
        let mut fds = [
            PollFd::new(self.endpoint.socket(), interest),
            PollFd::new(&*self.bell, PollFlags::IN),
        ];
        let _count = poll(&mut fds, timeout.as_ref());
        let [socket, bell] = fds.map(|fd| !fd.revents().is_empty());

        Ready { socket, bell }
    }

    fn turn(&mut self, ready: Ready, mut now: Instant) {
        self.endpoint.set_scarce(self.shared.door.is_full());
        if ready.bell {
            self.answer(now);
        }
        let batches = if ready.socket { BATCHES_A_TURN } else { 0 };
        let mut unsent = 0;
        for _ in 0..batches {
            let has_more = self.endpoint.receive(now);
            unsent += self.digest(now);
            if !has_more {
                break;
            }
            if unsent >= DATAGRAMS_A_FLUSH {
                unsent = 0;
                self.endpoint.flush(now);
                now = Instant::now();
            }
        }
        if unsent > 0 {
            // What timers have to say is never as urgent as a frame.
            self.endpoint.flush(now);
        }
        self.endpoint.handle_timeout(now);
        self.switch.handle_timeout(now);
        self.run_deadlines(now);
        let _datagrams = self.digest(now);
        self.depart(now);
        self.endpoint.flush(now);
        if self.handle_events(now) {
            self.carry_out(now);
            self.endpoint.flush(now);
        }
    }

    /// Answers those who rang.
    fn answer(&mut self, now: Instant) {
        let mut rung = [0; 8];
        // Nothing to read means that nobody rang.
        let _rung = rustix::io::read(&*self.bell, &mut rung);
        while let Ok(request) = self.requests.try_recv() {
            match request {
                // Whoever asked may be gone by now.
                Request::Report(to) => drop(to.try_send(self.report(now))),
                Request::Alive(to) => drop(to.try_send(())),
                Request::HandOver(to) => {
                    let rooms = self.switch.hand_over(now);
                    drop(to.try_send((self.number, rooms)));
                }
                Request::Stay => self.stay(),
                Request::MoveOut => self.move_out(now),
                Request::Settle => self.switch.settle(now),
                Request::Shutdown => self.shut_down(now),
            }
        }
    }

    /// Takes everything that the endpoint has: events before datagrams, so that a joiner is known before its first frame. Returns how many
    /// datagrams there were.
    fn digest(&mut self, now: Instant) -> usize {
        self.handle_events(now);
        let datagrams = self.handle_datagrams(now);
        self.carry_out(now);

        datagrams
    }

    /// Returns whether anything happened.
    fn handle_events(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(event) = self.endpoint.poll_event() {
            any = true;
            match event {
                LinkEvent::Connected { link } => self.connected(link, now),
                LinkEvent::Control { link, bytes } => self.handle_control(link, &bytes, now),
                LinkEvent::Budget { link, budget } => self.handle_budget(link, budget, now),
                LinkEvent::Closed { link, cause } => self.closed(link, &cause, now),
            }
        }

        any
    }

    fn shut_down(&mut self, now: Instant) {
        if self.ends_at.is_some() {
            return;
        }
        self.ends_at = now.checked_add(FAREWELL);
        self.announce_restart(NEXT_RELAY, (APART, SPREAD), false, now);
        self.switch.close();
        self.carry_out(now);
        self.turn_away_the_rest(now);
    }
}
