//! The kernel's filter, in classic BPF (`linux/filter.h`).

use lanparty_linux::bpf::{
    Instruction, JUMP_EQUAL, JUMP_SET, LOAD_BYTE, LOAD_HALF, LOAD_WORD, RETURN,
};
use lanparty_proto::MacAddr;

/// The most remote MACs that a filter holds: five instructions each, and seven more, in `BPF_MAXINSNS` (4096).
pub const MAX_FILTERED_MACS: usize = 800;

/// More than any frame: nothing is cut off.
const WHOLE: u32 = 0x0004_0000;

/// Assembles the filter: frames to groups and to `macs` pass, all other unicast stays in the kernel. `None` if there are too
/// many.
///
/// The destination is looked at and nothing behind it, so a VLAN tag that the card took off makes no difference; the
/// virtio-net header is no part of what a filter sees. Each MAC has its own return, so no jump is longer than four.
pub(crate) fn assemble(macs: &[MacAddr]) -> Option<Vec<Instruction>> {
    if macs.len() > MAX_FILTERED_MACS {
        return None;
    }
    let mut program = vec![
        (LOAD_BYTE, 0, 0, 0),
        (JUMP_SET, 0, 1, 1),
        (RETURN, 0, 0, WHOLE),
        (LOAD_WORD, 0, 0, 0),
    ];
    for MacAddr([a, b, c, d, e, f]) in macs {
        program.extend([
            (JUMP_EQUAL, 0, 4, u32::from_be_bytes([*a, *b, *c, *d])),
            (LOAD_HALF, 0, 0, 4),
            (JUMP_EQUAL, 0, 1, u32::from_be_bytes([0, 0, *e, *f])),
            (RETURN, 0, 0, WHOLE),
            (LOAD_WORD, 0, 0, 0),
        ]);
    }
    program.push((RETURN, 0, 0, 0));

    Some(program)
}

/// Assembles the filter that passes everything.
pub(crate) fn pass_all() -> Vec<Instruction> {
    vec![(RETURN, 0, 0, WHOLE)]
}

#[cfg(test)]
mod tests {
    use lanparty_linux::bpf;

    use super::*;

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
        let program = assemble(&macs).unwrap();

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
        let program = assemble(&[]).unwrap();

        assert_eq!(run(&program, &[2, 0, 0, 0, 0, 1]), 0);
        assert_eq!(run(&program, &[0xff; 6]), WHOLE);
    }

    #[test]
    fn too_many_stations_are_no_program() {
        assert_eq!(assemble(&vec![MacAddr::ZERO; MAX_FILTERED_MACS + 1]), None);
        assert_eq!(run(&pass_all(), &[2, 0, 0, 0, 0, 1]), WHOLE);
    }
}
