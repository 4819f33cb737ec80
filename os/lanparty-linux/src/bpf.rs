//! Programs of classic BPF (`linux/filter.h`): their instructions, and how a socket gets one.

// UNSAFETY: attaching a program takes one setsockopt with a pointer, and no crate we depend on wraps it.
#![expect(unsafe_code, reason = "SO_ATTACH_FILTER and SO_ATTACH_REUSEPORT_CBPF")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use libc::{sock_filter, sock_fprog};

/// One instruction: code, jump if true, jump if false, operand.
///
/// Jumps count instructions behind this one. A load beyond the end of the packet ends the program with 0.
pub type Instruction = (u16, u8, u8, u32);

/// Loads four bytes at the offset that is the operand (`BPF_LD | BPF_W | BPF_ABS`).
pub const LOAD_WORD: u16 = 0x20;
/// Loads two bytes (`BPF_LD | BPF_H | BPF_ABS`).
pub const LOAD_HALF: u16 = 0x28;
/// Loads one byte (`BPF_LD | BPF_B | BPF_ABS`).
pub const LOAD_BYTE: u16 = 0x30;
/// Adds the operand (`BPF_ALU | BPF_ADD | BPF_K`).
pub const ADD: u16 = 0x04;
/// Keeps the bits of the operand (`BPF_ALU | BPF_AND | BPF_K`).
pub const AND: u16 = 0x54;
/// Keeps the remainder of a division by the operand (`BPF_ALU | BPF_MOD | BPF_K`).
pub const MODULO: u16 = 0x94;
/// Skips as many instructions as the operand says (`BPF_JMP | BPF_JA`).
pub const JUMP: u16 = 0x05;
/// Compares with the operand (`BPF_JMP | BPF_JEQ | BPF_K`).
pub const JUMP_EQUAL: u16 = 0x15;
/// Compares with the operand (`BPF_JMP | BPF_JGT | BPF_K`).
pub const JUMP_GREATER: u16 = 0x25;
/// Compares with the operand (`BPF_JMP | BPF_JGE | BPF_K`).
pub const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
/// Looks whether any bit of the operand is set (`BPF_JMP | BPF_JSET | BPF_K`).
pub const JUMP_SET: u16 = 0x45;
/// Ends the program with the operand (`BPF_RET | BPF_K`).
pub const RETURN: u16 = 0x06;
/// Ends the program with what is loaded (`BPF_RET | BPF_A`).
pub const RETURN_LOADED: u16 = 0x16;

/// The most instructions of a program (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// What a program decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// How many bytes of a packet the socket gets; 0 for none of it (`SO_ATTACH_FILTER`).
    Filter,
    /// Which of the sockets that share a port gets a packet (`SO_ATTACH_REUSEPORT_CBPF`, Linux 4.5).
    ReusePort,
}

/// Gives `socket` a program in place of the one before.
///
/// # Errors
///
/// Returns an error if the kernel refuses the program; the one before stays.
pub fn attach(socket: impl AsFd, hook: Hook, program: &[Instruction]) -> io::Result<()> {
    let mut instructions: Vec<sock_filter> = program
        .iter()
        .map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k })
        .collect();
    let program = sock_fprog {
        len: u16::try_from(instructions.len()).map_err(io::Error::other)?,
        filter: instructions.as_mut_ptr(),
    };
    let option = match hook {
        Hook::Filter => libc::SO_ATTACH_FILTER,
        Hook::ReusePort => libc::SO_ATTACH_REUSEPORT_CBPF,
    };
    let len = libc::socklen_t::try_from(size_of::<sock_fprog>()).map_err(io::Error::other)?;
    // SAFETY: `socket` is open for as long as the call runs; `program` has `len` bytes and points to as
    // many instructions as it says, all of which the kernel copies and checks.
    let status = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const program).cast(),
            len,
        )
    };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }

    Ok(())
}

/// Runs a program over a packet as the kernel does, so that tests can say what a program decides.
///
/// Returns `None` for a program that the kernel would refuse: it jumps beyond its end, or has an
/// instruction that is not among the ones here.
pub fn run(program: &[Instruction], packet: &[u8]) -> Option<u32> {
    let (mut loaded, mut at) = (0_u32, 0_usize);
    loop {
        let (code, yes, no, operand) = *program.get(at)?;
        at = at.checked_add(1)?;
        let is_true = match code {
            LOAD_WORD | LOAD_HALF | LOAD_BYTE => {
                let Some(value) = load(packet, code, operand) else {
                    return Some(0);
                };
                loaded = value;
                continue;
            }
            ADD => {
                loaded = loaded.wrapping_add(operand);
                continue;
            }
            AND => {
                loaded &= operand;
                continue;
            }
            MODULO => {
                loaded = loaded.checked_rem(operand)?;
                continue;
            }
            JUMP => {
                at = at.checked_add(usize::try_from(operand).ok()?)?;
                continue;
            }
            JUMP_EQUAL => loaded == operand,
            JUMP_GREATER => loaded > operand,
            JUMP_GREATER_OR_EQUAL => loaded >= operand,
            JUMP_SET => loaded & operand != 0,
            RETURN => return Some(operand),
            RETURN_LOADED => return Some(loaded),
            _ => return None,
        };
        at = at.checked_add(usize::from(if is_true { yes } else { no }))?;
    }
}

fn load(packet: &[u8], code: u16, at: u32) -> Option<u32> {
    let bytes = packet.get(usize::try_from(at).ok()?..)?;

    Some(match code {
        LOAD_WORD => u32::from_be_bytes(*bytes.first_chunk()?),
        LOAD_HALF => u16::from_be_bytes(*bytes.first_chunk()?).into(),
        _ => (*bytes.first()?).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_decides_by_the_bytes_of_the_packet() {
        let program = [
            (LOAD_HALF, 0, 0, 1),
            (JUMP_EQUAL, 0, 1, 0x0203),
            (RETURN, 0, 0, 7),
            (AND, 0, 0, 0xff),
            (MODULO, 0, 0, 4),
            (RETURN_LOADED, 0, 0, 0),
        ];

        assert_eq!(run(&program, &[1, 2, 3]), Some(7));
        assert_eq!(run(&program, &[1, 2, 7]), Some(3));
        assert_eq!(run(&program, &[1, 2]), Some(0), "a load beyond the end");
    }

    #[test]
    fn a_program_that_leads_beyond_its_end_is_none() {
        assert_eq!(run(&[(JUMP, 0, 0, 3)], &[]), None);
        assert_eq!(run(&[(0xffff, 0, 0, 0)], &[]), None);
    }
}
