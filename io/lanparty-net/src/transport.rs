//! QUIC settings. The library's defaults are for web servers, not for a relay of frames that anybody may reach.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{AckFrequencyConfig, MtuDiscoveryConfig, TransportConfig, VarInt};

use crate::sensor::{Reports, SensorFactory};

/// After how long a silent peer is gone. Members notice silence earlier (1.5 s) and try beside; this is the last word.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a member that has nothing to say says so, which also keeps NAT bindings alive (the shortest seen live 20 s).
pub const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// What a round trip is taken for before the first was seen: a third of RFC 9002's (6.2.2: 333 ms), so that a lost packet of a handshake is
/// sent again after 0.3 s and not after a second. Where the path is longer, some packets of the handshake travel twice.
const FIRST_RTT: Duration = Duration::from_millis(100);

/// UDP payload of a 1500-byte path: minus 20 bytes of IPv4 or 40 of IPv6 and 8 of UDP.
const MAX_PAYLOAD_V4: u16 = 1472;
const MAX_PAYLOAD_V6: u16 = 1452;

/// How close the search for the path's size comes to it, in bytes. With the library's 20 a native room over 1400 bytes of IPv6 may end with an
/// MTU of 1262, over which IPv6 itself does not run (RFC 8200, 5: 1280).
const MTU_STEP: u16 = 8;

/// How often a path that carries less than Ethernet is asked again whether it carries more: a player changes from a mobile
/// network to Wi-Fi, a tunnel underneath goes away. A search is a few probes, whose loss slows nothing down.
const MTU_SEARCH_INTERVAL: Duration = Duration::from_mins(1);

/// How long after a black hole the path is searched anew. Until then frames travel at QUIC's minimum (1200 bytes), so the
/// search begins as soon as what was on its way is gone.
const BLACK_HOLE_COOLDOWN: Duration = Duration::from_secs(1);

/// How many ack-eliciting packets the peer may take before it answers.
///
/// A train has up to 64; four answers a train give the rate controller enough samples.
const ACK_ELICITING_THRESHOLD: u32 = 16;

/// How long the peer may wait with an answer: small against a game's tick of 8 to 50 ms.
pub(crate) const MAX_ACK_DELAY: Duration = Duration::from_millis(5);

/// Packets that arrive later than so many newer ones count as lost. Wi-Fi and multi-path links reorder a few.
const REORDERING_THRESHOLD: u32 = 8;

/// The library's queue between two of our turns: one train of full packets and its bookkeeping. It is filled only with what leaves at once.
const DATAGRAM_SEND_BUFFER: usize = 192 * 1024;

/// What may arrive between two reads of the socket: each drains it, and takes at most 16 messages of 64 KiB.
const DATAGRAM_RECEIVE_BUFFER: usize = 2 * 1024 * 1024;

/// Control messages have at most 16 KiB; four may be under way.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Which end of a link the settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Relay,
    Member,
}

/// Returns the settings of one connection, whose sensor leaves its reports in `reports`.
pub(crate) fn config(
    end: End,
    peer_is_v6: bool,
    idle: Duration,
    reports: Reports,
) -> TransportConfig {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_ELICITING_THRESHOLD))
        .max_ack_delay(Some(MAX_ACK_DELAY))
        .reordering_threshold(VarInt::from_u32(REORDERING_THRESHOLD));
    let mut discovery = MtuDiscoveryConfig::default();
    discovery
        .upper_bound(if peer_is_v6 {
            MAX_PAYLOAD_V6
        } else {
            MAX_PAYLOAD_V4
        })
        .interval(MTU_SEARCH_INTERVAL)
        .minimum_change(MTU_STEP)
        .black_hole_cooldown(BLACK_HOLE_COOLDOWN);

    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(u32::from(end == End::Relay)))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(2 * STREAM_WINDOW))
        .send_window(u64::from(2 * STREAM_WINDOW))
        .send_fairness(false)
        .crypto_buffer_size(16 * 1024)
        // A time that QUIC cannot say is as good as none.
        .max_idle_timeout(idle.try_into().ok())
        .keep_alive_interval((end == End::Member).then_some(KEEP_ALIVE))
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .packet_threshold(REORDERING_THRESHOLD)
        .initial_rtt(FIRST_RTT)
        .ack_frequency_config(Some(acks))
        .mtu_discovery_config(Some(discovery))
        .congestion_controller_factory(Arc::new(SensorFactory(reports)))
        .allow_spin(false);

    config
}
