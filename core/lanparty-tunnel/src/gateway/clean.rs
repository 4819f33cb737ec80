//! Taking out of the LAN's frames what would capture a player, before they enter the tunnel.

use std::time::Instant;

use crate::Outbox;
use crate::Tunnel;
use lanparty_obs::DropReason;
use lanparty_offload::{SegmentRefusal, Super, VnetHeader};
use lanparty_proto::player::{self, PlayerPolicy, Rewrite};
use lanparty_proto::{ChecksumState, Frame};

/// Sends a frame for which [`player::needs_rewrite`] says so, cleaned.
///
/// It is written out as on a wire first: a super-frame is several messages, and each has a checksum of its own afterwards.
pub(crate) fn send(
    policy: PlayerPolicy,
    vnet: &VnetHeader,
    frame: &Frame<'_>,
    tunnel: &mut Tunnel,
    now: Instant,
    out: &mut Outbox,
) -> Result<(), DropReason> {
    let whole = Super::parse(vnet, frame.bytes()).map_err(cannot_segment)?;
    let segments = whole.segments(None).map_err(cannot_segment)?;
    for segment in segments {
        let mut outcome = Ok(Rewrite::Untouched);
        let cleaned = tunnel.pool.fill(segment.len(), |bytes| {
            segment.write(bytes);
            outcome = player::rewrite(policy, bytes, ChecksumState::Complete);
        });
        outcome?;
        tunnel.send(&VnetHeader::NONE, &Frame::parse(&cleaned)?, now, out);
    }

    Ok(())
}

/// Which of its rules a super-frame breaks interests only who debugs the kernel's driver.
const fn cannot_segment(_: SegmentRefusal) -> DropReason {
    DropReason::Segmentation
}
