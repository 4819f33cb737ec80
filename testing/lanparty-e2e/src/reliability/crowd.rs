//! A thousand members of one relay that hands over while they talk: the real session, data path and connections, with no device behind.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lanparty_ctrl::Role;
use lanparty_device::{Capabilities, FrameDevice, LinkState, Ready, Received, Statistics};
use lanparty_driver::{Command, Config, Handle, Member, Port, PortError, Socket};
use lanparty_net::{DEVELOPMENT_NAME, MemberSettings, Trust, read_certificate};
use lanparty_obs::StatusLine;
use lanparty_offload::VnetHeader;
use lanparty_proto::MacAddr;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_queue::Pace;
use lanparty_session::{Session, SessionConfig, Standby};
use lanparty_tunnel::{ClientPath, ClientPathConfig};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::figures::{Figure, Report};
use crate::siege::Relay;

/// Members of a room.
const ROOM_SIZE: usize = 50;

/// How long an answer may take before its frame counts as lost.
const LOST: Duration = Duration::from_secs(10);

/// How far apart a member's questions are at least: a thousand members say 5000 frames a second, which leaves two cores time for the
/// handover.
const PACE: Duration = Duration::from_millis(200);

/// How many times as long as the last answer took a member waits at least: a machine that cannot keep up is asked less.
const EASE: u32 = 4;

/// How long members play between two handovers.
const PLAY: Duration = Duration::from_secs(5);

/// How long all of them may take to come, and to say so many frames.
const PATIENCE: Duration = Duration::from_mins(20);

/// Where the number is: behind Ethernet and IPX headers.
const NUMBER_AT: usize = 14 + 30;

/// What all members count together.
#[derive(Debug, Default)]
struct Counts {
    joined: AtomicU64,
    frames: AtomicU64,
    lost: AtomicU64,
    twice: AtomicU64,
    /// Lines about connections that a person would have read.
    noticed: AtomicU64,
    slowest_ms: AtomicU64,
    /// Everybody is there, and nobody has been asked to stop.
    may_talk: AtomicBool,
}

/// A member's port: it asks its partner one numbered frame after the other, or answers.
struct Talker {
    mac: MacAddr,
    partner: MacAddr,
    asks: bool,
    /// The number that was asked last, or that is expected next.
    number: u64,
    asked: Option<Instant>,
    /// When the next question may come.
    next: Instant,
    answer: Option<u64>,
    frame: Vec<u8>,
    counts: Arc<Counts>,
}

