//! What has to be undone, kept where a crash does not reach it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Step;

/// Most steps that a journal holds.
///
/// A run takes about ten (a route for each relay address, two interfaces, two routes, a category), and one more for each change of
/// the system's that was answered with a different one of ours. The bound keeps two programs that fight over a setting from filling
/// the disk.
const MAX_STEPS: usize = 256;

/// The version of the file's format.
const VERSION: u32 = 1;

/// Steps that were taken, or were about to be, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    steps: Vec<Step>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            version: VERSION,
            steps: Vec::new(),
        }
    }
}

impl Journal {
    /// Returns the steps, the oldest first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns whether nothing has to be undone.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Writes a step down. One that is there already needs no second line: undoing it once undoes it.
    ///
    /// Returns whether it is new.
    ///
    /// # Errors
    ///
    /// Returns an error if the journal is full.
    pub(crate) fn push(&mut self, step: &Step) -> Result<bool, JournalError> {
        if self.steps.contains(step) {
            return Ok(false);
        }
        if self.steps.len() >= MAX_STEPS {
            return Err(JournalError::Full);
        }
        self.steps.push(step.clone());

        Ok(true)
    }

    pub(crate) fn remove(&mut self, step: &Step) {
        self.steps.retain(|kept| kept != step);
    }
}

/// Why a journal cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no room for another step.
    #[error("the undo journal is full; another program keeps changing the same settings")]
    Full,
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Where a journal is kept.
pub trait JournalStore {
    /// Reads the journal; an empty one if none was kept.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read.
    fn load(&mut self) -> Result<Journal, JournalError>;

    /// Keeps the journal. After this returns, no crash can take it away.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written; what was kept before is still there then.
    fn save(&mut self, journal: &Journal) -> Result<(), JournalError>;
}

/// A journal in a file, replaced as a whole.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// Names the file. Its directory is made when it is needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);

        PathBuf::from(name)
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let new = self.beside(".new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);

        fs::rename(&new, &self.path)
    }
}

impl JournalStore for FileStore {
    /// Reads the file. One that is no journal of ours is put aside as `….broken`, for a person to look at, and counts as empty.
    fn load(&mut self) -> Result<Journal, JournalError> {
        let read = |source| JournalError::Read {
            path: self.path.clone(),
            source,
        };
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Journal::default()),
            Err(error) => return Err(read(error)),
        };
        if let Ok(journal) = serde_json::from_slice::<Journal>(&bytes)
            && journal.version == VERSION
        {
            return Ok(journal);
        }
        fs::rename(&self.path, self.beside(".broken")).map_err(read)?;

        Ok(Journal::default())
    }

    fn save(&mut self, journal: &Journal) -> Result<(), JournalError> {
        let result = if journal.is_empty() {
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            }
        } else {
            serde_json::to_vec_pretty(journal)
                .map_err(io::Error::from)
                .and_then(|bytes| self.replace(&bytes))
        };

        result.map_err(|source| JournalError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::{AdapterId, Category};

    fn step(adapter: &str) -> Step {
        Step::SetCategory {
            adapter: AdapterId(adapter.into()),
            from: Category::Public,
            to: Category::Private,
        }
    }

    fn place(name: &str) -> FileStore {
        let directory =
            std::env::temp_dir().join(format!("softlan-journal-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&directory));

        FileStore::new(directory.join("deeper").join("undo.json"))
    }

    #[test]
    fn a_journal_comes_back_as_it_was_kept_and_leaves_nothing_when_it_is_empty() {
        let mut store = place("kept");
        let mut journal = Journal::default();
        assert!(journal.push(&step("a")).unwrap());
        assert!(!journal.push(&step("a")).unwrap());
        assert!(journal.push(&step("b")).unwrap());
        store.save(&journal).unwrap();
        assert_eq!(store.load().unwrap(), journal);

        journal.remove(&step("a"));
        journal.remove(&step("b"));
        store.save(&journal).unwrap();
        store.save(&journal).unwrap();
        assert!(!store.path().exists());
        assert!(store.load().unwrap().is_empty());
        fs::remove_dir_all(store.path().ancestors().nth(2).unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_journal_is_put_aside() {
        let mut store = place("broken");
        store
            .replace(b"{\"version\":1,\"steps\":[{\"Format")
            .unwrap();

        assert!(store.load().unwrap().is_empty());
        assert!(store.beside(".broken").exists());
        fs::remove_dir_all(store.path().ancestors().nth(2).unwrap()).unwrap();
    }

    #[test]
    fn a_journal_has_an_end() {
        let mut journal = Journal::default();
        for place in 0..MAX_STEPS {
            journal.push(&step(&place.to_string())).unwrap();
        }

        assert!(matches!(
            journal.push(&step("more")),
            Err(JournalError::Full)
        ));
    }
}
