//! Who may join, and the sentences for who may not.

use lanparty_ctrl::{Capability, Hello, Mode, PROTOCOL_VERSION, Reject, RejectCode, Role};
use lanparty_obs::one_line;
use lanparty_proto::{MacAddr, budget, fragment};

use crate::limits::Limits;

/// Makes a reject.
pub(crate) fn reject(code: RejectCode, message: impl Into<String>) -> Reject {
    Reject {
        code,
        message: message.into(),
    }
}

/// Checks what no room decides.
pub(crate) fn check_hello(hello: &Hello) -> Result<(), Reject> {
    if hello.version != PROTOCOL_VERSION {
        return Err(reject(
            RejectCode::UnsupportedVersion,
            format!(
                "this relay speaks protocol version {PROTOCOL_VERSION} and {} {} speaks {}; use programs of one release",
                one_line(&hello.program),
                one_line(&hello.program_version),
                hello.version
            ),
        ));
    }
    let checked = hello.mac.map_or(Ok(()), MacAddr::check_identity);

    checked.map_err(|error| reject(RejectCode::BadMac, error.to_string()))
}

/// Checks that a member can carry what a room of `mode` carries.
pub(crate) fn check_mode(mode: Mode, hello: &Hello) -> Result<(), Reject> {
    if mode == Mode::Full && !hello.can(Capability::FullFrame) {
        return Err(reject(
            RejectCode::ModeUnsupported,
            "this room carries full-size frames as two datagrams, which this program cannot or was told not to do; \
             update it, or have everybody leave and join again after this program",
        ));
    }

    Ok(())
}

/// Checks that `budget` bytes of datagram carry what a room of `mode` and `mtu` sends.
pub(crate) fn check_budget(mode: Mode, mtu: u16, budget: usize) -> Result<(), Reject> {
    let needed = needed_budget(mode, mtu);
    if budget < needed {
        return Err(reject(
            RejectCode::MtuTooSmall,
            format!(
                "the room's MTU of {mtu} needs datagrams of {needed} bytes and this connection carries {budget}; \
                 leave off other VPNs, or use a network with a larger MTU"
            ),
        ));
    }

    Ok(())
}

/// Returns the budget that a room of `mode` and `mtu` asks of every member, in bytes.
pub(crate) const fn needed_budget(mode: Mode, mtu: u16) -> usize {
    match mode {
        Mode::Native => budget::datagram_len(mtu),
        Mode::Full => fragment::datagram_len(fragment::MAX_FRAME_LEN),
    }
}

/// Chooses mode and MTU of a new room, whose first member can use `budget` bytes of datagram.
pub(crate) fn choose(limits: &Limits, hello: &Hello, budget: usize) -> Result<(Mode, u16), Reject> {
    let can_split = hello.can(Capability::FullFrame);
    let mode = limits.mode.choose(can_split);
    if mode == Mode::Full && !can_split {
        return Err(reject(
            RejectCode::ModeUnsupported,
            "this relay wants rooms with full-size frames, which this program cannot or was told not to do; update it",
        ));
    }
    let mtu = match mode {
        Mode::Full => budget::FULL_IP_MTU,
        Mode::Native => budget::ip_mtu(budget)
            .min(limits.native_mtu)
            .max(budget::MIN_IP_MTU),
    };
    check_budget(mode, mtu, budget)?;

    Ok((mode, mtu))
}

/// Returns the sentence for a membership that somebody else has.
pub(crate) fn place_taken(role: Role) -> Reject {
    match role {
        Role::Client => reject(
            RejectCode::MacInUse,
            "another computer in the room uses this MAC address; if it is a copy of this one, give one of them a new identity \
             (delete its identity file, or use --virtual-mac)",
        ),
        Role::Gateway => reject(
            RejectCode::GatewayPresent,
            "the room has a gateway, and there can be only one; stop the other one or use another room",
        ),
    }
}

/// Returns the sentence for a membership that a newer connection of the same member has.
pub(crate) fn superseded() -> Reject {
    reject(
        RejectCode::Superseded,
        "a newer connection of this computer has joined, so this one is not needed",
    )
}

/// Returns the sentence for two machines that take one membership from each other.
pub(crate) fn copied_identity() -> Reject {
    reject(
        RejectCode::Superseded,
        "two computers use the same identity and take the place from each other; give one of them a new one \
         (delete its identity file, or use --virtual-mac)",
    )
}
