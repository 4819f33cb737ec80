//! Address validation tokens (RFC 9000, 8.1.3): who was here lately need not prove its address again.
//!
//! A relay gives every member two with its handshake (`NEW_TOKEN` frames). They are sealed with the relay's key and name an address and a
//! time; a member shows one with its next connection, and is let in without a Retry however many unvalidated peers ask.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use quinn_proto::{TokenLog, TokenMemoryCache, TokenReuseError, TokenStore, ValidationTokenConfig};

/// How long a token is good for: until the next evening of a party of several days.
const LIFETIME: Duration = Duration::from_hours(24);

/// Tokens that a member gets with a connection, and keeps: one for the next connection, one for an attempt beside it.
const TOKENS: u16 = 2;

/// Relays whose tokens a member keeps. It knows one.
const RELAYS: u32 = 1;

/// The most used tokens that are remembered, at 32 bytes each 2 MiB: a thousand members that each come back sixty times a day.
const MAX_USED: usize = 65_536;

/// Returns where a member keeps its tokens.
pub(crate) fn store() -> Arc<dyn TokenStore> {
    Arc::new(TokenMemoryCache::new(RELAYS, TOKENS.into()))
}

/// Returns what a relay does with tokens.
pub(crate) fn config(used: &Arc<UsedTokens>) -> ValidationTokenConfig {
    let log: Arc<dyn TokenLog> = Arc::<UsedTokens>::clone(used);
    let mut config = ValidationTokenConfig::default();
    config.lifetime(LIFETIME).sent(TOKENS.into()).log(log);

    config
}

/// The tokens that were used and could be used again, for all workers of a relay.
///
/// Whoever could use one twice could have the relay send a handshake to somebody who did not ask for it (RFC 9000, 8.1.4).
#[derive(Debug, Default)]
pub(crate) struct UsedTokens(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    /// When a token was issued, and its number.
    tokens: BTreeSet<(SystemTime, u128)>,
    /// Tokens that are not newer are not taken: what was known of them is forgotten.
    forgotten: Option<SystemTime>,
}

impl Used {
    /// Takes note of a token. Returns whether it may be used.
    fn insert(&mut self, issued: SystemTime, nonce: u128, max: usize) -> bool {
        if self.forgotten.is_some_and(|until| issued <= until) {
            return false;
        }
        let is_new = self.tokens.insert((issued, nonce));
        if self.tokens.len() > max
            && let Some((oldest, _)) = self.tokens.pop_first()
        {
            self.forgotten = Some(oldest);
        }

        is_new
    }

    /// Forgets tokens that are no good any more at `now`.
    fn expire(&mut self, now: SystemTime) {
        let is_over =
            |issued: SystemTime| now.duration_since(issued).is_ok_and(|age| age > LIFETIME);
        while self
            .tokens
            .first()
            .is_some_and(|(issued, _)| is_over(*issued))
        {
            self.tokens.pop_first();
        }
    }
}

impl TokenLog for UsedTokens {
    fn check_and_insert(
        &self,
        nonce: u128,
        issued: SystemTime,
        _lifetime: Duration,
    ) -> Result<(), TokenReuseError> {
        // A thread that panicked has left nothing half done here.
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // No token from the future gets here, so it is at least this late.
        used.expire(issued);

        if used.insert(issued, nonce, MAX_USED) {
            Ok(())
        } else {
            Err(TokenReuseError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_good_for_one_connection() {
        let used = UsedTokens::default();
        let show = |nonce, issued| used.check_and_insert(nonce, issued, LIFETIME).is_ok();

        assert!(show(1, at(1000)));
        assert!(!show(1, at(1000)));
        assert!(show(2, at(1000)));
    }

    #[test]
    fn what_has_no_room_any_more_is_not_taken_again() {
        let mut used = Used::default();
        for nonce in 0..3 {
            let issued = at(1000 + u64::try_from(nonce).unwrap());
            assert!(used.insert(issued, nonce, 2));
        }

        assert_eq!(used.tokens.len(), 2);
        assert!(!used.insert(at(1000), 0, 2), "it was used");
        assert!(!used.insert(at(1000), 7, 2), "nobody knows any more");
        assert!(used.insert(at(1003), 8, 2));
    }

    #[test]
    fn used_tokens_are_forgotten_when_they_are_no_good_any_more() {
        let used = UsedTokens::default();
        let later = at(1000) + LIFETIME + Duration::from_secs(1);

        assert!(used.check_and_insert(1, at(1000), LIFETIME).is_ok());
        assert!(used.check_and_insert(2, later, LIFETIME).is_ok());

        assert_eq!(used.0.lock().unwrap().tokens.len(), 1);
    }
}
