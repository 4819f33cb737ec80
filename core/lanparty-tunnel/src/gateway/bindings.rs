//! Keeping the address bindings in step with who is in the room.

use std::time::Instant;

use lanparty_guard::Guard;
use lanparty_proto::MacAddr;
use lanparty_session::Output;

use crate::Members;

/// Takes what the session says, before the members' table does.
///
/// A client that has the MAC of the gateway's `interface` has no business on the LAN. It gets no
/// bindings, and the guard refuses every frame of it.
pub(crate) fn follow(
    guard: &mut Guard,
    members: &Members,
    interface: MacAddr,
    output: &Output,
    now: Instant,
) {
    match output {
        Output::Joined(info) if !info.same_membership => {
            for mac in members.macs() {
                guard.handle_left(mac);
            }
        }
        Output::PeerJoined(peer) => {
            if let Some(mac) = peer.mac.filter(|mac| *mac != interface) {
                guard.handle_joined(mac, now);
            }
        }
        Output::PeerLeft(peer, _) => {
            if let Some(mac) = peer.mac {
                guard.handle_left(mac);
            }
        }
        // Without a membership the gateway does not listen to the LAN, so it hears no answers.
        Output::Detached => guard.handle_deaf(),
        Output::Joined(_)
        | Output::PeerDetached(_)
        | Output::PeerResumed(_)
        | Output::ForeignSource(_)
        | Output::Connect { .. }
        | Output::Send { .. }
        | Output::Close { .. }
        | Output::Status(_)
        | Output::Ended(_) => {}
    }
}
