//! What the relay tells a gateway of frames that are not their sender's own.

use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Serialize};

use super::ValidationError;
use super::json::{peer_number, station_mac};
use super::valid::check_peer;

/// A client's frame with another machine's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignSource {
    /// The client's id.
    #[serde(with = "peer_number")]
    pub peer: PeerId,
    /// The source.
    #[serde(with = "station_mac")]
    pub mac: MacAddr,
}

impl ForeignSource {
    pub(super) fn validate(self) -> Result<(), ValidationError> {
        check_peer(self.peer)?;
        if !self.mac.is_valid_source() {
            return Err(ValidationError::BadMac);
        }

        Ok(())
    }
}
