//! `SO_ATTACH_REUSEPORT_CBPF` (Linux 4.5).

// UNSAFETY: attaching a filter takes one setsockopt with a pointer to the program, and no crate we depend on wraps it.
#![expect(unsafe_code, reason = "SO_ATTACH_REUSEPORT_CBPF")]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use libc::{sock_filter, sock_fprog};

use crate::{Aim, BANK_BIT, Bank};

// Classic BPF operations (linux/bpf_common.h, linux/filter.h).
const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_IF_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const MODULO: u16 = 0x94; // BPF_ALU | BPF_MOD | BPF_K
const ADD: u16 = 0x04; // BPF_ALU | BPF_ADD | BPF_K
const RETURN_A: u16 = 0x16; // BPF_RET | BPF_A

/// The bit of a QUIC packet's first byte that tells a long header (RFC 9000, 17.2 and 17.3).
const LONG_HEADER: u32 = 0x80;

/// Where the destination connection id begins behind a long header's version and length, and in a short header.
const LONG_CID_AT: u32 = 6;
const SHORT_CID_AT: u32 = 1;

const fn operation(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The bits of a long header's first byte that tell packets of the handshake proper from those that begin it: Initial is 0, 0-RTT 1,
/// Handshake 2, Retry 3 (RFC 9000, 17.2). The servers' ids are in all of Handshake's.
const IS_HANDSHAKE: u32 = 0x20;

pub(super) fn steer(socket: &UdpSocket, workers: u8, aim: Aim) -> io::Result<()> {
    let count = u32::from(workers);
    let start = |bank| u32::try_from(Bank::range(bank, workers).start).map_err(io::Error::other);
    let second = start(Bank::Second)?;
    // Which bit of the connection id makes it the second bank, and where newcomers go.
    let (newcomers, bank_bit) = match aim {
        Aim::One(bank) => (start(bank)?, 0),
        Aim::Both { newcomers } => (start(newcomers)?, u32::from(BANK_BIT)),
    };
    let others = match aim {
        Aim::One(bank) => start(bank)?,
        Aim::Both { .. } => 0,
    };
    let number = u32::from(!BANK_BIT);
    // The data begins with the UDP payload. A load beyond its end ends the program with 0: the first socket gets such packets.
    let mut program = [
        operation(LOAD_BYTE, 0, 0, 0),
        operation(JUMP_IF_SET, 2, 0, LONG_HEADER),
        operation(LOAD_BYTE, 0, 0, SHORT_CID_AT),
        operation(JUMP, 0, 0, 6),
        operation(JUMP_IF_SET, 4, 0, IS_HANDSHAKE),
        // A new connection.
        operation(LOAD_BYTE, 0, 0, LONG_CID_AT),
        operation(AND, 0, 0, number),
        operation(MODULO, 0, 0, count),
        operation(JUMP, 0, 0, 10),
        operation(LOAD_BYTE, 0, 0, LONG_CID_AT),
        // A connection that somebody has.
        operation(JUMP_IF_SET, 0, 4, bank_bit),
        operation(AND, 0, 0, number),
        operation(MODULO, 0, 0, count),
        operation(ADD, 0, 0, second),
        operation(RETURN_A, 0, 0, 0),
        operation(AND, 0, 0, number),
        operation(MODULO, 0, 0, count),
        operation(ADD, 0, 0, others),
        operation(RETURN_A, 0, 0, 0),
        operation(ADD, 0, 0, newcomers),
        operation(RETURN_A, 0, 0, 0),
    ];
    let filter = sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_mut_ptr(),
    };
    let len = libc::socklen_t::try_from(size_of::<sock_fprog>()).map_err(io::Error::other)?;
    // SAFETY: `socket` is open for as long as the call runs; `filter` has `len` bytes and points to as many operations as it
    // says, all of which the kernel copies and checks.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            len,
        )
    };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }

    Ok(())
}
