//! Small files that outlive a process: keys, identities, bindings.
//!
//! Written to a temporary file, flushed to the disk and renamed, so that a crash at any moment leaves the old file or the new one.
//! Private where the system has file modes: a file that others may read is refused, since its secret may be known. This is the one
//! place of `io/` that names a kind of system: the mode is part of how a file is made, and a crate of `os/` for it would be three lines.

mod leftovers;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The most that is read of one file. The largest, a gateway's bindings, has 64 KiB.
pub const MAX_LEN: u64 = 1024 * 1024;

/// Where a program keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir(PathBuf);

/// The environment that decides where files are kept, read by the program.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `STATE_DIRECTORY`, which systemd sets.
    pub state_directory: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `HOME`, or `LOCALAPPDATA` on Windows.
    pub home: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        let path = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };

        Self {
            // systemd separates several directories by colons; the first is ours.
            state_directory: path("STATE_DIRECTORY").map(|all| {
                let text = all.to_string_lossy().into_owned();
                text.split(':').next().map_or(all, PathBuf::from)
            }),
            xdg_state_home: path("XDG_STATE_HOME"),
            home: path(if cfg!(windows) {
                "LOCALAPPDATA"
            } else {
                "HOME"
            }),
        }
    }
}

impl StateDir {
    /// Finds the directory: the one asked for, else systemd's, else the user's, else the current one. Makes it if it is missing, and
    /// removes what processes left there that were killed while they wrote.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory cannot be made.
    pub fn open(asked: Option<&Path>, environment: &Environment) -> Result<Self, StateError> {
        let path = asked
            .map(Path::to_path_buf)
            .or_else(|| environment.state_directory.clone())
            .or_else(|| {
                environment
                    .xdg_state_home
                    .as_ref()
                    .map(|dir| dir.join("softlan"))
            })
            .or_else(|| {
                let below = if cfg!(windows) {
                    "softlan"
                } else {
                    ".local/state/softlan"
                };
                environment.home.as_ref().map(|dir| dir.join(below))
            })
            .unwrap_or_else(|| PathBuf::from("."));
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .map_err(|source| StateError::Directory {
                path: path.clone(),
                source,
            })?;
        leftovers::remove(&path);

        Ok(Self(path))
    }

    /// Returns the path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Reads a private file; `None` if there is none.
///
/// # Errors
///
/// Returns an error if the file cannot be read, is too long, is no ordinary file, or others may read it.
pub fn read_private(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let read = |source| StateError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read(error)),
    };
    let facts = file.metadata().map_err(read)?;
    if !facts.is_file() {
        return Err(StateError::NotAFile(path.to_path_buf()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if facts.permissions().mode() & 0o077 != 0 {
            return Err(StateError::Public(path.to_path_buf()));
        }
    }
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1)
        .read_to_end(&mut bytes)
        .map_err(read)?;
    if u64::try_from(bytes.len()).map_or(true, |len| len > MAX_LEN) {
        return Err(StateError::TooLong(path.to_path_buf()));
    }

    Ok(Some(bytes))
}

/// Writes a private file so that a crash leaves the old one or the new one.
///
/// # Errors
///
/// Returns an error if the disk is full or the directory cannot be written; the old file is then untouched.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let temporary = temporary(path);
    let written = write_through(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // Whatever is there is half a file of ours; that it may not be there is fine.
        let _absent = fs::remove_file(&temporary);
        return Err(StateError::Write {
            path: path.to_path_buf(),
            source,
        });
    }
    sync_directory(path);

    Ok(())
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();

    path.with_file_name(leftovers::name_of(&name, std::process::id()))
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;

    file.sync_all()
}

/// Makes the rename itself durable, where directories can be flushed. A failure loses no more than the rename.
#[cfg(unix)]
fn sync_directory(path: &Path) {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let _flushed = File::open(parent.unwrap_or_else(|| Path::new(".")))
        .and_then(|directory| directory.sync_all());
}

#[cfg(not(unix))]
fn sync_directory(_path: &Path) {}

/// Why a file of ours cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The directory cannot be made.
    #[error("cannot make the directory {}; name another with --state-dir", path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}; is the disk full, or is its directory missing or read-only?", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("others may read {}, so its secret may be known; run `chmod 600` on it if you are sure, or delete it to have a new one made", .0.display())]
    Public(PathBuf),
    /// The file is longer than any of ours.
    #[error("{} is too long to be ours; move it away to have a new one made", .0.display())]
    TooLong(PathBuf),
    /// There is something else in the file's place.
    #[error("{} is no ordinary file; move it away to have a new one made", .0.display())]
    NotAFile(PathBuf),
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use lanparty_samples::Scratch;

    use super::*;

    #[test]
    fn reads_what_it_wrote_and_keeps_it_private() {
        let scratch = Scratch::new("read");
        let path = scratch.file("key");

        assert_eq!(read_private(&path).unwrap(), None);
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();

        assert_eq!(read_private(&path).unwrap().unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn refuses_a_file_that_others_may_read() {
        let scratch = Scratch::new("public");
        let path = scratch.file("key");
        fs::write(&path, b"secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

        assert!(matches!(read_private(&path), Err(StateError::Public(_))));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let scratch = Scratch::new("failed");
        let path = scratch.file("key");
        write_private(&path, b"old").unwrap();
        fs::create_dir(temporary(&path)).unwrap();

        assert!(matches!(
            write_private(&path, b"new"),
            Err(StateError::Write { .. })
        ));
        assert_eq!(read_private(&path).unwrap().unwrap(), b"old");
    }

    #[test]
    fn the_directory_asked_for_goes_before_the_environment() {
        let scratch = Scratch::new("dir");
        let environment = Environment {
            state_directory: Some(scratch.file("systemd")),
            xdg_state_home: Some(scratch.file("xdg")),
            home: None,
        };
        let asked = scratch.file("asked");

        assert_eq!(
            StateDir::open(Some(&asked), &environment)
                .unwrap()
                .file("x"),
            asked.join("x")
        );
        let found = StateDir::open(None, &environment).unwrap();
        assert_eq!(found.file("x"), scratch.file("systemd/x"));
    }
}
