//! TAP-Windows6 (OpenVPN/tap-windows6).
//!
//! The driver has one opener, any number of reads and writes at a time, and rules that decide how this is written:
//! - reads are filled in order, and every read that does not wait costs a frame when many come at once;
//! - writes are given back when Windows' network stack is done with them, which can take a second: none is waited for;
//! - it changes the buffer of a write in place, so each has one of its own;
//! - a read buffer that is too small loses the frame;
//! - while the cable is out, and while the system sleeps, every request fails at once with error 995.

#[path = "windows/adapter.rs"]
mod adapter;
#[path = "windows/driver.rs"]
mod driver;
#[path = "windows/prepare.rs"]
mod prepare;

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::windows::io::{AsHandle as _, BorrowedHandle};
use std::time::{Duration, Instant};

use lanparty_device::{Capabilities, FrameDevice, LinkState, Received, Statistics};
use lanparty_offload::VnetHeader;
use lanparty_proto::MacAddr;
use lanparty_win32::{Event, Request, Win32Error, net};

pub use self::adapter::{
    Adapter, AdapterId, AdapterList, AdapterState, ChooseError, adapters, choose,
};
use self::driver::Driver;
pub use self::driver::{DriverVersion, MIN_DRIVER};
pub use self::prepare::{AdapterError, look, prepare};

/// Reads that wait in the driver at a time.
///
/// 64 full frames are 0.8 ms of a gigabit: what comes while a turn of the loop lasts. Beyond, the driver queues 4 MiB itself.
const READS: usize = 64;
/// Writes that may be on their way at a time.
///
/// Windows' stack was seen to hold one for over a second while others passed. 128 full frames are 15 ms at 100 Mbit/s.
const WRITES: usize = 128;
/// Frames per call of [`FrameDevice::receive`]: half of the reads, so that the other half waits in the driver while these are looked at.
const BATCH: usize = READS / 2;
/// Bytes of an Ethernet header.
const HEADER_LEN: usize = 14;
/// The longest frame: an MTU of 1500 and a header. Tagged frames are not given to the driver, which mangles their tags.
const MAX_FRAME_LEN: usize = 1514;
/// Where a frame's EtherType is.
const ETHER_TYPE: std::ops::Range<usize> = 12..14;
/// 802.1Q's EtherType.
const TAGGED: [u8; 2] = [0x81, 0x00];

/// `ERROR_OPERATION_ABORTED`: the cable is out, the system sleeps, or the adapter is being disabled.
const ABORTED: u32 = 995;
/// How long nothing is asked of a driver that aborts: it would answer at once, again and again.
const ABORTED_PAUSE: Duration = Duration::from_millis(100);
/// How long a driver may abort before the adapter counts as gone. It cannot be disabled before we close it.
const ABORTED_PATIENCE: Duration = Duration::from_secs(5);

/// A TAP-Windows6 adapter that is ours until it is dropped, which pulls its cable.
///
/// It never blocks; wait for [`Tap::readable`].
#[derive(Debug)]
pub struct Tap {
    driver: Driver,
    name: String,
    id: AdapterId,
    luid: u64,
    mac: MacAddr,
    version: DriverVersion,
    driver_mtu: u32,
    reads: Vec<Request>,
    /// The read that the driver fills next.
    next_read: usize,
    /// How many reads before `next_read` have frames of this batch.
    batch: Vec<(usize, usize)>,
    writes: Vec<Request>,
    /// Places of writes that are nobody's.
    free: Vec<usize>,
    /// Whether the cable is to be in.
    up: bool,
    aborted: Aborted,
    /// What is waited for while no read waits.
    silence: Event,
    statistics: Statistics,
    state: LinkState,
}

