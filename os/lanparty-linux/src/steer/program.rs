//! The program that steers, in classic BPF.

use super::{Aim, BANK_BIT, Bank};
use crate::bpf::{ADD, AND, Instruction, JUMP, JUMP_SET, LOAD_BYTE, MODULO, RETURN_LOADED};

/// The bit of a QUIC packet's first byte that tells a long header (RFC 9000, 17.2 and 17.3).
const LONG_HEADER: u32 = 0x80;

/// Where the destination connection id begins behind a long header's version and length, and in a short header.
const LONG_CID_AT: u32 = 6;
const SHORT_CID_AT: u32 = 1;

/// The bits of a long header's first byte that tell packets of the handshake proper from those that begin it: Initial is 0, 0-RTT 1,
/// Handshake 2, Retry 3 (RFC 9000, 17.2). The servers' ids are in all of Handshake's.
const IS_HANDSHAKE: u32 = 0x20;

/// Assembles the program for so many workers, at least 1 and at most [`BANK_BIT`].
pub(super) fn assemble(workers: u8, aim: Aim) -> Vec<Instruction> {
    let count = u32::from(workers);
    let start = |bank| match bank {
        Bank::First => 0,
        Bank::Second => count,
    };
    let second = start(Bank::Second);
    // Which bit of the connection id makes it the second bank, and where newcomers go.
    let (newcomers, bank_bit) = match aim {
        Aim::One(bank) => (start(bank), 0),
        Aim::Both { newcomers } => (start(newcomers), u32::from(BANK_BIT)),
    };
    let others = match aim {
        Aim::One(bank) => start(bank),
        Aim::Both { .. } => 0,
    };
    let number = u32::from(!BANK_BIT);
    // The data begins with the UDP payload. A load beyond its end ends the program with 0: the first socket gets such packets.
    vec![
        (LOAD_BYTE, 0, 0, 0),
        (JUMP_SET, 2, 0, LONG_HEADER),
        (LOAD_BYTE, 0, 0, SHORT_CID_AT),
        (JUMP, 0, 0, 6),
        (JUMP_SET, 4, 0, IS_HANDSHAKE),
        // A new connection.
        (LOAD_BYTE, 0, 0, LONG_CID_AT),
        (AND, 0, 0, number),
        (MODULO, 0, 0, count),
        (JUMP, 0, 0, 10),
        (LOAD_BYTE, 0, 0, LONG_CID_AT),
        // A connection that somebody has.
        (JUMP_SET, 0, 4, bank_bit),
        (AND, 0, 0, number),
        (MODULO, 0, 0, count),
        (ADD, 0, 0, second),
        (RETURN_LOADED, 0, 0, 0),
        (AND, 0, 0, number),
        (MODULO, 0, 0, count),
        (ADD, 0, 0, others),
        (RETURN_LOADED, 0, 0, 0),
        (ADD, 0, 0, newcomers),
        (RETURN_LOADED, 0, 0, 0),
    ]
}
