//! The kernel's filter, in classic BPF (`linux/filter.h`).

use lanparty_linux::bpf::{
    Instruction, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_OR_EQUAL, JUMP_SET, LOAD_BYTE, LOAD_HALF,
    LOAD_WORD, RETURN,
};
use lanparty_proto::MacAddr;

/// The most remote MACs that a filter holds: five instructions each, and 19 more, in `BPF_MAXINSNS` (4096).
pub const MAX_FILTERED_MACS: usize = 800;

/// More than any frame: nothing is cut off.
const WHOLE: u32 = 0x0004_0000;

/// Where an `EtherType` is, an IPv6 header's next header, and the type of an ICMPv6 message right behind that.
const ETHER_TYPE_AT: u32 = 12;
const NEXT_HEADER_AT: u32 = 20;
const MESSAGE_TYPE_AT: u32 = 54;

const ARP: u32 = 0x0806;
const IPV6: u32 = 0x86dd;
const ICMPV6: u32 = 58;

/// Types of neighbour discovery, from router solicitation to redirect (RFC 4861, 4).
const FIRST_DISCOVERY: u32 = 133;
const LAST_DISCOVERY: u32 = 137;

/// Assembles the filter: frames to groups and to `macs` pass, and so do ARP and neighbour discovery
/// to `own`, the MAC of the interface itself. All other unicast stays in the kernel. `None` if there
/// are too many.
///
/// ARP and neighbour discovery to `own` answer the gateway's questions. The rest must not come: a
/// gateway with a single card has its whole tunnel there, and would read each of its packets twice.
///
/// The card or the kernel always takes a VLAN tag off before, so it makes no difference; the
/// virtio-net header is no part of what a filter sees. Each MAC has its own return, so no jump is
/// longer than 13.
pub(crate) fn assemble(own: MacAddr, macs: &[MacAddr]) -> Option<Vec<Instruction>> {
    if macs.len() > MAX_FILTERED_MACS {
        return None;
    }
    let mut program = vec![
        (LOAD_BYTE, 0, 0, 0),
        (JUMP_SET, 0, 1, 1),
        (RETURN, 0, 0, WHOLE),
        (LOAD_WORD, 0, 0, 0),
    ];
    let (high, low) = halves(own);
    program.extend([
        (JUMP_EQUAL, 0, 13, high),
        (LOAD_HALF, 0, 0, 4),
        (JUMP_EQUAL, 0, 10, low),
        (LOAD_HALF, 0, 0, ETHER_TYPE_AT),
        (JUMP_EQUAL, 6, 0, ARP),
        (JUMP_EQUAL, 0, 6, IPV6),
        (LOAD_BYTE, 0, 0, NEXT_HEADER_AT),
        (JUMP_EQUAL, 0, 4, ICMPV6),
        (LOAD_BYTE, 0, 0, MESSAGE_TYPE_AT),
        (JUMP_GREATER_OR_EQUAL, 0, 2, FIRST_DISCOVERY),
        (JUMP_GREATER, 1, 0, LAST_DISCOVERY),
        (RETURN, 0, 0, WHOLE),
        (RETURN, 0, 0, 0),
        (LOAD_WORD, 0, 0, 0),
    ]);
    for mac in macs {
        let (high, low) = halves(*mac);
        program.extend([
            (JUMP_EQUAL, 0, 4, high),
            (LOAD_HALF, 0, 0, 4),
            (JUMP_EQUAL, 0, 1, low),
            (RETURN, 0, 0, WHOLE),
            (LOAD_WORD, 0, 0, 0),
        ]);
    }
    program.push((RETURN, 0, 0, 0));

    Some(program)
}

/// Returns the two operands that a MAC is compared with.
fn halves(MacAddr([high @ .., low, last]): MacAddr) -> (u32, u32) {
    (
        u32::from_be_bytes(high),
        u32::from_be_bytes([0, 0, low, last]),
    )
}

/// Assembles the filter that passes everything.
pub(crate) fn pass_all() -> Vec<Instruction> {
    vec![(RETURN, 0, 0, WHOLE)]
}

#[cfg(test)]
mod tests {
    use lanparty_linux::bpf;

    use super::*;

    const OWN: MacAddr = MacAddr([2, 1, 7, 7, 8, 1]);

    fn run(program: &[Instruction], frame: &[u8]) -> u32 {
        bpf::run(program, frame).unwrap()
    }

    #[test]
    fn groups_and_remote_stations_pass_and_others_do_not() {
        let macs: Vec<_> = (0..u32::try_from(MAX_FILTERED_MACS).unwrap())
            .map(|n| {
                let [_, _, high, low] = n.to_be_bytes();
                MacAddr([2, high, 7, 7, 7, low])
            })
            .collect();
        let program = assemble(OWN, &macs).unwrap();

        assert!(program.len() <= 4096);
        for mac in macs {
            assert_eq!(run(&program, &mac.0), WHOLE, "{mac}");
        }
        assert_eq!(run(&program, &[0xff; 6]), WHOLE);
        assert_eq!(run(&program, &[0x33, 0x33, 0, 0, 0, 1]), WHOLE);
        assert_eq!(run(&program, &[2, 0, 7, 7, 8, 0]), 0);
        assert_eq!(run(&program, &[2, 9, 7, 7, 7, 0]), 0);
    }

    #[test]
    fn without_members_only_groups_pass() {
        let program = assemble(OWN, &[]).unwrap();

        assert_eq!(run(&program, &[2, 0, 0, 0, 0, 1]), 0);
        assert_eq!(run(&program, &[0xff; 6]), WHOLE);
    }

    #[test]
    fn of_what_is_for_the_interface_itself_only_whose_an_address_is_passes() {
        // A player that has the interface's MAC gets nothing by it.
        let program = assemble(OWN, &[OWN, MacAddr([2, 1, 7, 7, 8, 2])]).unwrap();
        let frame = |destination: MacAddr, kind: [u8; 2], next: u8, message: u8| {
            let mut frame = destination.0.to_vec();
            frame.extend([2, 0, 0, 0, 0, 9]);
            frame.extend(kind);
            frame.resize(78, 0);
            (frame[20], frame[54]) = (next, message);
            frame
        };
        let to_us = |kind, next, message| run(&program, &frame(OWN, kind, next, message));

        assert_eq!(to_us([0x08, 0x06], 0, 0), WHOLE);
        for message in 133..=137 {
            assert_eq!(to_us([0x86, 0xdd], 58, message), WHOLE, "{message}");
        }
        for (next, message) in [(58, 132), (58, 138), (58, 129), (17, 136), (6, 136)] {
            assert_eq!(to_us([0x86, 0xdd], next, message), 0, "{next} {message}");
        }
        assert_eq!(to_us([0x08, 0x00], 17, 136), 0);
        assert_eq!(to_us([0x88, 0xb5], 0, 0), 0);
        let near = MacAddr([2, 1, 7, 7, 8, 2]);
        assert_eq!(run(&program, &frame(near, [8, 0], 17, 0)), WHOLE);
        let far = MacAddr([2, 1, 7, 7, 8, 3]);
        assert_eq!(run(&program, &frame(far, [8, 6], 0, 0)), 0);
    }

    #[test]
    fn too_many_stations_are_no_program() {
        let many = vec![MacAddr::ZERO; MAX_FILTERED_MACS + 1];
        assert_eq!(assemble(OWN, &many), None);
        assert_eq!(run(&pass_all(), &[2, 0, 0, 0, 0, 1]), WHOLE);
    }
}
