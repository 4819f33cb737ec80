//! A program in a folder of its bed, where another one can be put in its place: what a handover starts then.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::binary;
use crate::bed::Bed;

/// What a handed-over record is spoiled to; `impostor` does it, on the way to the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// Its end is missing.
    Cut,
    /// It is another release's, which says nothing that this one knows.
    Foreign,
}

impl Spoil {
    const ALL: [(Self, &str); 2] = [(Self::Cut, "cut"), (Self::Foreign, "foreign")];

    /// Does it.
    pub fn apply(self, mut record: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Cut => {
                record.truncate(record.len() / 2);
                record
            }
            Self::Foreign => br#"{"release":2}"#.to_vec(),
        }
    }

    fn as_str(self) -> &'static str {
        let known = Self::ALL.into_iter().find(|(spoil, _)| *spoil == self);

        known.map_or("", |(_, name)| name)
    }

    /// Reads what [`Installed::spoil`] left beside the program at `path`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is nothing that is known.
    pub fn read_beside(path: &Path) -> Result<Self> {
        let name = fs::read_to_string(path.with_extension("spoil"))?;
        let known = Self::ALL.into_iter().find(|(_, known)| *known == name);

        known
            .map(|(spoil, _)| spoil)
            .with_context(|| format!("nobody knows how to spoil by {name:?}"))
    }
}

/// A program in a folder of its bed.
#[derive(Debug)]
pub struct Installed {
    path: PathBuf,
    original: PathBuf,
}

impl Bed {
    /// Returns where [`Bed::install`] puts a program.
    pub(super) fn installed(&self, name: &str) -> PathBuf {
        self.dir().join(format!("bin-{name}")).join(name)
    }

    /// Installs softlan's program `name` in a folder of this bed, from where it is started from now on.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not built, or cannot be copied.
    pub fn install(&self, name: &str) -> Result<Installed> {
        let path = self.installed(name);
        fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
        let installed = Installed {
            path,
            original: binary(name)?,
        };
        installed.restore()?;

        Ok(installed)
    }
}

impl Installed {
    /// Puts the program itself back in its place.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be copied.
    pub fn restore(&self) -> Result<()> {
        self.put(|path| fs::copy(&self.original, path).map(drop))
    }

    /// Puts a shell script in its place. Processes that run stay what they are.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub fn replace(&self, script: &str) -> Result<()> {
        self.put(|path| fs::write(path, format!("#!/bin/sh\n{script}\n")))
    }

    /// Has the next successor get a record that is spoiled; afterwards the program itself is in its place again.
    ///
    /// # Errors
    ///
    /// Returns an error if `impostor` is not built, or cannot be copied.
    pub fn spoil(&self, how: Spoil) -> Result<()> {
        let impostor = binary("impostor")?;
        fs::copy(&self.original, self.path.with_extension("real"))?;
        fs::write(self.path.with_extension("spoil"), how.as_str())?;

        self.put(|path| fs::copy(&impostor, path).map(drop))
    }

    /// Replaces the file at once: one that runs cannot be written.
    fn put(&self, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
        let made = self.path.with_extension("new");
        make(&made)
            .and_then(|()| fs::set_permissions(&made, Permissions::from_mode(0o755)))
            .and_then(|()| fs::rename(&made, &self.path))
            .with_context(|| format!("cannot replace {}", self.path.display()))
    }
}
