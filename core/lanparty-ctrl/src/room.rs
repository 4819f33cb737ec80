//! Room codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The fewest characters of a room code.
pub const MIN_LEN: usize = 3;

/// The most characters of a room code: what fits a chat line and a log field.
pub const MAX_LEN: usize = 32;

/// What the members of a room agree on to find each other.
///
/// Letters A to Z, digits, `-` and `_`; lower case is read as upper case, so that a code may be told by voice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomCode(String);

impl RoomCode {
    /// Returns the code in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomCode {
    type Err = RoomCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(MIN_LEN..=MAX_LEN).contains(&text.len()) {
            return Err(RoomCodeError::Length);
        }
        if !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(RoomCodeError::Alphabet);
        }

        Ok(Self(text.to_ascii_uppercase()))
    }
}

impl TryFrom<String> for RoomCode {
    type Error = RoomCodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RoomCode> for String {
    fn from(code: RoomCode) -> Self {
        code.0
    }
}

impl fmt::Display for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no room code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomCodeError {
    /// Too few or too many characters.
    #[error("a room code has {MIN_LEN} to {MAX_LEN} characters")]
    Length,
    /// A character that no code has.
    #[error("a room code has only letters A to Z, digits, - and _")]
    Alphabet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_code_in_any_case() {
        assert_eq!("room-1_a".parse::<RoomCode>().unwrap().as_str(), "ROOM-1_A");
    }

    #[test]
    fn refuses_other_lengths_and_characters() {
        assert_eq!("ab".parse::<RoomCode>(), Err(RoomCodeError::Length));
        assert_eq!(
            "a".repeat(33).parse::<RoomCode>(),
            Err(RoomCodeError::Length)
        );
        for text in ["room 1", "röm1", "room/1", "room\n1"] {
            assert_eq!(
                text.parse::<RoomCode>(),
                Err(RoomCodeError::Alphabet),
                "{text}"
            );
        }
    }
}
