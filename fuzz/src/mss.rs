//! MSS clamping.

use lanparty_offload::mss::clamp;
use lanparty_proto::ChecksumState;

/// Clamps any bytes.
///
/// # Panics
///
/// Panics if more than the option and the checksum change, or if there is something left to clamp.
pub fn mss(bytes: &[u8]) {
    for (checksum, most) in [(ChecksumState::Complete, 4), (ChecksumState::Partial, 2)] {
        let mut frame = bytes.to_vec();
        let clamped = clamp(&mut frame, 1300, checksum);
        let changed = frame.iter().zip(bytes).filter(|(a, b)| a != b).count();
        assert!(changed <= most, "{changed} bytes changed");
        assert_eq!(clamped, changed > 0);
        assert!(!clamp(&mut frame, 1300, checksum), "clamped twice");
    }
}
