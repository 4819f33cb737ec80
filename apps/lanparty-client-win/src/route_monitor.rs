//! A thread that keeps routes and interfaces as the party needs them while the loop moves frames.
//!
//! Windows changes both by itself: when an adapter wakes up, when a network changes, when another program wants it so. The warden is told
//! of every change and looks whether something is missing; it also follows the way to the Internet with the relay's routes.

use std::net::IpAddr;
use std::os::windows::io::AsHandle as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lanparty_client_route::{
    DesiredState, DesiredTap, FileStore, Pin, Repair, Report, RouteManager, SystemRoutes,
};
use lanparty_driver::{Command, Handle};
use lanparty_win32::net::{ChangeWatch, index_of};
use lanparty_win32::{Event, Family, ResumeWatch, wait_any};

/// How long changes are left to settle before looking: they come in bursts.
const SETTLE: Duration = Duration::from_millis(300);
/// How often the warden looks after joining, and for how long: IP interface and network come seconds after the cable.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const LOOK_FOR: Duration = Duration::from_secs(20);
/// How often the warden looks in between, in case a change was not told.
const RECHECK: Duration = Duration::from_secs(30);
/// How many orders wait at most: they come from joining and from the resolver, one a second at worst.
const MAX_ORDERS: usize = 16;

/// What the warden is told.
pub(crate) enum RouteCommand {
    /// The loop runs; it wants to know of changes, and leaves when the warden fails.
    Attach(Handle),
    /// The room is joined.
    Joined {
        /// Its IP MTU.
        mtu: u16,
    },
    /// The relay's name stands for these addresses now.
    Relay(Vec<IpAddr>),
    /// Undo everything and end.
    Finish,
}

/// Where orders go.
#[derive(Clone)]
pub(crate) struct Commands {
    commands: SyncSender<RouteCommand>,
    told: Arc<Event>,
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commands").finish_non_exhaustive()
    }
}

impl Commands {
    /// Gives an command and does not wait. One that finds no room, or no warden any more, has nobody to act on it.
    pub(crate) fn send(&self, command: RouteCommand) {
        drop(self.commands.try_send(command));
        self.told.set();
    }
}

/// The indices of the interfaces that lead to the relay; 0 where routes decide.
#[derive(Debug, Default)]
pub(crate) struct OutgoingInterfaces {
    v4: AtomicU32,
    v6: AtomicU32,
}

impl OutgoingInterfaces {
    pub(crate) fn index(&self, family: Family) -> u32 {
        self.of(family).load(Ordering::Relaxed)
    }

