//! Frames into overlay datagrams, and back (`docs/protocol.md`, clauses 2 and 6).

use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::Mode;
use lanparty_obs::DropReason;
use lanparty_proto::fragment::{self, Fragment, Reassembled, ReassemblyTable};
use lanparty_proto::overlay::{self, Overlay};
use lanparty_proto::{PeerId, RoomId};

use crate::{Flow, Pool};

/// The bits of a sequence number that members count with; the highest one is the relay's.
const SEQUENCE_MASK: u32 = !fragment::RELAY_SEQUENCE;

/// Writes frames as datagrams.
#[derive(Debug)]
pub struct Encapsulator {
    room: RoomId,
    source: PeerId,
    mode: Mode,
    sequence: u32,
    pool: Pool,
}

impl Encapsulator {
    /// Makes an encapsulator for a membership.
    pub fn new(room: RoomId, source: PeerId, mode: Mode) -> Self {
        Self {
            room,
            source,
            mode,
            sequence: 0,
            pool: Pool::default(),
        }
    }

    /// Numbers fragmented frames from somewhere at random, which `seed` is.
    ///
    /// A program that follows another, killed or handed over, begins elsewhere than that
    /// one, whose last fragments may still wait for the other.
    #[must_use]
    pub fn numbered_from(mut self, seed: u64) -> Self {
        let [high, low] = [seed >> 32, seed].map(|bits| bits & u64::from(SEQUENCE_MASK));
        self.sequence = u32::try_from(high ^ low).unwrap_or_default();

        self
    }

    /// Moves to another membership; memory and sequence go on.
    pub const fn set_membership(&mut self, room: RoomId, source: PeerId, mode: Mode) {
        self.room = room;
        self.source = source;
        self.mode = mode;
    }

    /// Appends the datagrams of one frame of `len` bytes, which `write` puts into a buffer, to `up`.
    ///
    /// # Errors
    ///
    /// Returns [`DropReason::DatagramBudget`] if no datagram of `budget` bytes can carry it (SPEC D4).
    pub fn encapsulate(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut [u8]),
        budget: usize,
        flow: Flow,
        up: &mut Vec<(Bytes, Flow)>,
    ) -> Result<(), DropReason> {
        let Ok(total) = u16::try_from(len) else {
            return Err(DropReason::DatagramBudget);
        };
        if overlay::HEADER_LEN.saturating_add(len) <= budget {
            let header = overlay::header(self.room, self.source, false, total);
            let datagram = self.pool.fill(overlay::HEADER_LEN + len, |buffer| {
                if let Some((head, frame)) = buffer.split_first_chunk_mut() {
                    *head = header;
                    write(frame);
                }
            });
            up.push((datagram, flow));
            return Ok(());
        }

        let first = fragment::datagram_len(len);
        if self.mode != Mode::Full || len > fragment::MAX_FRAME_LEN || first > budget {
            return Err(DropReason::DatagramBudget);
        }
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1) & SEQUENCE_MASK;
        let sender = (self.room, self.source);
        let mut both = self.pool.fill(fragment::datagrams_len(len), |buffer| {
            fragment::write(sender, sequence, total, buffer, write);
        });
        let second = both.split_off(first);
        up.push((both, flow));
        up.push((second, flow));

        Ok(())
    }
}

/// Reads frames out of datagrams.
#[derive(Debug)]
pub struct Decapsulator {
    room: RoomId,
    own: PeerId,
    mode: Mode,
    table: ReassemblyTable,
    pool: Pool,
}

impl Decapsulator {
    /// Makes a decapsulator for a membership.
    pub fn new(room: RoomId, own: PeerId, mode: Mode) -> Self {
        Self {
            room,
            own,
            mode,
            table: ReassemblyTable::default(),
            pool: Pool::default(),
        }
    }

    /// Moves to another membership and forgets fragments of the old one.
    pub fn set_membership(&mut self, room: RoomId, own: PeerId, mode: Mode) {
        self.room = room;
        self.own = own;
        self.mode = mode;
        self.table = ReassemblyTable::default();
    }

    /// Reads the header of a datagram.
    ///
    /// # Errors
    ///
    /// Returns why the datagram is not for us.
    #[inline]
    pub fn open<'a>(&self, datagram: &'a [u8]) -> Result<Overlay<'a>, DropReason> {
        let overlay = Overlay::parse(datagram, self.mode == Mode::Full)?;
        if overlay.room != self.room {
            return Err(DropReason::ForeignRoom);
        }
        if overlay.source == self.own {
            return Err(DropReason::OwnFrame);
        }

        Ok(overlay)
    }

    /// Returns the frame in `overlay`, which [`Self::open`] read from `datagram`: a slice of it, or joined of two fragments.
    ///
    /// Returns `Ok(None)` for the first fragment of a frame.
    ///
    /// # Errors
    ///
    /// Returns why there is no frame. With [`DropReason::FragmentLost`] it is an older fragment that is lost, and this one waits.
    pub fn frame(
        &mut self,
        datagram: &Bytes,
        overlay: &Overlay<'_>,
        now: Instant,
    ) -> Result<Option<Bytes>, DropReason> {
        if !overlay.is_part {
            return Ok(Some(datagram.slice_ref(overlay.payload)));
        }
        let fragment = Fragment::parse(overlay.payload).ok_or(DropReason::MalformedFragment)?;
        match self.table.handle_fragment(overlay.source, &fragment, now) {
            Reassembled::Frame(frame) => Ok(Some(self.pool.copy(frame))),
            Reassembled::Pending { lost: false } => Ok(None),
            Reassembled::Pending { lost: true } => Err(DropReason::FragmentLost),
            Reassembled::TooManySenders => Err(DropReason::FragmentTable),
        }
    }

    /// Forgets what waits from a member that left.
    pub fn remove_sender(&mut self, peer: PeerId) {
        self.table.remove_sender(peer);
    }

    /// Returns how many bytes of fragments are waiting.
    pub fn waiting_bytes(&self) -> usize {
        self.table.waiting_bytes()
    }
}