impl Talker {
    fn build(&mut self, number: u64) {
        let (to, from) = (self.partner.0, self.mac.0);
        let packet = crate::frames::ipx(to, from, &number.to_be_bytes());
        self.frame = crate::frames::ethernet(to, from, 0x8137, &packet);
        self.counts.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the next question is due: the last was answered, or never will be.
    fn may_ask(&self) -> bool {
        let is_waiting = self.asked.is_some_and(|asked| asked.elapsed() < LOST);
        let is_time = self.next <= Instant::now();

        self.asks && is_time && !is_waiting && self.counts.may_talk.load(Ordering::Relaxed)
    }

    fn hear(&mut self, number: u64) {
        if !self.asks {
            if number < self.number {
                self.counts.twice.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.number = number + 1;
            self.answer = Some(number);
            return;
        }
        match self.asked.take() {
            Some(asked) if number == self.number => {
                let took = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.counts.slowest_ms.fetch_max(took, Ordering::Relaxed);
                let now = Instant::now();
                self.next = self.next.max(now + EASE * asked.elapsed());
                self.number += 1;
            }
            asked => {
                self.asked = asked;
                self.counts.twice.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Port for Talker {
    type Device = Self;

    const GONE: &'static str = "the device is gone";

    fn device(&mut self) -> &mut Self {
        self
    }

    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError> {
        let mut fds: Vec<PollFd<'_>> = (sockets.iter().flatten())
            .map(|socket| {
                let mut flags = PollFlags::IN;
                flags.set(PollFlags::OUT, socket.wants_write);
                PollFd::new(socket.udp, flags)
            })
            .collect();
        let longest = Duration::from_millis(100);
        let left = deadline.map_or(longest, |at| at.saturating_duration_since(Instant::now()));
        let is_due = self.answer.is_some() || self.may_ask();
        let next = self.next.saturating_duration_since(Instant::now());
        let longest = if next.is_zero() {
            longest
        } else {
            longest.min(next)
        };
        let left = if is_due {
            Duration::ZERO
        } else {
            left.min(longest)
        };
        let left = Timespec::try_from(left).unwrap_or_default();
        // A wait that fails is a short one.
        let _ready = poll(&mut fds, Some(&left));

        Ok(Ready::ANY)
    }
}

impl FrameDevice for Talker {
    fn receive(&mut self) -> io::Result<usize> {
        if let Some(number) = self.answer.take() {
            self.build(number);
            return Ok(1);
        }
        if !self.may_ask() {
            return Ok(0);
        }
        if self.asked.is_some() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            self.number += 1;
        }
        let now = Instant::now();
        self.asked = Some(now);
        self.next = now + PACE;
        self.build(self.number);

        Ok(1)
    }

    fn received(&self, _index: usize) -> Option<Received<'_>> {
        Some(Received {
            vnet: VnetHeader::NONE,
            frame: &self.frame,
        })
    }

    fn received_mut(&mut self, _index: usize) -> Option<(VnetHeader, &mut [u8])> {
        Some((VnetHeader::NONE, &mut self.frame))
    }

    fn send(&mut self, _vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> LinkState {
        let frame: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        let number = frame.get(NUMBER_AT..).and_then(|rest| rest.first_chunk());
        if let Some(number) = number {
            self.hear(u64::from_be_bytes(*number));
        }

        LinkState::Up
    }

    fn flush(&mut self) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn statistics(&mut self) -> Statistics {
        Statistics::default()
    }

    fn link_state(&self) -> LinkState {
        LinkState::Up
    }
}

fn mac(number: usize) -> MacAddr {
    let [.., a, b] = number.to_be_bytes();

    MacAddr([2, 0, 0, 0, a, b])
}

type Running = (Handle, JoinHandle<()>);

/// Starts member `number`, who talks with its neighbour.
fn start(relay: &Relay, number: usize, counts: &Arc<Counts>) -> Result<Running> {
    let trust = Trust::Pinned(read_certificate(relay.certificate())?);
    let settings = MemberSettings::new(DEVELOPMENT_NAME.into(), &trust, Pace::Auto)?;
    let seed = u64::try_from(number)?;
    let session = Session::new(SessionConfig {
        relay: relay.address().to_string(),
        role: Role::Client,
        room: format!("CROWD{}", number / ROOM_SIZE).parse()?,
        mac: Some(mac(number)),
        interface: String::new(),
        budget: 1434,
        full_frame: true,
        down_rate: None,
        program: "crowd".into(),
        program_version: "1".into(),
        generation: 1,
        resume: None,
        instance: seed.into(),
        standby: Standby::Never,
        seed,
    });
    let path = ClientPath::new(ClientPathConfig {
        mac: mac(number),
        policy: Policy::default(),
        player: PlayerPolicy::default(),
        seed,
    });
    let told = Arc::clone(counts);
    let config = Config {
        settings,
        relay: relay.address().to_string().parse()?,
        addresses: vec![relay.address()],
        session,
        status: Box::new(move |line| {
            if matches!(line, StatusLine::Joined { .. }) {
                told.joined.fetch_add(1, Ordering::Relaxed);
            } else if matches!(line, StatusLine::ConnectionLost | StatusLine::Back { .. }) {
                told.noticed.fetch_add(1, Ordering::Relaxed);
            }
        }),
    };
    let talker = Talker {
        mac: mac(number),
        partner: mac(number ^ 1),
        asks: number.is_multiple_of(2),
        number: 0,
        asked: None,
        next: Instant::now(),
        answer: None,
        frame: Vec::new(),
        counts: Arc::clone(counts),
    };
    let (member, handle) = Member::new(config, talker, path, Arc::new(|| ()), Instant::now());
    let thread = std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(move || {
            // What ends a member early is seen in the counts.
            let _end = member.run();
        })?;

    Ok((handle, thread))
}

/// Has members say so many thousand frames while the relay hands over again and again: a thousand members from a million frames on.
///
/// # Errors
///
/// Returns an error if they do not come, or nobody takes over.
pub fn handovers(thousands: usize) -> Result<Report> {
    talk(thousands, true)
}

/// The same without a handover: what is lost here is lost by the machine.
///
/// # Errors
///
/// Returns an error if the members do not come.
pub fn control(thousands: usize) -> Result<Report> {
    talk(thousands, false)
}

fn talk(thousands: usize, renews: bool) -> Result<Report> {
    let size = thousands.clamp(50, 1000);
    let mut relay = Relay::start(
        "crowd",
        &[
            "--address-connects",
            "0",
            "--address-connections",
            "0",
            "--network-connects",
            "0",
            "--network-connections",
            "0",
        ],
    )?;
    let counts = Arc::new(Counts::default());
    let mut crowd = Vec::new();
    for number in 0..size {
        crowd.push(start(&relay, number, &counts)?);
        std::thread::sleep(Duration::from_millis(5));
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (begun, all) = (Instant::now(), u64::try_from(size)?);
    while count(&counts.joined) < all {
        ensure!(begun.elapsed() < PATIENCE, "not everybody came");
        std::thread::sleep(Duration::from_millis(20));
    }
    counts.may_talk.store(true, Ordering::Relaxed);

    let mut figure = Figure::new("from the order until everybody has moved");
    let wanted = u64::try_from(thousands)? * 1000;
    let mut handovers = 0;
    let mut by_kernel = 0;
    while count(&counts.frames) < wanted || renews && handovers == 0 {
        ensure!(begun.elapsed() < PATIENCE, "the crowd is too slow");
        std::thread::sleep(PLAY.min(Duration::from_millis(5 * all)));
        if !renews {
            continue;
        }
        by_kernel = by_kernel.max(relay.lost_by_kernel()?);
        let asked = Instant::now();
        relay.hand_over(PATIENCE)?;
        figure.add(asked.elapsed());
        handovers += 1;
    }
    counts.may_talk.store(false, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    by_kernel = by_kernel.max(relay.lost_by_kernel()?);
    let last = relay.status()?;
    for (handle, _) in &crowd {
        handle.send(Command::Leave);
    }
    for (_, thread) in crowd {
        thread.join().ok().context("a member panicked")?;
    }

    let mut report = Report::default();
    let (lost, twice) = (count(&counts.lost), count(&counts.twice));
    report.fact(
        lost == 0 && twice == 0,
        format!(
            "{handovers} handovers under {size} members: of {} frames {lost} were lost and {twice} came twice; the slowest answer took {} ms",
            count(&counts.frames),
            count(&counts.slowest_ms)
        ),
    );
    let noticed = count(&counts.noticed);
    report.fact(noticed == 0, format!("{noticed} members noticed anything"));
    if renews {
        report.figure(figure);
    }
    report.note(format!(
        "the kernel dropped {by_kernel} packets in front of the relay's sockets"
    ));
    note_drops(&mut report, &relay.logs(), &last);

    Ok(report)
}

/// Notes what relay processes dropped: those that are gone, and the last one.
fn note_drops(report: &mut Report, logs: &str, last: &serde_json::Value) {
    let ends = logs.lines().filter_map(|line| line.split_once(" ended "));
    let has_frames = |(_, facts): &(_, &str)| !facts.contains("frames_in=0 ");
    for (_, facts) in ends.filter(has_frames) {
        report.note(format!("a worker of an old relay process: {facts}"));
    }
    report.note(format!(
        "the last relay process: drops {}, queues {}",
        last["drops"], last["queue_drops"]
    ));
}
