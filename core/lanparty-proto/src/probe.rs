//! The gateway's own frames: loop probes, signs of presence, and notices (`docs/protocol.md`, clause 9).
//!
//! They have EtherType 0x88B5 and a version other than zero, which tells them from the frames that keep switches' tables fresh.

use crate::ethernet::{HEADER_LEN, MIN_WIRE_LEN};
use crate::{EtherType, Frame, Kind, MacAddr, PeerId};

/// The group that probes are addressed to on a LAN. Locally administered, so that bridges flood it and network cards drop it.
pub const GROUP: MacAddr = MacAddr([0x03, 0x73, 0x6f, 0x66, 0x74, 0x6c]);

/// The version of the format.
const VERSION: u8 = 1;

/// What one of these frames says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// To one client through the tunnel, which sends it out of its TAP to [`GROUP`]. It must never come back from the LAN.
    Tunnel,
    /// Out of the LAN port: a gateway is here.
    Presence,
    /// To all clients through the tunnel: a client is blocked.
    Blocked,
    /// Out of the LAN port: the gateway leaves, and another one may take its place.
    Leaving,
}

impl ProbeKind {
    const fn code(self) -> u8 {
        match self {
            Self::Tunnel => 1,
            Self::Presence => 2,
            Self::Blocked => 3,
            Self::Leaving => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Tunnel),
            2 => Some(Self::Presence),
            3 => Some(Self::Blocked),
            4 => Some(Self::Leaving),
            _ => None,
        }
    }
}

/// One of the gateway's own frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// What it says.
    pub kind: ProbeKind,
    /// The client that it is about; 0 in a sign of presence.
    pub peer: PeerId,
    /// Drawn at random when the gateway started.
    pub instance: u64,
    /// One more every time; in a notice, how many seconds the block still lasts.
    pub number: u64,
    /// The keyed hash over kind, peer, instance and number; 0 in a notice.
    pub tag: u64,
}

impl Probe {
    /// Reads a frame, or returns `None` if it is none of these.
    pub fn parse(frame: &Frame<'_>) -> Option<Self> {
        if frame.kind() != Kind::Type(EtherType::LOCAL_EXPERIMENTAL) || frame.tags() != 0 {
            return None;
        }
        let (&[version, kind, p1, p2], rest) = frame.payload().split_first_chunk()?;
        let (instance, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (tag, _padding) = rest.split_first_chunk()?;
        if version != VERSION {
            return None;
        }

        Some(Self {
            kind: ProbeKind::from_code(kind)?,
            peer: PeerId(u16::from_be_bytes([p1, p2])),
            instance: u64::from_be_bytes(*instance),
            number: u64::from_be_bytes(*number),
            tag: u64::from_be_bytes(*tag),
        })
    }

    /// Returns the bytes that the tag is computed over.
    pub fn tagged(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let parts: [&[u8]; 4] = [
            &[VERSION, self.kind.code()],
            &self.peer.0.to_be_bytes(),
            &self.instance.to_be_bytes(),
            &self.number.to_be_bytes(),
        ];
        for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }

        bytes
    }

    /// Writes the frame, padded to Ethernet's minimum.
    pub fn frame(&self, destination: MacAddr, source: MacAddr) -> [u8; MIN_WIRE_LEN] {
        let mut bytes = [0; MIN_WIRE_LEN];
        let (header, payload) = bytes.split_at_mut(HEADER_LEN);
        let addresses: [&[u8]; 3] = [
            &destination.0,
            &source.0,
            &EtherType::LOCAL_EXPERIMENTAL.0.to_be_bytes(),
        ];
        for (place, byte) in header.iter_mut().zip(addresses.into_iter().flatten()) {
            *place = *byte;
        }
        let tag = self.tag.to_be_bytes();
        let written = self.tagged();
        for (place, byte) in payload.iter_mut().zip(written.iter().chain(&tag)) {
            *place = *byte;
        }

        bytes
    }
}

/// Returns the source of a gateway's own frames: no station's address, so that a switch that hears one where the loop is does not look
/// for the gateway there.
pub const fn source(interface: MacAddr) -> MacAddr {
    let MacAddr([_, _, _, a, b, c]) = interface;

    MacAddr([0x06, 0x88, 0xb5, a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Probe = Probe {
        kind: ProbeKind::Tunnel,
        peer: PeerId(0x0102),
        instance: 0x1112_1314_1516_1718,
        number: 3,
        tag: 0x2122_2324_2526_2728,
    };

    #[test]
    fn bytes_are_what_the_protocol_says() {
        let bytes = PROBE.frame(GROUP, source(MacAddr([0, 1, 2, 3, 4, 5])));

        assert_eq!(bytes[..6], GROUP.0);
        assert_eq!(bytes[6..12], [0x06, 0x88, 0xb5, 3, 4, 5]);
        assert_eq!(bytes[12..16], [0x88, 0xb5, 1, 1]);
        assert_eq!(bytes[16..18], [1, 2]);
        assert_eq!(
            bytes[18..26],
            [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]
        );
        assert_eq!(bytes[26..34], [0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(
            bytes[34..42],
            [0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28]
        );
        assert_eq!(bytes[42..], [0; 18]);
    }

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let bytes = PROBE.frame(GROUP, MacAddr([2, 0, 0, 0, 0, 1]));
        let parse = |bytes: &[u8]| Probe::parse(&Frame::parse(bytes).unwrap());
        let mut refresh = bytes;
        refresh[14] = 0;
        let mut newer = bytes;
        newer[15] = 9;

        assert_eq!(parse(&bytes), Some(PROBE));
        assert_eq!(parse(&refresh), None);
        assert_eq!(parse(&newer), None);
        assert_eq!(parse(&bytes[..41]), None);
    }
}
