//! A device that takes and gives Ethernet frames in batches.

use std::io::{self, IoSlice};

use lanparty_offload::VnetHeader;
use lanparty_offload::coalesce::CoalesceOptions;

/// A TAP device or a packet socket. It never blocks.
///
/// Drive it like this:
///
/// 1. wait for it, in the system's way;
/// 2. [`FrameDevice::receive`], then [`FrameDevice::received_mut`] for each frame of the batch;
/// 3. [`FrameDevice::send`] for each frame to the system, then [`FrameDevice::flush`].
///
/// A frame that the system does not take is counted in [`FrameDevice::statistics`]. It is never an
/// error.
pub trait FrameDevice {
    /// Takes the next batch from the system and returns how many frames it has: 0 if there are none.
    /// The batch before is gone.
    ///
    /// # Errors
    ///
    /// Returns an error if the device is gone or switched off by the system.
    fn receive(&mut self) -> io::Result<usize>;

    /// Returns frame `index` of the last batch; `None` beyond its end, and for a frame that was cut off.
    fn received(&self, index: usize) -> Option<Received<'_>>;

    /// Returns frame `index` of the last batch, to be changed in place; `None` as for
    /// [`FrameDevice::received`].
    fn received_mut(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])>;

    /// Gives the system a frame or super-frame made of `pieces`, at the latest with the next
    /// [`FrameDevice::flush`].
    fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> LinkState;

    /// Gives the system what waits, and returns the state that the last frames met.
    fn flush(&mut self) -> LinkState;

    /// Returns which super-frames the system takes.
    fn capabilities(&self) -> Capabilities;

    /// Returns the counters since the device was opened. May take a system call: not for every frame.
    fn statistics(&mut self) -> Statistics;

    /// Returns whether the device is switched on, and took the last frame that was given to it.
    fn link_state(&self) -> LinkState;
}

/// Which super-frames a device takes. A device with an offload also hands over such super-frames, and
/// frames whose checksum is unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// TCP super-frames.
    pub tcp: bool,
    /// UDP super-frames (Linux 6.2).
    pub udp: bool,
}

impl Capabilities {
    /// Returns which consecutive segments may be merged before they are given to the device.
    pub const fn coalescing(self) -> CoalesceOptions {
        CoalesceOptions {
            tcp: self.tcp,
            udp: self.udp,
        }
    }
}

/// A frame that the system sent.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What offloads have left to do; give both to `Super::parse`.
    pub vnet: VnetHeader,
    /// The frame, its VLAN tag in place.
    pub frame: &'a [u8],
}

/// Whether a device takes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It does.
    Up,
    /// It is switched off or gone; frames are dropped and counted until it is back.
    Down,
}

/// Frames and super-frames of a device since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Received from the system.
    pub received: u64,
    /// Dropped by the system before they were received, because they came too fast.
    pub kernel_drops: u64,
    /// Received and not delivered: longer than the buffers here, or broken.
    pub truncated: u64,
    /// Given to the system.
    pub sent: u64,
    /// Not sent, because the system had no room.
    pub send_busy: u64,
    /// Not sent, because the device was switched off.
    pub send_down: u64,
    /// Not sent, because the system refused them: too long, or a header that it cannot express.
    pub send_refused: u64,
}

impl Statistics {
    /// Returns what was lost since the device was opened.
    pub const fn losses(&self) -> Losses {
        Losses {
            busy: self.send_busy,
            down: self.send_down,
            refused: self.send_refused,
            missed: self.kernel_drops.saturating_add(self.truncated),
        }
    }
}

/// Frames and super-frames that were lost between the program and the system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Not sent, because the system had no room.
    pub busy: u64,
    /// Not sent, because the device was switched off.
    pub down: u64,
    /// Not sent, because the system refused them.
    pub refused: u64,
    /// Not received, because they came too fast or were too long.
    pub missed: u64,
}

impl Losses {
    /// Returns the sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            busy: self.busy.saturating_add(other.busy),
            down: self.down.saturating_add(other.down),
            refused: self.refused.saturating_add(other.refused),
            missed: self.missed.saturating_add(other.missed),
        }
    }

    /// Returns by how much `self` is more than `last`, both sums since the start, and stores `self` there.
    #[must_use]
    pub const fn since(self, last: &mut Self) -> Self {
        let before = std::mem::replace(last, self);

        Self {
            busy: self.busy.saturating_sub(before.busy),
            down: self.down.saturating_sub(before.down),
            refused: self.refused.saturating_sub(before.refused),
            missed: self.missed.saturating_sub(before.missed),
        }
    }
}

/// What a wait found. What is not ready costs no system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// A UDP socket may have something, or take something again.
    pub network: bool,
    /// The device may have something.
    pub device: bool,
}

impl Ready {
    /// Anything may be: for systems that do not tell.
    pub const ANY: Self = Self {
        network: true,
        device: true,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once_and_by_its_cause() {
        let mut told = Losses::default();
        let sums = |send_busy, send_down| {
            let statistics = Statistics {
                kernel_drops: 2,
                truncated: 3,
                send_busy,
                send_down,
                send_refused: 1,
                ..Statistics::default()
            };
            statistics.losses()
        };

        let first = sums(3, 4).since(&mut told);
        assert_eq!((first.busy, first.down), (3, 4));
        assert_eq!((first.refused, first.missed), (1, 5));
        let news = sums(3, 9).since(&mut told);
        let expected = Losses {
            down: 5,
            ..Losses::default()
        };
        assert_eq!(news, expected);
    }
}
