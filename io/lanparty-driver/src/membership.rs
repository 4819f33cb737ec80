//! A membership between starts: what resumes it after a crash.

use std::path::PathBuf;

use lanparty_program::chain;
use lanparty_state::read_private;
use serde::{Deserialize, Serialize};

use crate::program::milliseconds;
use crate::writer::{FileWriter, Writer};

/// How many generations one start may use, one for each connection attempt, where the clock does not tell starts apart.
const GENERATIONS_PER_START: u64 = 1 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    relay: String,
    room: String,
    generation: u64,
    token: Option<String>,
}

/// The file that remembers a membership: which relay and room, the token that resumes it, and how often hello was said.
///
/// Nothing in it is worth refusing to start: without it a member that crashed waits until the relay gives its old membership up.
#[derive(Debug)]
pub struct SavedMembership {
    path: PathBuf,
    stored: Stored,
    token: Option<String>,
    generation: u64,
}

impl SavedMembership {
    /// Reads the membership in `path` that was had in `room` of `relay`; [`SavedMembership::keep`] notes that there was one more start.
    ///
    /// A file that is damaged, or cannot be written, is a warning.
    pub fn open(path: PathBuf, relay: &str, room: &str) -> Self {
        let known = read(&path);
        let is_same = (known.relay.as_str(), known.room.as_str()) == (relay, room);
        let generation = generation_after(known.generation, milliseconds());

        Self {
            token: known.token.filter(|_| is_same),
            generation,
            stored: Stored {
                relay: relay.to_owned(),
                room: room.to_owned(),
                generation,
                token: None,
            },
            path,
        }
    }

    /// Takes over the membership of a process that still has it.
    #[must_use]
    pub fn inherit(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// Returns the token that resumes the membership, if there was one.
    pub fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// Returns a generation that is higher than every one of an earlier start, whatever happened to the wall clock.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Notes that there was one more start, and has `writer` keep the membership. No start waits for the disk.
    pub fn keep(self, writer: &Writer) -> MembershipStore {
        let store = MembershipStore {
            file: writer.file(
                self.path,
                "the membership cannot be remembered; after a crash it takes longer to come back",
            ),
            stored: self.stored,
            last: self.token,
        };
        store.write();

        store
    }
}

/// Returns the first generation of a start at `clock`, in milliseconds since 1970, after a start that began with `known`.
///
/// Attempts are further apart than the milliseconds that they are counted with, so the clock is ahead of whatever an earlier start used,
/// also of one that was killed before it was written down. Where the clock was set back, the file decides: only a start that was killed
/// while the disk was at it, and before that the clock set back, costs its successor one `superseded`, and by then the file has it.
const fn generation_after(known: u64, clock: u64) -> u64 {
    if clock > known {
        clock
    } else {
        known.saturating_add(GENERATIONS_PER_START)
    }
}

fn read(path: &std::path::Path) -> Stored {
    let bytes = match read_private(path) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(error = chain(&error), "the membership is not remembered");
            return Stored::default();
        }
    };
    if bytes.is_empty() {
        return Stored::default();
    }

    serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "the file is damaged and written anew");
        Stored::default()
    })
}

/// Takes tokens to be written down.
#[derive(Debug)]
pub struct MembershipStore {
    file: FileWriter,
    stored: Stored,
    last: Option<String>,
}

impl MembershipStore {
    /// Takes the token that came with a welcome.
    pub(crate) fn handle_joined(&mut self, token: Option<&String>) {
        if self.last.as_ref() == token {
            return;
        }
        self.last = token.cloned();
        self.write();
    }

    fn text(&self) -> Vec<u8> {
        let stored = Stored {
            token: self.last.clone(),
            ..self.stored.clone()
        };

        serde_json::to_vec_pretty(&stored).expect("strings and numbers are JSON")
    }

    fn write(&self) {
        self.file.write(self.text());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use lanparty_state::write_private;

    /// A file that is gone when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let file = format!("lanparty-place-{name}-{}.json", std::process::id());

            Self(std::env::temp_dir().join(file))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // A test that failed early has made none.
            let _absent = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_membership_is_resumed_in_the_same_room_of_the_same_relay_alone() {
        let file = Scratch::new("again");
        let open = |relay, room| SavedMembership::open(file.0.clone(), relay, room);
        let first = open("relay.example", "ROOM1");
        assert_eq!(first.token(), None);
        let generation = first.generation();
        let writer = Writer::start().unwrap();
        first.keep(&writer).handle_joined(Some(&"token".to_owned()));
        drop(writer);

        let second = open("relay.example", "ROOM1");
        assert_eq!(second.token().as_deref(), Some("token"));
        assert!(second.generation() > generation);
        assert_eq!(open("relay.example", "ROOM2").token(), None);
        assert_eq!(open("relay2.example", "ROOM1").token(), None);
    }

    #[test]
    fn generations_grow_when_the_clock_is_set_back_and_when_a_start_was_not_written_down() {
        let (morning, noon) = (8_000_000, 12_000_000);
        let first = generation_after(0, noon);
        assert_eq!(first, noon);
        // Ten starts, each killed before the disk had it.
        for later in 1..10 {
            assert_eq!(generation_after(first, noon + later), first + later);
        }
        let back = generation_after(first, morning);
        assert_eq!(back, first + GENERATIONS_PER_START);
        assert!(generation_after(back, noon) > back);
    }

    #[test]
    fn a_damaged_file_costs_the_token_and_nothing_else() {
        let file = Scratch::new("damaged");
        write_private(&file.0, b"{\"relay\":").unwrap();

        let membership = SavedMembership::open(file.0.clone(), "relay.example", "ROOM1");

        assert_eq!(membership.token(), None);
        assert!(membership.generation() > 0);
        let writer = Writer::start().unwrap();
        drop(membership.keep(&writer));
        drop(writer);
        assert_eq!(read(&file.0).room, "ROOM1");
    }
}
