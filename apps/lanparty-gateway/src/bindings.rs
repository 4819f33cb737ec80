//! Address bindings that outlive this process.

use std::path::{Path, PathBuf};

use lanparty_driver::{FileWriter, Writer};
use lanparty_state::read_private;

/// What a log says when the file cannot be read or written.
const LOSS: &str = "address bindings are not kept over a restart";

/// Reads what an earlier run kept; a file that cannot be used is a warning, since bindings are learnt again.
pub(crate) fn read(path: &Path) -> Option<String> {
    match read_private(path) {
        Ok(bytes) => bytes.and_then(|bytes| String::from_utf8(bytes).ok()),
        Err(error) => {
            tracing::warn!(%error, "{LOSS}");
            None
        }
    }
}

/// Returns what keeps them in `path` for the next run.
pub(crate) fn file(writer: &Writer, path: PathBuf) -> FileWriter {
    writer.file(path, LOSS)
}
