//! Watches an interface while a test runs, and judges every frame that arrives there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

use crate::frames::checksums_are_right;
use crate::link::End;
use crate::raw::RawSocket;

/// How often a watch looks whether it is over.
const SLICE: Duration = Duration::from_millis(50);

/// The longest ordinary frame: 1500 bytes of payload behind header and two VLAN tags.
pub const LONGEST_ORDINARY: usize = 1522;

/// What arrived at an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames of others.
    pub frames: u64,
    /// Frames longer than any on a wire: what offloads merged.
    pub super_frames: u64,
    /// Frames whose checksum the sender left to the network card.
    pub pending: u64,
    /// The first frames with a wrong checksum, as text; at most [`MAX_SHOWN`].
    pub bad: Vec<String>,
}

/// How many bad frames are kept for the failure's text.
const MAX_SHOWN: usize = 3;

/// A thread that reads an interface until it is told to stop.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such interface.
    pub fn start(end: End<'_>) -> Result<Self> {
        let socket = RawSocket::open(end)?;
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let thread = std::thread::spawn({
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            move || watch(&socket, &stop, &seen)
        });

        Ok(Self {
            stop,
            seen,
            thread: Some(thread),
        })
    }

    /// Stops and returns what arrived.
    pub fn finish(mut self) -> Seen {
        self.end();

        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

fn watch(socket: &RawSocket, stop: &AtomicBool, seen: &Mutex<Seen>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(next) = socket.recv(SLICE) else {
            return;
        };
        let Some(frame) = next.filter(|frame| !frame.outgoing) else {
            continue;
        };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.frames += 1;
        seen.super_frames += u64::from(frame.bytes.len() > LONGEST_ORDINARY);
        seen.pending += u64::from(frame.checksum_pending);
        let pending = frame.checksum_pending;
        let is_right = checksums_are_right(&frame.bytes, pending).unwrap_or(!pending);
        // A card that merges frames leaves the sums of the merged one as they come: only ordinary ones are judged whole.
        let is_merged = frame.bytes.len() > LONGEST_ORDINARY && !frame.checksum_pending;
        if !is_right && !is_merged && seen.bad.len() < MAX_SHOWN {
            let head = frame.bytes.get(..74).unwrap_or(&frame.bytes);
            let text = format!(
                "{} bytes, pending {}: {head:02x?}",
                frame.bytes.len(),
                frame.checksum_pending
            );
            seen.bad.push(text);
        }
    }
}
