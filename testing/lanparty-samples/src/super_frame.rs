//! What a kernel hands over where offloads are on.

use lanparty_offload::VnetHeader;
use lanparty_offload::vnet::{FLAG_NEEDS_CSUM, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4};

use crate::sum;

/// Everything that decides what a super-frame looks like.
#[derive(Debug, Clone)]
pub struct SuperFrame {
    /// VLAN tags, outermost first.
    pub tags: Vec<[u8; 4]>,
    /// IPv6, and not IPv4.
    pub v6: bool,
    /// TCP, and not UDP.
    pub tcp: bool,
    /// IPv4 options, in words of 4 bytes: at most 10.
    pub ip_options: usize,
    /// IPv6: a destination options header of 8 bytes.
    pub extension: bool,
    /// TCP options, in words of 4 bytes: at most 10.
    pub tcp_options: usize,
    /// TCP's flags.
    pub flags: u8,
    /// IPv4's identification.
    pub id: u16,
    /// TCP's sequence number.
    pub sequence: u32,
    /// Payload of a segment, in bytes.
    pub size: u16,
    /// The virtio-net header says where the payload begins; a kernel may leave 0 there.
    pub says_headers: bool,
    /// What is to be cut.
    pub payload: Vec<u8>,
}

impl SuperFrame {
    /// A TCP flow over IPv4 in the midst of a transfer of `len` bytes, to be cut into segments of 1000.
    pub fn tcp(len: usize) -> Self {
        Self {
            tags: Vec::new(),
            v6: false,
            tcp: true,
            ip_options: 0,
            extension: false,
            tcp_options: 3,
            flags: 0x18,
            id: 77,
            sequence: 1_000_000,
            size: 1000,
            says_headers: true,
            payload: (0_u16..251)
                .map(|n| (n * 31 % 251).to_le_bytes()[0])
                .cycle()
                .take(len)
                .collect(),
        }
    }

    /// A flow that GRO merges: nothing but ACK and PSH, no IP options, no extension headers.
    #[must_use]
    pub fn mergeable(mut self) -> Self {
        self.tcp = true;
        self.ip_options = 0;
        self.extension = false;
        self.flags = 0x10 | self.flags & 0x08;

        self
    }

    /// Bytes in front of the payload.
    pub fn headers(&self) -> usize {
        14 + 4 * self.tags.len() + self.network() + self.transport()
    }

    /// The frame, and what is left to do with it. Checksum fields hold what a kernel leaves in them: the pseudo-header's sum.
    ///
    /// # Panics
    ///
    /// Panics if it does not fit into an IP packet, or options do not fit into their header.
    pub fn build(&self) -> (VnetHeader, Vec<u8>) {
        let mut frame = vec![2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa];
        frame.extend(self.tags.iter().flatten());
        let l3 = frame.len() + 2;
        self.push_network(&mut frame);
        let l4 = frame.len();
        self.push_transport(&mut frame);
        frame.extend(&self.payload);

        let addresses = if self.v6 {
            l3 + 8..l3 + 40
        } else {
            l3 + 12..l3 + 20
        };
        let offset = if self.tcp { 16 } else { 6 };
        let len = len16(frame.len() - l4).to_be_bytes();
        let pseudo = [&frame[addresses], &[0, self.protocol()], &len].concat();
        frame[l4 + offset..l4 + offset + 2].copy_from_slice(&sum(&pseudo).to_be_bytes());
        let hdr_len = if self.says_headers { self.headers() } else { 0 };
        let vnet = VnetHeader {
            flags: FLAG_NEEDS_CSUM,
            gso_type: match (self.tcp, self.v6) {
                (true, false) => GSO_TCPV4,
                (true, true) => GSO_TCPV6,
                (false, _) => GSO_UDP_L4,
            },
            hdr_len: len16(hdr_len),
            gso_size: self.size,
            csum_start: len16(l4),
            csum_offset: len16(offset),
        };

        (vnet, frame)
    }

    /// The EtherType and the IP header.
    fn push_network(&self, frame: &mut Vec<u8>) {
        let len = self.transport() + self.payload.len();
        if self.v6 {
            let behind = self.network() - 40 + len;
            let next = if self.extension { 60 } else { self.protocol() };
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(len16(behind).to_be_bytes());
            frame.extend([next, 64]);
            frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
            if self.extension {
                frame.extend([self.protocol(), 0, 1, 4, 0, 0, 0, 0]);
            }
        } else {
            let words = u8::try_from(self.network() / 4).expect("IPv4 options fit");
            frame.extend([0x08, 0x00]);
            let l3 = frame.len();
            frame.extend([0x40 | words, 0]);
            frame.extend(len16(self.network() + len).to_be_bytes());
            frame.extend(self.id.to_be_bytes());
            frame.extend([0x40, 0, 64, self.protocol(), 0, 0]);
            frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
            frame.resize(l3 + self.network(), 1);
            let checksum = !sum(&frame[l3..]);
            frame[l3 + 10..l3 + 12].copy_from_slice(&checksum.to_be_bytes());
        }
    }

    fn push_transport(&self, frame: &mut Vec<u8>) {
        frame.extend([0x12, 0x34, 0x56, 0x78]);
        if self.tcp {
            let words = u8::try_from(self.transport() / 4).expect("TCP options fit");
            frame.extend(self.sequence.to_be_bytes());
            frame.extend([0, 0, 0, 9, words << 4]);
            frame.extend([self.flags, 1, 0, 0, 0, 0, 0]);
            frame.resize(frame.len() + 4 * self.tcp_options, 1);
        } else {
            let len = self.transport() + self.payload.len();
            frame.extend(len16(len).to_be_bytes());
            frame.extend([0, 0]);
        }
    }

    fn protocol(&self) -> u8 {
        if self.tcp { 6 } else { 17 }
    }

    /// Length of the IP header with what follows it, in bytes.
    fn network(&self) -> usize {
        match (self.v6, self.extension) {
            (true, true) => 48,
            (true, false) => 40,
            (false, _) => 20 + 4 * self.ip_options,
        }
    }

    /// Length of the TCP or UDP header in bytes.
    fn transport(&self) -> usize {
        if self.tcp {
            20 + 4 * self.tcp_options
        } else {
            8
        }
    }
}

fn len16(len: usize) -> u16 {
    u16::try_from(len).expect("a packet's length has 16 bits")
}
