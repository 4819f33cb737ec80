//! Rewriting towards the player.

use lanparty_proto::player::options::STRIPPED_DHCP;
use lanparty_proto::player::{PlayerPolicy, Rewrite, rewrite};
use lanparty_proto::{ChecksumState, Frame};

/// Where the DHCP options start in an untagged frame without IPv4 options.
const DHCP_OPTIONS: usize = 14 + 20 + 8 + 240;

/// Rewriting towards the player: no panic, cleaning twice is cleaning once, nothing listed is left.
pub fn player(bytes: &[u8]) {
    let mut once = bytes.to_vec();
    let verdict = rewrite(PlayerPolicy::default(), &mut once, ChecksumState::Complete);
    assert_eq!(once.len(), bytes.len());
    if verdict == Ok(Rewrite::Untouched) {
        assert_eq!(once, bytes);
    }
    if verdict != Ok(Rewrite::Cleaned) {
        return;
    }

    assert!(Frame::parse(&once).is_ok());
    let mut twice = once.clone();
    let again = rewrite(PlayerPolicy::default(), &mut twice, ChecksumState::Complete);
    assert_eq!((again, &twice), (verdict, &once));
    if once.get(12..15) == Some(&[0x08, 0x00, 0x45]) {
        let total = u16::from_be_bytes([once[16], once[17]]);
        check_options(&once[DHCP_OPTIONS..14 + usize::from(total)]);
    }
}

/// Walks the options like a client.
fn check_options(mut options: &[u8]) {
    while let [code, rest @ ..] = options {
        match code {
            0 => options = rest,
            255 => return,
            _ => {
                assert!(!STRIPPED_DHCP.contains(code), "option {code} is left");
                let [len, data @ ..] = rest else {
                    panic!("option {code} has no length");
                };
                options = &data[usize::from(*len)..];
            }
        }
    }
}
