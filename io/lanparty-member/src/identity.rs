//! A client's identity between starts: its tunnel MAC, and how often it connected.

use std::path::{Path, PathBuf};

use lanparty_proto::MacAddr;
use lanparty_state::{StateError, read_private, write_private};
use serde::{Deserialize, Serialize};

use crate::writer::Writer;

/// The file's name in the state directory.
pub const FILE_NAME: &str = "lanparty-client-identity.json";

/// What is kept of a client between its starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The tunnel MAC.
    pub mac: MacAddr,
    /// Higher than every generation that an earlier start used.
    pub generation: u64,
}

/// How many generations one start may use before it would have to write the file again: one for each connection attempt.
const GENERATIONS_PER_START: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Stored {
    mac: String,
    #[serde(default)]
    generation: u64,
}

impl Identity {
    /// Loads the identity in `path`, or makes one; `mac` overrides the MAC for this start alone.
    ///
    /// One that is new is on the disk when this returns; what changes of a known one is given to `writer`: the identity is known, and
    /// a full disk keeps nobody from the party.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is damaged or readable by others, or if a new one cannot be written.
    pub fn load(path: &Path, mac: Option<MacAddr>, writer: &Writer) -> Result<Self, IdentityError> {
        let stored = read_private(path)?
            .map(|bytes| parse(path, &bytes))
            .transpose()?;
        let is_known = stored.is_some();
        let known = match stored {
            Some(known) => known,
            None => Self {
                mac: random_mac()?,
                generation: 0,
            },
        };
        let next = Stored {
            mac: known.mac.to_string(),
            generation: known.generation.saturating_add(GENERATIONS_PER_START),
        };
        let text = serde_json::to_vec_pretty(&next).map_err(IdentityError::Encode)?;
        if is_known {
            let loss = "the identity stays as it was";
            writer.pen().write(path.to_path_buf(), text, loss);
        } else {
            write_private(path, &text)?;
        }

        Ok(Self {
            mac: mac.unwrap_or(known.mac),
            generation: known.generation.saturating_add(1),
        })
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Identity, IdentityError> {
    let damaged = || IdentityError::Damaged(path.to_path_buf());
    let stored: Stored = serde_json::from_slice(bytes).map_err(|_syntax| damaged())?;
    let mac: MacAddr = stored.mac.parse().map_err(|_no_mac| damaged())?;
    mac.check_identity().map_err(|_no_identity| damaged())?;

    Ok(Identity {
        mac,
        generation: stored.generation,
    })
}

fn random_mac() -> Result<MacAddr, IdentityError> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(IdentityError::Random)?;

    Ok(MacAddr(bytes).into_identity())
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file does not hold an identity.
    #[error("{} is damaged; delete it to get a new tunnel MAC address, or restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// The identity cannot be written as text.
    #[error("cannot write the identity as text")]
    Encode(#[source] serde_json::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!(
            "lanparty-identity-{name}-{}.json",
            std::process::id()
        ))
    }

    #[test]
    fn an_identity_lives_on_and_its_generation_grows() {
        let path = scratch("grows");
        // Each start ends, and what it gave to its writer is written then.
        let load = |mac| Identity::load(&path, mac, &Writer::start().unwrap()).unwrap();
        let first = load(None);
        let second = load(None);
        let other = MacAddr([2, 0, 0, 0, 0, 9]);
        let overridden = load(Some(other));
        let third = load(None);
        std::fs::remove_file(&path).unwrap();

        assert_eq!(first.mac.check_identity(), Ok(()));
        assert_eq!((first.mac, second.mac), (second.mac, third.mac));
        assert!(first.generation + GENERATIONS_PER_START <= second.generation);
        assert_eq!(overridden.mac, other);
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_overwritten() {
        let path = scratch("damaged");
        write_private(&path, b"{\"mac\":\"01:").unwrap();

        let error = Identity::load(&path, None, &Writer::start().unwrap()).unwrap_err();
        let kept = read_private(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();

        assert!(matches!(error, IdentityError::Damaged(_)));
        assert_eq!(kept, b"{\"mac\":\"01:");
    }
}