/// Since when, and until when, the driver is not asked.
#[derive(Debug, Clone, Copy, Default)]
struct Aborted {
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Tap {
    /// Opens an adapter, with the cable out.
    ///
    /// # Errors
    ///
    /// Returns an error that says what to do if the adapter cannot be used, or if its address is not `mac`: [`prepare`] makes it so.
    pub fn open(adapter: &Adapter, mac: MacAddr) -> Result<Self, AdapterError> {
        let driver = prepare::open(adapter)?;
        let failed = |what| move |error| prepare::refusal(adapter, what, error);
        driver
            .set_media(false)
            .map_err(failed("pull the cable of"))?;
        let found = driver.mac().map_err(failed("read the MAC address of"))?;
        if found != mac {
            return Err(AdapterError::WrongMac {
                name: adapter.name.clone(),
                wanted: mac,
                found,
            });
        }
        let version = driver
            .version()
            .map_err(failed("ask for the driver's version of"))?;
        let driver_mtu = driver.mtu().map_err(failed("read the driver's MTU of"))?;
        let luid = net::luid_of(adapter.id.0)
            .map_err(failed("find the interface of"))?
            .ok_or_else(|| AdapterError::Gone(adapter.name.clone()))?;
        let requests = |count| (0..count).map(|_| Request::new()).collect();
        let reads: Result<Vec<_>, _> = requests(READS);
        let writes: Result<Vec<_>, _> = requests(WRITES);

        Ok(Self {
            driver,
            name: adapter.name.clone(),
            id: adapter.id,
            luid,
            mac,
            version,
            driver_mtu,
            reads: reads.map_err(failed("make requests for"))?,
            next_read: 0,
            batch: Vec::with_capacity(BATCH),
            writes: writes.map_err(failed("make requests for"))?,
            free: (0..WRITES).collect(),
            up: false,
            aborted: Aborted::default(),
            silence: Event::new().map_err(failed("make an event for"))?,
            statistics: Statistics::default(),
            state: LinkState::Down,
        })
    }

    /// Returns the name that people see.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the adapter's id.
    pub const fn id(&self) -> AdapterId {
        self.id
    }

    /// Returns the interface's LUID, which stays the same while the adapter is installed.
    pub const fn luid(&self) -> u64 {
        self.luid
    }

    /// Returns the interface's number, which changes when the adapter is disabled and enabled.
    ///
    /// # Errors
    ///
    /// Returns what Windows said.
    pub fn index(&self) -> io::Result<u32> {
        net::index_of(self.luid).map_err(io::Error::other)
    }

    /// Returns the address that the driver has.
    pub const fn mac(&self) -> MacAddr {
        self.mac
    }

    /// Returns the driver's version.
    pub const fn version(&self) -> DriverVersion {
        self.version
    }

    /// Returns the driver's own MTU. The IP MTU is a setting of the interface.
    pub const fn driver_mtu(&self) -> u32 {
        self.driver_mtu
    }

    /// Plugs the cable in or pulls it.
    ///
    /// # Errors
    ///
    /// Returns what the driver said.
    pub fn set_up(&mut self, up: bool) -> io::Result<()> {
        self.driver.set_media(up).map_err(io::Error::other)?;
        self.up = up;
        self.state = if up { LinkState::Up } else { LinkState::Down };
        self.aborted = Aborted::default();

        self.start_reads(Instant::now())
    }

    /// Returns the interface's IP addresses, for diagnosis.
    ///
    /// # Errors
    ///
    /// Returns what Windows said.
    pub fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        let all = net::addresses().map_err(io::Error::other)?;
        let own = all
            .iter()
            .filter(|own| own.interface == self.luid && own.preferred);

        Ok(own.map(|own| own.ip).collect())
    }

    /// Returns what to wait for until [`FrameDevice::receive`] has something.
    ///
    /// It is another handle after each call of [`FrameDevice::receive`]: the driver fills the reads one after another.
    pub fn readable(&self) -> BorrowedHandle<'_> {
        match self.reads.get(self.next_read) {
            Some(read) if read.is_pending() => read.done(),
            _ => self.silence.as_handle(),
        }
    }

    /// Returns when to call [`FrameDevice::receive`] although nothing is readable: the driver aborted, and is to be asked again.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.aborted.until
    }

    /// Lets every read wait that is nobody's, in the order in which the driver is to fill them.
    fn start_reads(&mut self, now: Instant) -> io::Result<()> {
        if !self.up || self.aborted.until.is_some_and(|until| now < until) {
            return Ok(());
        }
        let order = (0..READS).map(|offset| (self.next_read + offset) % READS);
        let mut refusal = None;
        for place in order {
            let Some(read) = self.reads.get_mut(place) else {
                break;
            };
            if read.is_pending() {
                continue;
            }
            if let Err(error) = read.start_read(self.driver.device()) {
                // The next one that is asked would be out of order.
                refusal = Some(error);
                break;
            }
        }

        match refusal {
            None => Ok(()),
            Some(error) if error.is(ABORTED) => self.bear(now, error),
            Some(error) => Err(io::Error::other(error)),
        }
    }

    /// Bears a driver that aborts, up to a point.
    fn bear(&mut self, now: Instant, error: Win32Error) -> io::Result<()> {
        self.pause(now);
        let since = self.aborted.since.unwrap_or(now);
        // After sleeping the cable is out. A driver that does not answer to this either is about to go.
        if now.saturating_duration_since(since) > ABORTED_PATIENCE {
            return Err(io::Error::other(error));
        }

        self.driver.set_media(true).map_err(io::Error::other)
    }

    fn pause(&mut self, now: Instant) {
        self.aborted.since.get_or_insert(now);
        self.aborted.until = Some(now + ABORTED_PAUSE);
        self.state = LinkState::Down;
    }

    fn take_free(&mut self) -> Option<usize> {
        if self.free.is_empty() {
            self.collect();
        }

        self.free.pop()
    }

    /// Takes back the writes that the driver is done with.
    fn collect(&mut self) {
        for place in 0..self.writes.len() {
            let Some(done) = self.writes.get_mut(place).and_then(Request::poll) else {
                continue;
            };
            self.free.push(place);
            match done {
                Ok(_len) => {
                    self.statistics.sent = self.statistics.sent.saturating_add(1);
                    self.state = LinkState::Up;
                }
                Err(error) => self.count_failure(&error),
            }
        }
    }

    fn count_failure(&mut self, error: &Win32Error) {
        let counter = if error.is(ABORTED) {
            self.state = LinkState::Down;
            &mut self.statistics.send_down
        } else {
            &mut self.statistics.send_refused
        };
        *counter = counter.saturating_add(1);
    }
}

