//! ARP from remote clients (RFC 826, RFC 5227).

use super::Refusal;
use crate::Frame;
use crate::read::array;

/// Ethernet, IPv4, address lengths 6 and 4 (RFC 826).
const PREFIX: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// A client asks and answers, in its own name only.
pub(super) fn check(frame: &Frame<'_>) -> Result<(), Refusal> {
    // What follows the 28 bytes is padding.
    let Some(packet) = array::<28>(frame.payload(), 0) else {
        return Err(Refusal::ArpMalformed);
    };
    let [
        p0,
        p1,
        p2,
        p3,
        p4,
        p5,
        o0,
        o1,
        h0,
        h1,
        h2,
        h3,
        h4,
        h5,
        ip @ ..,
    ] = packet;
    if [p0, p1, p2, p3, p4, p5] != PREFIX {
        return Err(Refusal::ArpMalformed);
    }
    if !matches!([o0, o1], [0, 1 | 2]) {
        return Err(Refusal::ArpOperation);
    }
    let [first, ..] = ip;
    if [h0, h1, h2, h3, h4, h5] != frame.source().0 || first == 127 || first >= 224 {
        return Err(Refusal::ArpSender);
    }

    Ok(())
}
