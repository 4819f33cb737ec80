//! Frames into overlay datagrams, and back (`docs/protocol.md`, clauses 2 and 6).

use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::Mode;
use lanparty_obs::DropReason;
use lanparty_proto::overlay::{self, Overlay};
use lanparty_proto::split::{
    Joined, MAX_FRAME_LEN, PART_HEADER_LEN, Part, Reassembly, first_half_len, part_header,
};
use lanparty_proto::{PeerId, RoomId};

use crate::{Flow, Pool};

/// The bits of a part's sequence number that members count with; the highest one is the relay's.
const SEQUENCE_MASK: u32 = 0x7fff_ffff;

/// Bytes in front of each half of a frame.
const HALF_OVERHEAD: usize = overlay::HEADER_LEN + PART_HEADER_LEN;

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
    /// Makes an encapsulator for a place in a room.
    pub fn new(room: RoomId, source: PeerId, mode: Mode) -> Self {
        Self {
            room,
            source,
            mode,
            sequence: 0,
            pool: Pool::default(),
        }
    }

    /// Numbers halves from somewhere at random, which `seed` is: a program that takes up the place of one that was killed, or is renewed,
    /// begins elsewhere than that one, whose last halves may still wait for their other half.
    #[must_use]
    pub fn numbered_from(mut self, seed: u64) -> Self {
        let [high, low] = [seed >> 32, seed].map(|bits| bits & u64::from(SEQUENCE_MASK));
        self.sequence = u32::try_from(high ^ low).unwrap_or_default();

        self
    }

    /// Moves to another place; memory and sequence go on.
    pub const fn set_place(&mut self, room: RoomId, source: PeerId, mode: Mode) {
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

        let first = first_half_len(len);
        if self.mode != Mode::Full || len > MAX_FRAME_LEN || HALF_OVERHEAD + first > budget {
            return Err(DropReason::DatagramBudget);
        }
        let mut halves = self.halves(len, total, write);
        let second = halves.split_off(HALF_OVERHEAD + first);
        up.push((halves, flow));
        up.push((second, flow));

        Ok(())
    }

    /// Writes both halves behind each other: the frame goes behind the first header, then its second half moves on.
    fn halves(&mut self, len: usize, total: u16, write: impl FnOnce(&mut [u8])) -> Bytes {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1) & SEQUENCE_MASK;
        let first = first_half_len(len);
        let heads = [(false, first), (true, len - first)].map(|(is_second, half)| {
            let length = u16::try_from(PART_HEADER_LEN + half).unwrap_or(u16::MAX);
            let head = overlay::header(self.room, self.source, true, length);

            (head, part_header(sequence, total, is_second))
        });

        self.pool.fill(2 * HALF_OVERHEAD + len, |buffer| {
            if let Some(frame) = buffer.get_mut(HALF_OVERHEAD..HALF_OVERHEAD + len) {
                write(frame);
            }
            let middle = HALF_OVERHEAD + first;
            buffer.copy_within(middle..HALF_OVERHEAD + len, middle + HALF_OVERHEAD);
            for ((head, part), at) in heads.iter().zip([0, middle]) {
                let place = buffer.iter_mut().skip(at);
                for (place, byte) in place.zip(head.iter().chain(part)) {
                    *place = *byte;
                }
            }
        })
    }
}

/// Reads frames out of datagrams.
#[derive(Debug)]
pub struct Decapsulator {
    room: RoomId,
    own: PeerId,
    mode: Mode,
    table: Reassembly,
    pool: Pool,
}

impl Decapsulator {
    /// Makes a decapsulator for a place in a room.
    pub fn new(room: RoomId, own: PeerId, mode: Mode) -> Self {
        Self {
            room,
            own,
            mode,
            table: Reassembly::default(),
            pool: Pool::default(),
        }
    }

    /// Moves to another place and forgets halves of the old one.
    pub fn set_place(&mut self, room: RoomId, own: PeerId, mode: Mode) {
        self.room = room;
        self.own = own;
        self.mode = mode;
        self.table = Reassembly::default();
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

    /// Returns the frame in `overlay`, which [`Self::open`] read from `datagram`: a slice of it, or joined of two halves.
    ///
    /// Returns `Ok(None)` for the first half of a frame.
    ///
    /// # Errors
    ///
    /// Returns why there is no frame. With [`DropReason::PartLost`] it is an older half that is lost, and this one waits.
    pub fn frame(
        &mut self,
        datagram: &Bytes,
        overlay: &Overlay<'_>,
        now: Instant,
    ) -> Result<Option<Bytes>, DropReason> {
        if !overlay.is_part {
            return Ok(Some(datagram.slice_ref(overlay.payload)));
        }
        let part = Part::parse(overlay.payload).ok_or(DropReason::MalformedPart)?;
        match self.table.handle_part(overlay.source, &part, now) {
            Joined::Frame(frame) => Ok(Some(self.pool.copy(frame))),
            Joined::Waiting { lost: false } => Ok(None),
            Joined::Waiting { lost: true } => Err(DropReason::PartLost),
            Joined::TooManySenders => Err(DropReason::PartTable),
        }
    }

    /// Forgets what waits from a member that left.
    pub fn remove_sender(&mut self, peer: PeerId) {
        self.table.remove_sender(peer);
    }

    /// Returns how many bytes of halves are waiting.
    pub fn waiting_bytes(&self) -> usize {
        self.table.waiting_bytes()
    }
}
