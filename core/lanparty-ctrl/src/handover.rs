//! How long the steps of a handover take (`docs/protocol.md`, 4.10 and 4.12): the same for relay
//! and member, who wait for each other.

use std::time::Duration;

/// How long a new connection may look for the path's MTU before it counts as ready without: as
/// long as path MTU discovery takes on a long line (six round trips of 150 ms).
pub const DISCOVERY: Duration = Duration::from_secs(1);

/// How long nothing must have come before whoever was followed ends: longer than a frame waits in
/// any queue on its way.
pub const QUIET: Duration = Duration::from_secs(1);

/// How long [`QUIET`] is waited for at most.
pub const QUIET_PATIENCE: Duration = Duration::from_secs(10);
