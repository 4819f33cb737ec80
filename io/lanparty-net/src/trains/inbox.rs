//! Messages in.

use std::io::IoSliceMut;
use std::net::UdpSocket;

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};

use super::Arrival;

/// How many messages are read at a time at most. With GRO each has up to 64 packets of one sender.
const MESSAGES: usize = 16;

/// How many of them one system call reads at most: all on Linux, one on Windows.
const MESSAGES_PER_CALL: usize = if quinn_udp::BATCH_SIZE < MESSAGES {
    quinn_udp::BATCH_SIZE
} else {
    MESSAGES
};

/// The longest message: a UDP payload, or what GRO makes of several.
const MESSAGE_LEN: usize = 65_536;

/// Buffers for one batch: 1 MiB of addresses, of which only those pages become memory that packets have touched.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    /// How many messages the next call reads: fewer if the last ones had many packets each.
    messages: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; MESSAGES * MESSAGE_LEN],
            messages: MESSAGES_PER_CALL,
        }
    }

    /// Reads about `wanted` packets. Returns whether there may be more.
    pub(crate) fn receive(
        &mut self,
        socket: &UdpSocket,
        state: &UdpSocketState,
        wanted: usize,
        mut each: impl FnMut(Arrival, &[u8]),
    ) -> bool {
        let mut meta = [RecvMeta::default(); MESSAGES];
        let mut slices = self
            .buffer
            .chunks_exact_mut(MESSAGE_LEN)
            .map(IoSliceMut::new);
        let mut slices: [IoSliceMut<'_>; MESSAGES] =
            std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let mut packets = 0_usize;
        while packets < wanted {
            let asked = self.messages;
            let buffers = slices.get_mut(..asked).unwrap_or_default();
            let Ok(count) = state.recv(UdpSockRef::from(socket), buffers, &mut meta) else {
                return false;
            };
            let before = packets;
            for (meta, slice) in meta.iter().zip(&slices).take(count) {
                let arrival = Arrival {
                    from: meta.addr,
                    to: meta.dst_ip,
                    ecn: meta.ecn.map_or(0, |codepoint| codepoint as u8),
                    stride: meta.stride.max(1),
                };
                packets += meta.len.div_ceil(arrival.stride);
                each(arrival, slice.get(..meta.len).unwrap_or_default());
            }
            let in_one = (packets - before).div_ceil(count.max(1)).max(1);
            self.messages = (wanted / in_one).clamp(1, MESSAGES_PER_CALL);
            if count < asked {
                return false;
            }
        }

        true
    }

    /// Reads up to [`MESSAGES`] packets the plain way. Returns whether there may be more.
    pub(crate) fn receive_plain(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(Arrival, &[u8]),
    ) -> bool {
        for _ in 0..MESSAGES {
            let Ok((len, from)) = socket.recv_from(&mut self.buffer) else {
                return false;
            };
            let arrival = Arrival {
                from,
                to: None,
                ecn: 0,
                stride: len.max(1),
            };
            each(arrival, self.buffer.get(..len).unwrap_or_default());
        }

        true
    }
}
