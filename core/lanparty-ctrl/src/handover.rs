//! How long relay and members wait for each other while one process hands over to the next
//! (`docs/protocol.md`, clauses 4.10 and 4.12). Both ends count on the other's numbers.

use std::time::Duration;

/// The most that a relay spreads the coming of its members to the next process.
pub const SPREAD: Duration = Duration::from_secs(20);

/// How long members have to come to the next process, from when the last of them was told: two dozen
/// attempts over a line that loses a third of all packets, or on a machine that has no time for them.
/// Until then everybody is served as before, so there is no hurry.
pub const MOVE_PATIENCE: Duration = Duration::from_mins(1);

/// How long nothing must have come before an old connection is closed: longer than a frame waits in
/// any queue on its way.
pub const QUIET: Duration = Duration::from_secs(1);

/// How long that is waited for at most.
pub const QUIET_PATIENCE: Duration = Duration::from_secs(10);

/// How long a new connection may look for the path's MTU before it counts as prepared without: as long
/// as path MTU discovery takes on a long line (six round trips of 150 ms).
pub const PATH_DISCOVERY: Duration = Duration::from_secs(1);

/// How long an old process of a relay may go on at most, and so how long a member listens to it.
pub const DRAIN_LIMIT: Duration = SPREAD
    .saturating_add(MOVE_PATIENCE)
    .saturating_add(QUIET_PATIENCE);
