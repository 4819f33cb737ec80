//! One worker: a UDP socket, its links, the rooms pinned to it, and nothing that it waits for but them.
//!
//! One turn: wait; read the clock once; read what has come, batch by batch; run what is due; send. What a turn reads leaves in it; if it
//! reads much, some trains leave before it reads on.

mod frames;
mod outputs;
mod report;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lanparty_ctrl::close_code;
use lanparty_net::{CloseCause, Endpoint, LinkEvent, LinkId, UPLINK_DEFICIT};
use lanparty_queue::Tempo;
use lanparty_relay_core::{Config, Ended, Relay};
use lanparty_switch::{Limits, RoomRecord};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

pub(crate) use self::frames::Losses;
use self::outputs::{conn, link};
pub(crate) use self::report::{MemberReport, RoomReport, WorkerReport};
use crate::directory::SharedDirectory;
use crate::limiter::ConnectionLimiter;

/// How many batches one turn reads before it looks at timers and owners. A batch is about 64 packets.
const BATCHES_A_TURN: usize = 8;

/// How many datagrams are read before what they caused is sent: some trains, in a fraction of a millisecond.
const DATAGRAMS_A_FLUSH: usize = 256;

/// What a wait found; what is not ready costs no system call.
#[derive(Clone, Copy)]
struct Ready {
    socket: bool,
    waker: bool,
}

/// How long a worker may take to answer that it is alive: many of its longest turns.
const ALIVE_PATIENCE: Duration = Duration::from_secs(2);

/// What a worker is asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// To describe itself.
    Report(SyncSender<WorkerReport>),
    /// To say that it still turns.
    Alive(SyncSender<()>),
    /// To admit nobody any more, and say what the next process must know.
    PrepareHandover(SyncSender<(u8, Vec<RoomRecord>)>),
    /// To go on after all: there is no next process.
    CancelHandover,
    /// To move everybody to the next process, and end.
    Drain,
    /// To admit newcomers: the process before is gone.
    PredecessorGone,
    /// To tell everybody to go, and end.
    Shutdown,
}

/// How others reach a worker.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    requests: Sender<Request>,
    waker: Arc<OwnedFd>,
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
            // A waker that takes no more wakes already.
            let _woken = rustix::io::write(&*self.waker, &1_u64.to_ne_bytes());
        }
    }
}

/// What workers of one relay share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) directory: Arc<SharedDirectory>,
    pub(crate) limiter: Arc<ConnectionLimiter>,
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
    core: Relay,
    shared: Shared,
    requests: Receiver<Request>,
    waker: Arc<OwnedFd>,
    losses: Losses,
    tempo: Tempo,
    /// How many members the directory was told of.
    told_members: usize,
}

impl Worker {
    pub(crate) fn new(
        number: u8,
        endpoint: Endpoint,
        limits: Limits,
        shared: Shared,
    ) -> Result<(Self, Mailbox)> {
        let (sender, requests) = std::sync::mpsc::channel();
        let waker = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .context("cannot make an eventfd")?;
        let waker = Arc::new(waker);
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).context("the system gives no random numbers")?;
        let mailbox = Mailbox {
            requests: sender,
            waker: Arc::clone(&waker),
        };
        let config = Config {
            worker: number,
            limits,
            hello_deadline: shared.patience.hello,
            message_deadline: shared.patience.message,
            silent_connections: shared.silent,
            uplink_deficit: UPLINK_DEFICIT,
            flow_seed: u64::from_ne_bytes(seed),
        };

        let worker = Self {
            number,
            endpoint,
            core: Relay::new(config, Instant::now()),
            shared,
            requests,
            waker,
            losses: Losses::default(),
            tempo: Tempo::default(),
            told_members: 0,
        };

