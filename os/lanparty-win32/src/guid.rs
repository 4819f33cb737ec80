//! Names of adapters and interfaces.

use std::fmt;
use std::str::FromStr;

use windows_sys::core::GUID;

/// A GUID, printed as the registry has it: `{4D36E972-E325-11CE-BFC1-08002BE10318}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub u128);

impl Guid {
    pub(crate) const fn to_raw(self) -> GUID {
        GUID::from_u128(self.0)
    }

    pub(crate) fn from_raw(raw: &GUID) -> Self {
        let head = u128::from(raw.data1) << 96 | u128::from(raw.data2) << 80;
        let tail = u128::from(u64::from_be_bytes(raw.data4));

        Self(head | u128::from(raw.data3) << 64 | tail)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.to_raw();
        let tail = u64::from_be_bytes(raw.data4);

        write!(
            f,
            "{{{:08X}-{:04X}-{:04X}-{:04X}-{:012X}}}",
            raw.data1,
            raw.data2,
            raw.data3,
            tail >> 48,
            tail & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a GUID looks like {{01234567-89AB-CDEF-0123-456789ABCDEF}}")]
pub struct ParseGuidError;

impl FromStr for Guid {
    type Err = ParseGuidError;

    /// Reads a GUID with or without braces, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(text);
        let lengths = inner.split('-').map(str::len);
        let digits: String = inner.split('-').collect();
        if !lengths.eq([8, 4, 4, 4, 12]) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseGuidError);
        }

        u128::from_str_radix(&digits, 16)
            .map(Self)
            .map_err(|_source| ParseGuidError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{4D36E972-E325-11CE-BFC1-08002BE10318}";

    #[test]
    fn reads_what_it_prints() {
        let guid: Guid = TEXT.parse().unwrap();

        assert_eq!(guid.to_string(), TEXT);
        assert_eq!(TEXT.trim_matches(['{', '}']).parse(), Ok(guid));
        assert_eq!(TEXT.to_lowercase().parse(), Ok(guid));
        assert_eq!(Guid::from_raw(&guid.to_raw()), guid);
    }

    #[test]
    fn refuses_texts_that_only_resemble_a_guid() {
        for text in [
            "",
            "{",
            "4D36E972",
            "{+D36E972-E325-11CE-BFC1-08002BE10318}",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(ParseGuidError), "{text}");
        }
    }
}
