//! Rates as people write them: `38mbit/95mbit`, `off`, `auto`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A rate in bit/s, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(u64);

impl BitRate {
    /// Below 8 kbit/s one full datagram takes over a second and nothing here works: 8 kbit/s.
    pub const MIN: Self = Self(8_000);
    /// Beyond any line we will see, and small enough that no product in this crate overflows: 1 Tbit/s.
    pub const MAX: Self = Self(1_000_000_000_000);

    /// The rate of `bits` per second, if it lies within [`Self::MIN`] and [`Self::MAX`].
    pub fn from_bits_per_second(bits: u64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&bits)
            .then_some(Self(bits))
    }

    /// As [`Self::from_bits_per_second`], for constants.
    pub(crate) const fn constant(bits: u64) -> Option<Self> {
        if Self::MIN.0 <= bits && bits <= Self::MAX.0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The nearest rate within the bounds.
    pub fn clamped(bits: u64) -> Self {
        Self(bits.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// In bit/s.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// How long `bytes` take at this rate.
    pub fn time_for(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 8_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many bytes pass in `time`.
    pub fn bytes_in(self, time: Duration) -> u64 {
        let bytes = u128::from(self.0) * time.as_nanos() / 8_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Units by falling size, with the bits they stand for.
const UNITS: [(&str, u64); 3] = [
    ("gbit", 1_000_000_000),
    ("mbit", 1_000_000),
    ("kbit", 1_000),
];

impl fmt::Display for BitRate {
    /// The shortest exact form: `38mbit`, `2.5gbit`, `1000001bit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in UNITS {
            let (whole, rest) = (self.0 / size, self.0 % size);
            if whole == 0 {
                continue;
            }
            let milli = rest / (size / 1000);
            if rest % (size / 1000) == 0 {
                return if milli == 0 {
                    write!(f, "{whole}{unit}")
                } else {
                    write!(
                        f,
                        "{whole}.{}{unit}",
                        format!("{milli:03}").trim_end_matches('0')
                    )
                };
            }
        }
        write!(f, "{}bit", self.0)
    }
}

/// Why a text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRateError {
    /// Neither `auto`, `off` nor two rates.
    #[error("expected auto, off, or UP/DOWN such as 38mbit/95mbit")]
    Form,
    /// The number or its unit cannot be read.
    #[error("{0:?} is not a rate such as 38mbit, 2.5gbit, 800kbit or 500000")]
    Number(String),
    /// Readable, but outside [`BitRate::MIN`] and [`BitRate::MAX`].
    #[error("{0:?} is outside 8kbit to 1000gbit")]
    Range(String),
}

impl FromStr for BitRate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let lower = text.trim().to_ascii_lowercase();
        let bad = || ParseRateError::Number(text.trim().to_owned());
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, size)| lower.strip_suffix(name).map(|number| (number, *size)))
            .unwrap_or_else(|| (lower.strip_suffix("bit").unwrap_or(&lower), 1));
        let number = number.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        // Nine places are all that a gigabit has bits for.
        if !digits(whole)
            || !(fraction.is_empty() || digits(fraction))
            || fraction.len() > 9
            || number.ends_with('.')
        {
            return Err(bad());
        }
        let out = || ParseRateError::Range(text.trim().to_owned());
        let whole: u64 = whole.parse().ok().ok_or_else(out)?;
        let places = u32::try_from(fraction.len()).ok().ok_or_else(bad)?;
        let part: u64 = if fraction.is_empty() {
            0
        } else {
            fraction.parse().ok().ok_or_else(bad)?
        };
        let part = u128::from(part) * u128::from(unit) / u128::from(10_u64.pow(places));
        let bits = u128::from(whole) * u128::from(unit) + part;
        u64::try_from(bits)
            .ok()
            .and_then(Self::from_bits_per_second)
            .ok_or_else(out)
    }
}

/// How sending is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaceSetting {
    /// The rate controller finds out.
    #[default]
    Auto,
    /// No pacing, only the cap on bytes in flight: a LAN or a data centre.
    Off,
    /// The line's rates, as users of SQM know them.
    Fixed {
        /// From the member towards the relay.
        up: BitRate,
        /// From the relay towards the member.
        down: BitRate,
    },
}

impl fmt::Display for PaceSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Fixed { up, down } => write!(f, "{up}/{down}"),
        }
    }
}

impl FromStr for PaceSetting {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let (up, down) = text.split_once('/').ok_or(ParseRateError::Form)?;
        Ok(Self::Fixed {
            up: up.parse()?,
            down: down.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, bits) in [
            ("38mbit", 38_000_000),
            ("2.5gbit", 2_500_000_000),
            ("800kbit", 800_000),
            ("500000", 500_000),
            ("0.5Mbit", 500_000),
            ("1000001bit", 1_000_001),
        ] {
            assert_eq!(
                text.parse::<BitRate>().unwrap().bits_per_second(),
                bits,
                "{text}"
            );
        }
        for text in [
            "", "mbit", "-3mbit", "1..2mbit", "3.mbit", "1e6", "5 parsec", "0", "7kbit", "2000gbit",
        ] {
            assert!(text.parse::<BitRate>().is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_read_and_printed() {
        for text in ["auto", "off", "38mbit/95mbit", "800kbit/2.5gbit"] {
            assert_eq!(text.parse::<PaceSetting>().unwrap().to_string(), text);
        }
        assert_eq!("38mbit".parse::<PaceSetting>(), Err(ParseRateError::Form));
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(bits in BitRate::MIN.0..=BitRate::MAX.0) {
            let rate = BitRate(bits);
            prop_assert_eq!(rate.to_string().parse::<BitRate>().unwrap(), rate);
        }
    }
}