        Ok((worker, mailbox))
    }

    /// Goes on with the rooms of a worker of another process.
    pub(crate) fn take_over(&mut self, rooms: Vec<RoomRecord>) {
        for room in &rooms {
            self.shared.directory.inherit(&room.code, self.number);
        }
        self.core.take_over(rooms, Instant::now());
        self.tell_members();
    }

    /// Works until it was told to end and everybody knows.
    pub(crate) fn run(mut self) {
        let mut now = Instant::now();
        while !self.core.is_over(now) {
            let ready = self.wait(now);
            now = Instant::now();
            self.turn(ready, now);
            if let Some(rest) = self.tempo.handle_turn(now) {
                std::thread::sleep(rest);
            }
        }
        self.log_end(now);
        self.core.conn_ids().for_each(|conn| {
            self.endpoint.close(
                link(conn),
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

    /// Waits until there is something to do. A wait that fails is a short one: the turn then finds nothing.
    fn wait(&self, now: Instant) -> Ready {
        let next = [self.endpoint.poll_timeout(), self.core.poll_timeout()];
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
            PollFd::new(&*self.waker, PollFlags::IN),
        ];
        let _count = poll(&mut fds, timeout.as_ref());
        let [socket, waker] = fds.map(|fd| !fd.revents().is_empty());

        Ready { socket, waker }
    }

    fn turn(&mut self, ready: Ready, mut now: Instant) {
        self.endpoint.set_scarce(self.shared.limiter.is_full());
        if ready.waker {
            self.answer(now);
        }
        let batches = if ready.socket { BATCHES_A_TURN } else { 0 };
        let mut unsent = 0;
        for _ in 0..batches {
            let has_more = self.endpoint.receive(now);
            unsent += self.process_events(now);
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
        self.core.handle_timeout(now);
        let _datagrams = self.process_events(now);
        self.endpoint.flush(now);
        if self.handle_events(now) {
            self.process_outputs(now);
            self.endpoint.flush(now);
        }
    }

    /// Answers requests.
    fn answer(&mut self, now: Instant) {
        let mut woken = [0; 8];
        // Nothing to read means that there is no request.
        let _woken = rustix::io::read(&*self.waker, &mut woken);
        while let Ok(request) = self.requests.try_recv() {
            match request {
                // Whoever asked may be gone by now.
                Request::Report(to) => drop(to.try_send(self.report(now))),
                Request::Alive(to) => drop(to.try_send(())),
                Request::PrepareHandover(to) => {
                    let rooms = self.core.prepare_handover(now);
                    drop(to.try_send((self.number, rooms)));
                }
                Request::CancelHandover => self.core.cancel_handover(now),
                Request::Drain => self.core.begin_drain(now),
                Request::PredecessorGone => self.core.handle_predecessor_gone(now),
                Request::Shutdown => self.core.handle_shutdown(now),
            }
        }
        self.process_outputs(now);
    }

    /// Takes everything that the endpoint has: events before datagrams, so that a joiner is known before its first frame. Returns how many
    /// datagrams there were.
    fn process_events(&mut self, now: Instant) -> usize {
        self.handle_events(now);
        let datagrams = self.handle_datagrams(now);
        self.process_outputs(now);

        datagrams
    }

    /// Returns whether anything happened.
    fn handle_events(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(event) = self.endpoint.poll_event() {
            any = true;
            match event {
                LinkEvent::Connected { link } => self.connected(link, now),
                LinkEvent::Control { link, bytes } => {
                    self.core.handle_control(conn(link), &bytes, now);
                }
                LinkEvent::Budget { link, budget } => {
                    self.core.handle_budget(conn(link), budget, now);
                }
                LinkEvent::Closed { link, cause } => self.closed(link, &cause, now),
            }
            self.process_outputs(now);
        }

        any
    }

    fn connected(&mut self, link: LinkId, now: Instant) {
        if let Some(facts) = self.endpoint.facts(link) {
            self.core
                .handle_connected(conn(link), facts.remote, facts.budget, now);
        }
    }

    fn closed(&mut self, link: LinkId, cause: &CloseCause, now: Instant) {
        let code = if let CloseCause::Application { code, .. } = cause {
            Some(*code)
        } else {
            None
        };
        if let Some(Ended::Lost { remote }) = self.core.handle_closed(conn(link), code, now) {
            tracing::info!(%remote, ?cause, "connection lost");
        }
    }
}
