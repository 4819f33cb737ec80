//! Signals that end a program.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `leave` at SIGINT and SIGTERM, on a thread of its own. A second signal ends the program at once.
///
/// # Errors
///
/// Returns an error if the system refuses signal handlers or the thread.
pub(crate) fn watch(leave: Box<dyn Fn() + Send>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut has_asked = false;
            for signal in signals.forever() {
                if std::mem::replace(&mut has_asked, true) {
                    // The first was not enough: the person wants what the system does by default.
                    drop(signal_hook::low_level::emulate_default_handler(signal));
                }
                leave();
            }
        })?;

    Ok(())
}
