//! MAC addresses, as identities and as bytes.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A 48-bit MAC address (IEEE 802-2014, 8.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

/// In the order of their bytes, compared as one number: tables are searched by them for every frame.
impl Ord for MacAddr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_number().cmp(&other.to_number())
    }
}

impl PartialOrd for MacAddr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl MacAddr {
    /// The broadcast address, `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// All zeros, which is nobody's address.
    pub const ZERO: Self = Self([0; 6]);

    const fn to_number(self) -> u64 {
        let [o0, o1, o2, o3, o4, o5] = self.0;

        u64::from_be_bytes([0, 0, o0, o1, o2, o3, o4, o5])
    }

    /// Returns whether this is a group (multicast or broadcast) address: the I/G bit.
    pub const fn is_group(self) -> bool {
        self.0[0] & 0x01 != 0
    }

    /// Returns whether every byte is zero.
    pub const fn is_zero(self) -> bool {
        matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Returns whether this address was assigned locally and not by a vendor: the U/L bit.
    pub const fn is_local(self) -> bool {
        self.0[0] & 0x02 != 0
    }

    /// Returns whether a station may send with this source: not a group, not zero.
    pub const fn is_valid_source(self) -> bool {
        !self.is_group() && !self.is_zero()
    }

    /// Makes a valid client identity of any six bytes, by setting the U/L bit and clearing the I/G bit.
    #[must_use]
    pub const fn into_identity(self) -> Self {
        let mut bytes = self.0;
        bytes[0] = (bytes[0] | 0x02) & !0x01;

        Self(bytes)
    }

    /// Checks that this can be a client's identity.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is zero, a group address, or not locally administered.
    pub const fn check_identity(self) -> Result<(), IdentityError> {
        if self.is_zero() {
            return Err(IdentityError::Zero);
        }
        if self.is_group() {
            return Err(IdentityError::Group);
        }
        if !self.is_local() {
            return Err(IdentityError::Universal);
        }

        Ok(())
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;

        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a MAC address is six pairs of hexadecimal digits, like 02:1a:2b:3c:4d:5e")]
pub struct ParseMacError;

impl FromStr for MacAddr {
    type Err = ParseMacError;

    /// Reads `02:1a:2b:3c:4d:5e` or `02-1A-2B-3C-4D-5E`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or(ParseMacError)?;
            let two_digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16)
                .ok()
                .filter(|_| two_digits)
                .ok_or(ParseMacError)?;
        }
        if parts.next().is_some() {
            return Err(ParseMacError);
        }

        Ok(Self(bytes))
    }
}

/// Why an address cannot be a client's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Six zero bytes.
    #[error("the MAC address is zero; leave it out to have one generated")]
    Zero,
    /// The I/G bit is set.
    #[error("the MAC address is a multicast address; a station needs one whose first byte is even")]
    Group,
    /// The U/L bit is not set.
    #[error(
        "the MAC address belongs to a vendor; use a locally administered one, whose first byte ends in 2, 6, a or e"
    )]
    Universal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        let mac = MacAddr([0x02, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e]);

        assert_eq!(mac.to_string(), "02:1a:2b:3c:4d:5e");
        assert_eq!("02-1A-2B-3C-4D-5E".parse(), Ok(mac));
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn is_ordered_as_its_bytes_are() {
        let first = MacAddr([0x02, 0xff, 0xff, 0xff, 0xff, 0xff]);
        for at in 0..6 {
            let mut bytes = first.0;
            bytes[at] = bytes[at].wrapping_add(1);
            assert_eq!(
                first.cmp(&MacAddr(bytes)),
                first.0.cmp(&bytes),
                "{bytes:x?}"
            );
        }
        assert_eq!(first.cmp(&first), Ordering::Equal);
    }

    #[test]
    fn refuses_texts_that_only_resemble_an_address() {
        for text in [
            "",
            "02:1a:2b:3c:4d",
            "02:1a:2b:3c:4d:5e:6f",
            "+2:1a:2b:3c:4d:5e",
            "2:1a:2b:3c:4d:5e",
            "02:1a-2b:3c:4d:5e",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError), "{text}");
        }
    }

    #[test]
    fn an_identity_is_local_unicast_and_not_zero() {
        assert_eq!(MacAddr([2, 0, 0, 0, 0, 1]).check_identity(), Ok(()));
        assert_eq!(MacAddr::ZERO.check_identity(), Err(IdentityError::Zero));
        assert_eq!(
            MacAddr::BROADCAST.check_identity(),
            Err(IdentityError::Group)
        );
        assert_eq!(
            MacAddr([0, 1, 2, 3, 4, 5]).check_identity(),
            Err(IdentityError::Universal)
        );
        assert_eq!(MacAddr([0xff; 6]).into_identity().check_identity(), Ok(()));
        assert_eq!(MacAddr::ZERO.into_identity().check_identity(), Ok(()));
    }
}
