//! What a system must be able to do.

use std::io;

use crate::{AdapterId, Category, Family, Interface, Luid, Route, Settings, Snapshot};

/// What became of a route that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    New,
    /// It was there already.
    Existed,
}

/// A system whose routes and interfaces can be read and changed.
pub trait RouteSystem {
    /// Reads the state, with the interface `tap` and the category of the network that its adapter is in.
    ///
    /// # Errors
    ///
    /// Returns an error if routes or interfaces cannot be read. A category that cannot be read is `None`.
    fn snapshot(&mut self, tap: Option<(Luid, &AdapterId)>) -> Result<Snapshot, SystemError>;

    /// Reads one interface; `None` if it does not have the family.
    ///
    /// # Errors
    ///
    /// Returns what the system said.
    fn interface(&mut self, luid: Luid, family: Family) -> Result<Option<Interface>, SystemError>;

    /// Adds a route.
    ///
    /// # Errors
    ///
    /// Returns what the system said.
    fn add_route(&mut self, route: &Route) -> Result<Added, SystemError>;

    /// Removes a route. One that is not there is fine.
    ///
    /// # Errors
    ///
    /// Returns what the system said.
    fn delete_route(&mut self, route: &Route) -> Result<(), SystemError>;

    /// Changes an interface's settings. One that does not have the family any more is fine.
    ///
    /// # Errors
    ///
    /// Returns what the system said.
    fn set_interface(
        &mut self,
        luid: Luid,
        family: Family,
        settings: &Settings,
    ) -> Result<(), SystemError>;

    /// Reads the category of the network that an adapter is in; `None` while it is in none.
    ///
    /// # Errors
    ///
    /// Returns what the system said.
    fn category(&mut self, adapter: &AdapterId) -> Result<Option<Category>, SystemError>;

    /// Changes the category of the network that an adapter is in. An adapter in none is fine.
    ///
    /// # Errors
    ///
    /// Returns what the system said.
    fn set_category(&mut self, adapter: &AdapterId, category: Category) -> Result<(), SystemError>;
}

/// Why the system did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// Only Windows has what this is about.
    #[error("unsupported platform: routes and interfaces are changed on Windows only")]
    UnsupportedPlatform,
    /// This Windows lacks the call.
    #[error("{call} is not offered by this system")]
    MissingCall {
        /// The call.
        call: &'static str,
    },
    /// It takes more rights.
    #[error("this takes an administrator; start the program with \"Run as administrator\"")]
    NotAdministrator,
    /// The call failed.
    #[error("{call} failed")]
    Failed {
        /// The call.
        call: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SystemError {
    /// Returns whether the system can never do this, which is reported and not fatal.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::MissingCall { .. })
    }
}
