//! Address bindings that outlive this process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use lanparty_state::{StateError, read_private, write_private};

/// Snapshots that may wait for the disk; a later one replaces an earlier one.
const WAITING: usize = 2;

/// Reads what an earlier run kept; a file that cannot be used is a warning, since bindings are learnt again.
pub(crate) fn read(path: &Path) -> Option<String> {
    match read_private(path) {
        Ok(bytes) => bytes.and_then(|bytes| String::from_utf8(bytes).ok()),
        Err(error) => {
            warn(&error);
            None
        }
    }
}

/// Starts a thread that writes snapshots to `path`, so that no frame waits for the disk.
///
/// # Errors
///
/// Returns an error if the system gives no thread.
pub(crate) fn keep(path: PathBuf) -> io::Result<SyncSender<String>> {
    let (sender, snapshots) = sync_channel::<String>(WAITING);
    std::thread::Builder::new()
        .name("bindings".to_owned())
        .spawn(move || {
            while let Ok(snapshot) = snapshots.recv() {
                if let Err(error) = write_private(&path, snapshot.as_bytes()) {
                    warn(&error);
                }
            }
        })?;

    Ok(sender)
}

fn warn(error: &StateError) {
    tracing::warn!(%error, "address bindings are not kept over a restart");
}
