//! A client's identity between starts: its tunnel MAC.

use std::path::{Path, PathBuf};

use lanparty_proto::MacAddr;
use lanparty_state::{StateError, read_private, write_private};
use serde::{Deserialize, Serialize};

/// The file's name in the state directory.
pub const FILE_NAME: &str = "lanparty-client-identity.json";

#[derive(Serialize, Deserialize)]
struct Stored {
    mac: String,
}

/// Returns the tunnel MAC that is kept in `path`, or makes one and writes it there; `given` goes before it for this start alone.
///
/// # Errors
///
/// Returns an error if the file is damaged or readable by others, or if a new one cannot be written.
pub fn load(path: &Path, given: Option<MacAddr>) -> Result<MacAddr, IdentityError> {
    let kept = match read_private(path)? {
        Some(bytes) => parse(path, &bytes)?,
        None => make(path)?,
    };

    Ok(given.unwrap_or(kept))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<MacAddr, IdentityError> {
    let damaged = || IdentityError::Damaged(path.to_path_buf());
    let stored: Stored = serde_json::from_slice(bytes).map_err(|_syntax| damaged())?;
    let mac: MacAddr = stored.mac.parse().map_err(|_no_mac| damaged())?;
    mac.check_identity().map_err(|_no_identity| damaged())?;

    Ok(mac)
}

fn make(path: &Path) -> Result<MacAddr, IdentityError> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(IdentityError::Random)?;
    let mac = MacAddr(bytes).into_identity();
    let stored = Stored {
        mac: mac.to_string(),
    };
    let text = serde_json::to_vec_pretty(&stored).map_err(IdentityError::Encode)?;
    write_private(path, &text)?;

    Ok(mac)
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
    fn an_identity_lives_on() {
        let path = scratch("lives");
        let load = |given| load(&path, given).unwrap();
        let first = load(None);
        let other = MacAddr([2, 0, 0, 0, 0, 9]);
        let overridden = load(Some(other));
        let third = load(None);
        std::fs::remove_file(&path).unwrap();

        assert_eq!(first.check_identity(), Ok(()));
        assert_eq!(overridden, other);
        assert_eq!(first, third);
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_overwritten() {
        let path = scratch("damaged");
        write_private(&path, b"{\"mac\":\"01:").unwrap();

        let error = load(&path, None).unwrap_err();
        let kept = read_private(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();

        assert!(matches!(error, IdentityError::Damaged(_)));
        assert_eq!(kept, b"{\"mac\":\"01:");
    }
}
