//! Connection ids that name a relay worker and prove that this relay made them (`docs/protocol.md`, clause 1.4).
//!
//! ```text
//!  0        1                           6          8
//!  +--------+---------------------------+----------+
//!  | worker | nonce                     | tag      |
//!  +--------+---------------------------+----------+
//! ```
//!
//! The nonce is random, and as long as it can be: the library makes sure that no two connections have the same id, but not that the id which
//! it gives with a Retry is not some connection's already. The packets of whoever gets such a one go to that connection, and its handshake
//! never ends. A worker with 10,000 connections of six ids each gives one of theirs once in 18 million times; with the 3 bytes that this
//! nonce once had it was once in 280.
//!
//! The tag is HMAC-SHA-256 over worker and nonce, cut to 2 bytes. With the key kept on disk a restarted relay knows ids of its earlier
//! run for its own and answers them with a stateless reset (RFC 9000, 10.3), so members learn of the restart in one round trip. Of invented
//! ids it takes one in 65,536 for its own; what that brings is smaller than the packet, and ends no connection.

use std::time::Duration;

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Bytes of a relay's connection ids.
pub(crate) const CID_LEN: usize = 8;

/// Bytes of worker and nonce.
const SIGNED_LEN: usize = 6;

/// Makes and checks the connection ids of one worker.
pub(crate) struct WorkerCids {
    worker: u8,
    key: hmac::Key,
    random: SystemRandom,
}

impl WorkerCids {
    pub(crate) fn new(worker: u8, key: &[u8; 32]) -> Self {
        Self {
            worker,
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            random: SystemRandom::new(),
        }
    }

    fn tag(&self, signed: &[u8]) -> [u8; CID_LEN - SIGNED_LEN] {
        let full = hmac::sign(&self.key, signed);

        full.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl ConnectionIdGenerator for WorkerCids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut signed = [0; SIGNED_LEN];
        self.random
            .fill(&mut signed)
            .expect("the system gives random numbers, or TLS would not work either");
        signed[0] = self.worker;
        let tag = self.tag(&signed);

        ConnectionId::new(&[&signed[..], &tag[..]].concat())
    }

    fn validate(&self, cid: &ConnectionId) -> Result<(), InvalidCid> {
        let Some((signed, tag)) = cid.split_first_chunk::<SIGNED_LEN>() else {
            return Err(InvalidCid);
        };

        if self.tag(signed) == tag {
            Ok(())
        } else {
            Err(InvalidCid)
        }
    }

    fn cid_len(&self) -> usize {
        CID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_worker_and_is_known_after_a_restart() {
        let cid = WorkerCids::new(3, &[7; 32]).generate_cid();

        assert_eq!(cid.first(), Some(&3));
        assert!(WorkerCids::new(0, &[7; 32]).validate(&cid).is_ok());
    }

    #[test]
    fn tens_of_thousands_of_ids_are_all_different() {
        let mut cids = WorkerCids::new(3, &[7; 32]);
        let ids: std::collections::BTreeSet<Vec<u8>> =
            (0..30_000).map(|_| cids.generate_cid().to_vec()).collect();

        // One pair of equals is less likely than one in two thousand, and a second than one in ten million.
        assert!(ids.len() >= 29_999, "{}", ids.len());
    }

    #[test]
    fn ids_of_another_relay_and_invented_ones_are_not_ours() {
        let cid = WorkerCids::new(3, &[7; 32]).generate_cid();

        assert!(WorkerCids::new(3, &[8; 32]).validate(&cid).is_err());
        assert!(
            WorkerCids::new(3, &[7; 32])
                .validate(&ConnectionId::new(&[0; 8]))
                .is_err()
        );
        assert!(
            WorkerCids::new(3, &[7; 32])
                .validate(&ConnectionId::new(&[]))
                .is_err()
        );
    }
}
