//! A member's place between starts: what takes it again after a crash.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lanparty_state::{read_private, write_private};
use serde::{Deserialize, Serialize};

use crate::program::milliseconds;

/// How many generations one start may use before it would have to write the file again: one for each connection attempt.
const GENERATIONS_PER_START: u64 = 1 << 20;

/// Tokens that may wait for the disk. A relay gives one at a join, so two of them are an age apart.
const WAITING: usize = 4;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    relay: String,
    room: String,
    generation: u64,
    token: Option<String>,
}

/// The file that remembers a place: which relay and room, the token that takes it again, and how often hello was said.
///
/// Nothing in it is worth refusing to start: without it a member that crashed waits until the relay gives its old place up.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    stored: Stored,
    token: Option<String>,
    generation: u64,
}

impl Place {
    /// Reads the place in `path` that was had in `room` of `relay`; [`Place::keep`] notes that there was one more start.
    ///
    /// A file that is damaged, or cannot be written, is a warning.
    pub fn open(path: PathBuf, relay: &str, room: &str) -> Self {
        let known = read(&path);
        let is_same = (known.relay.as_str(), known.room.as_str()) == (relay, room);
        // The wall clock makes up for a file that was lost; it alone would fail once the clock is set back.
        let generation = known.generation.saturating_add(1).max(milliseconds());

        Self {
            token: known.token.filter(|_| is_same),
            generation,
            stored: Stored {
                relay: relay.to_owned(),
                room: room.to_owned(),
                generation: generation.saturating_add(GENERATIONS_PER_START),
                token: None,
            },
            path,
        }
    }

    /// Returns what takes the place again, if there was one.
    pub fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// Returns a generation that is higher than every one of an earlier start, whatever happened to the wall clock.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    fn write(&self, token: Option<String>) {
        let stored = Stored {
            token,
            ..self.stored.clone()
        };
        let text = serde_json::to_vec_pretty(&stored).expect("strings and numbers are JSON");
        if let Err(error) = write_private(&self.path, &text) {
            tracing::warn!(
                error = describe(&error),
                "the place cannot be remembered; after a crash it takes longer to come back"
            );
        }
    }

    /// Starts a thread that writes tokens down, so that no frame waits for the disk.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread.
    pub fn keep(self) -> io::Result<PlaceKeeper> {
        let (sender, tokens) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("place".to_owned())
            .spawn(move || self.serve(&tokens))?;

        Ok(PlaceKeeper {
            tokens: sender,
            last: None,
        })
    }

    /// A disk may take many seconds to confirm a write: nothing waits for it, the first join least of all.
    fn serve(&self, tokens: &Receiver<Option<String>>) {
        self.write(self.token.clone());
        while let Ok(token) = tokens.recv() {
            self.write(token);
        }
    }
}

fn read(path: &std::path::Path) -> Stored {
    let bytes = match read_private(path) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(error = describe(&error), "the place is not remembered");
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

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Takes tokens to be written down.
#[derive(Debug)]
pub struct PlaceKeeper {
    tokens: SyncSender<Option<String>>,
    last: Option<String>,
}

impl PlaceKeeper {
    /// Takes the token that came with a welcome.
    pub(crate) fn handle_joined(&mut self, token: Option<&String>) {
        if self.last.as_ref() == token {
            return;
        }
        self.last = token.cloned();
        // A disk that is busy for so long misses one token: the next start takes longer.
        let _taken = self.tokens.try_send(self.last.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_place_is_taken_again_in_the_same_room_of_the_same_relay_alone() {
        let file = Scratch::new("again");
        let open = |relay, room| Place::open(file.0.clone(), relay, room);
        let first = open("relay.example", "ROOM1");
        assert_eq!(first.token(), None);
        first.write(Some("token".to_owned()));

        let second = open("relay.example", "ROOM1");
        assert_eq!(second.token().as_deref(), Some("token"));
        assert!(second.generation() > first.generation() + GENERATIONS_PER_START - 1);
        assert_eq!(open("relay.example", "ROOM2").token(), None);
        assert_eq!(open("relay2.example", "ROOM1").token(), None);
    }

    #[test]
    fn a_damaged_file_costs_the_token_and_nothing_else() {
        let file = Scratch::new("damaged");
        write_private(&file.0, b"{\"relay\":").unwrap();

        let place = Place::open(file.0.clone(), "relay.example", "ROOM1");

        assert_eq!(place.token(), None);
        assert!(place.generation() > 0);
        place.write(None);
        assert_eq!(read(&file.0).room, "ROOM1");
    }
}