    const fn of(&self, family: Family) -> &AtomicU32 {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

/// The warden's thread, from outside.
#[derive(Debug)]
pub(crate) struct RouteMonitor {
    commands: Commands,
    outgoing: Arc<OutgoingInterfaces>,
    failure: Arc<Mutex<Option<anyhow::Error>>>,
    thread: Option<JoinHandle<()>>,
}

impl RouteMonitor {
    /// Repairs what a crashed run left, pins the way to `relays`, and returns once that is verified.
    ///
    /// # Errors
    ///
    /// Returns an error if routes cannot be read or changed.
    pub(crate) fn start(
        journal: PathBuf,
        relays: Vec<IpAddr>,
        tap: DesiredTap,
    ) -> anyhow::Result<Self> {
        let told = Arc::new(Event::new()?);
        let (commands, receiver) = sync_channel(MAX_ORDERS);
        let (ready, is_ready) = sync_channel(1);
        let outgoing = Arc::new(OutgoingInterfaces::default());
        let failure = Arc::new(Mutex::new(None));
        let watch = {
            let (told, outgoing, failure) = (
                Arc::clone(&told),
                Arc::clone(&outgoing),
                Arc::clone(&failure),
            );
            move || match Watch::open(journal, relays, tap, told, outgoing) {
                Ok(mut watch) => {
                    drop(ready.send(Ok(())));
                    let ended = watch.run(&receiver);
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = ended.err();
                    watch.finish();
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        };
        let thread = thread::Builder::new()
            .name("warden".to_owned())
            .spawn(watch)
            .context("cannot start a thread")?;
        is_ready.recv().context("the warden ended")??;

        Ok(Self {
            commands: Commands { commands, told },
            outgoing,
            failure,
            thread: Some(thread),
        })
    }

    pub(crate) fn commands(&self) -> Commands {
        self.commands.clone()
    }

    pub(crate) fn outgoing(&self) -> Arc<OutgoingInterfaces> {
        Arc::clone(&self.outgoing)
    }

    /// Undoes everything, and tells why the warden asked the loop to leave, if it did.
    pub(crate) fn finish(mut self) -> Option<anyhow::Error> {
        self.end();

        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.commands.send(RouteCommand::Finish);
            if thread.join().is_err() {
                tracing::error!(
                    "the warden broke down; what it changed is undone at the next start"
                );
            }
        }
    }
}

impl Drop for RouteMonitor {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread, from inside.
struct Watch {
    manager: RouteManager<SystemRoutes, FileStore>,
    desired: DesiredState,
    tap: DesiredTap,
    told: Arc<Event>,
    changes: Option<ChangeWatch>,
    resumes: Option<ResumeWatch>,
    outgoing: Arc<OutgoingInterfaces>,
    handle: Option<Handle>,
    pins: Vec<Pin>,
    problems: Vec<String>,
    /// Until when the warden looks often.
    looks_until: Option<Instant>,
    is_joined: bool,
}

impl Watch {
    fn open(
        journal: PathBuf,
        relays: Vec<IpAddr>,
        tap: DesiredTap,
        told: Arc<Event>,
        outgoing: Arc<OutgoingInterfaces>,
    ) -> anyhow::Result<Self> {
        let (manager, repair) = RouteManager::open(SystemRoutes::open()?, FileStore::new(journal))?;
        if !repair.undone.is_empty() {
            tracing::info!("put right what the last run left behind when it was cut off");
        }
        tell(&repair);
        let changes = ChangeWatch::new()
            .inspect_err(|error| tracing::info!(%error, "changes of routes are found by looking"));
        let resumes = ResumeWatch::new()
            .inspect_err(|error| tracing::info!(%error, "waking up is noticed by the network"));
        let mut watch = Self {
            manager,
            desired: DesiredState { relays, tap: None },
            tap,
            told,
            changes: changes.ok(),
            resumes: resumes.ok(),
            outgoing,
            handle: None,
            pins: Vec::new(),
            problems: Vec::new(),
            looks_until: None,
            is_joined: false,
        };
        watch.ensure()?;

        Ok(watch)
    }

    /// Runs until it is told to end, or until what the party cannot do without fails.
    fn run(&mut self, commands: &Receiver<RouteCommand>) -> anyhow::Result<()> {
        loop {
            self.wait()?;
            while let Ok(command) = commands.try_recv() {
                match command {
                    RouteCommand::Attach(handle) => self.handle = Some(handle),
                    RouteCommand::Joined { mtu } => {
                        self.tap.mtu = mtu;
                        self.desired.tap = Some(self.tap.clone());
                        self.looks_until = Some(Instant::now() + LOOK_FOR);
                    }
                    RouteCommand::Relay(addresses) => {
                        self.desired.relays.extend(addresses);
                        self.desired.relays.sort_unstable();
                        self.desired.relays.dedup();
                    }
                    RouteCommand::Finish => return Ok(()),
                }
            }
            self.look()?;
        }
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let changed = self.changes.as_ref().map(ChangeWatch::changed);
        let woke = self.resumes.as_ref().map(ResumeWatch::woke);
        let watched: Vec<&Event> = [Some(&*self.told), changed, woke]
            .into_iter()
            .flatten()
            .collect();
        let handles: Vec<_> = watched.iter().map(|event| event.as_handle()).collect();
        let is_early = self.looks_until.is_some_and(|until| Instant::now() < until);
        let timeout = if is_early { LOOK_INTERVAL } else { RECHECK };
        let signalled = wait_any(&handles, Some(timeout))?;
        if signalled.is_some() && !self.told.is_set() {
            thread::sleep(SETTLE);
        }
        if woke.is_some_and(Event::is_set) {
            tracing::info!("this PC woke up");
            self.tell_loop(Command::NetworkChanged);
        }
        for event in watched {
            event.reset();
        }

        Ok(())
    }

    /// Looks whether something is missing. What fails at the first look ends the run; later it is tried again.
    fn look(&mut self) -> anyhow::Result<()> {
        let pins = self.pins.clone();
        match self.ensure() {
            Ok(()) => self.is_joined |= self.desired.tap.is_some(),
            Err(error) if !self.is_joined => {
                self.tell_loop(Command::Leave);
                return Err(error);
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                self.looks_until = Some(Instant::now() + LOOK_FOR);
            }
        }
        if pins != self.pins {
            self.tell_loop(Command::NetworkChanged);
        }

        Ok(())
    }

    fn ensure(&mut self) -> anyhow::Result<()> {
        let report = self.manager.ensure(&self.desired)?;
        self.log(&report);
        for family in [Family::V4, Family::V6] {
            let index = report.pins.iter().find_map(|pin| index_for(pin, family));
            self.outgoing
                .of(family)
                .store(index.unwrap_or(0), Ordering::Relaxed);
        }
        self.pins = report.pins;

        Ok(())
    }

    fn log(&mut self, report: &Report) {
        for step in &report.done {
            tracing::info!("done: {step}");
        }
        if report.default_routes_enabled && self.desired.tap.is_some() && !report.done.is_empty() {
            tracing::info!(
                "the party's LAN could have become this PC's way to the Internet; it cannot now"
            );
        }
        for route in &report.default_routes {
            tracing::debug!(%route, "the party's LAN offers a way to the Internet, which is ignored");
        }
        if self.pins != report.pins {
            for pin in &report.pins {
                tracing::info!(is_pinned = pin.is_pinned(), "way to the relay: {pin}");
            }
        }
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        for problem in &problems {
            if !self.problems.contains(problem) {
                tracing::warn!("{problem}");
            }
        }
        if problems.is_empty() && !report.done.is_empty() {
            tracing::info!("verified: routes and interfaces are as the party needs them");
        }
        self.problems = problems;
    }

    fn tell_loop(&self, command: Command) {
        if let Some(handle) = &self.handle {
            handle.send(command);
        }
    }

    fn finish(self) {
        match self.manager.restore() {
            Ok(repair) => tell(&repair),
            Err(error) => tracing::error!(%error, "what was changed is undone at the next start"),
        }
    }
}

fn tell(repair: &Repair) {
    for step in &repair.undone {
        tracing::info!("undone: {step}");
    }
    for (step, error) in &repair.left {
        tracing::error!(%error, "could not undo at first; it is tried again, at the next start at the latest: {step}");
    }
}

fn index_for(pin: &Pin, family: Family) -> Option<u32> {
    let (Pin::Ours(route) | Pin::Existing(route)) = pin else {
        return None;
    };
    let is_v4 = route.destination.address.is_ipv4();

    (is_v4 == (family == Family::V4))
        .then(|| index_of(route.interface.0).ok())
        .flatten()
}