impl FrameDevice for Tap {
    /// Takes what the system has sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the adapter is gone, or aborts for longer than sleeping and waking takes.
    fn receive(&mut self) -> io::Result<usize> {
        self.batch.clear();
        let now = Instant::now();
        self.start_reads(now)?;
        while self.batch.len() < BATCH {
            let place = self.next_read;
            let Some(done) = self.reads.get_mut(place).and_then(Request::poll) else {
                break;
            };
            match done {
                Ok(len) => {
                    self.aborted = Aborted::default();
                    self.batch.push((place, len));
                }
                Err(error) if error.is(ABORTED) => self.pause(now),
                // A frame that was longer than the buffer, which the driver does not make.
                Err(_) => self.statistics.truncated = self.statistics.truncated.saturating_add(1),
            }
            self.next_read = (place + 1) % READS;
        }
        let count = self.batch.len();
        self.statistics.received = self.statistics.received.saturating_add(count as u64);

        Ok(count)
    }

    fn received(&self, index: usize) -> Option<Received<'_>> {
        let (place, len) = *self.batch.get(index)?;
        let buffer = self.reads.get(place)?.filled()?;

        Some(Received {
            vnet: VnetHeader::NONE,
            frame: buffer.get(..len)?,
        })
    }

    fn received_mut(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])> {
        let (place, len) = *self.batch.get(index)?;
        let buffer = self.reads.get_mut(place)?.buffer()?;

        Some((VnetHeader::NONE, buffer.get_mut(..len)?))
    }

    /// Super-frames, tagged frames and what is no frame are refused and counted: the driver takes them and breaks them.
    fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> LinkState {
        let Some(place) = self.take_free() else {
            self.statistics.send_busy = self.statistics.send_busy.saturating_add(1);
            return self.state;
        };
        let len = self
            .writes
            .get_mut(place)
            .and_then(Request::buffer)
            .and_then(|buffer| gather(pieces, buffer))
            .filter(|_| !vnet.is_super() && !vnet.needs_checksum());
        let Some((write, len)) = self.writes.get_mut(place).zip(len) else {
            self.free.push(place);
            self.statistics.send_refused = self.statistics.send_refused.saturating_add(1);
            return self.state;
        };
        if let Err(error) = write.start_write(self.driver.device(), len) {
            self.free.push(place);
            self.count_failure(&error);
        }

        self.state
    }

    /// Returns the state that the last frames met. What was given to the driver is on its way; nothing waits here.
    fn flush(&mut self) -> LinkState {
        self.collect();

        self.state
    }

    fn statistics(&mut self) -> Statistics {
        self.statistics
    }

    /// Single frames only.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn link_state(&self) -> LinkState {
        self.state
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // Closing pulls the cable as well; this way Windows hears of it while everything is in order.
        let pulled = self.driver.set_media(false);
        debug_assert!(pulled.is_ok() || self.state == LinkState::Down);
        // All of them before the first is waited for.
        self.reads
            .iter()
            .chain(&self.writes)
            .for_each(Request::cancel);
    }
}

/// Puts a frame together. `None` for what is no frame that the driver can take.
fn gather(pieces: &[IoSlice<'_>], buffer: &mut [u8]) -> Option<usize> {
    let mut len = 0_usize;
    for piece in pieces {
        let end = len.checked_add(piece.len())?;
        buffer.get_mut(len..end)?.copy_from_slice(piece);
        len = end;
    }
    let is_frame = (HEADER_LEN..=MAX_FRAME_LEN).contains(&len);

    (is_frame && buffer.get(ETHER_TYPE)? != TAGGED).then_some(len)
}

#[cfg(test)]
#[path = "windows/tests.rs"]
mod tests;
