//! Routes, metrics, MTU and network category of a player's Windows PC: plan, journal, apply, undo.
//!
//! What the party needs is a [`DesiredState`]. [`plan()`] compares it with a [`Snapshot`] of the system and says, as data, which [`Step`]s are
//! missing; it is pure. A [`RouteManager`] writes each step into a journal before it takes it, reads everything back, and undoes what is in
//! the journal when it ends, and when the next one starts after a crash. It acts through a [`RouteSystem`]: [`SystemRoutes`] on
//! Windows, a model in tests.
//!
//! Undoing never takes what is not ours: a route that was there is used and left alone, and a setting that somebody changed in the
//! meantime stays as that somebody wanted it.

mod journal;
mod manager;
#[cfg(test)]
mod model;
mod plan;
#[cfg(test)]
mod properties;
mod state;
mod step;
mod system;

pub use journal::{FileStore, Journal, JournalError, JournalStore};
pub use manager::{EnsureError, Problem, Repair, Report, RouteManager};
pub use plan::{DesiredState, DesiredTap, Pin, Plan, best_route, plan};
pub use state::{
    AdapterId, Category, Family, Interface, Luid, Prefix, Route, RouterDiscovery, Settings,
    Snapshot,
};
pub use step::Step;
pub use system::{Added, RouteSystem, SystemError};

#[cfg(windows)]
#[path = "windows.rs"]
mod imp;
#[cfg(not(windows))]
#[path = "stub.rs"]
mod imp;

pub use self::imp::SystemRoutes;
