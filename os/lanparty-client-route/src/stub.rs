//! Other systems than Windows.

use crate::{
    AdapterId, Added, Category, Family, Interface, Luid, Route, RouteSystem, Settings, Snapshot,
    SystemError,
};

/// The routes of this system, which are nobody's business here: every call returns [`SystemError::UnsupportedPlatform`].
#[derive(Debug, Default)]
pub struct SystemRoutes(());

impl SystemRoutes {
    /// Opens the system's tables.
    ///
    /// # Errors
    ///
    /// Always returns [`SystemError::UnsupportedPlatform`] on this system.
    pub const fn open() -> Result<Self, SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }
}

impl RouteSystem for SystemRoutes {
    fn snapshot(&mut self, _: Option<(Luid, &AdapterId)>) -> Result<Snapshot, SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }

    fn interface(&mut self, _: Luid, _: Family) -> Result<Option<Interface>, SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }

    fn add_route(&mut self, _: &Route) -> Result<Added, SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }

    fn delete_route(&mut self, _: &Route) -> Result<(), SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }

    fn set_interface(&mut self, _: Luid, _: Family, _: &Settings) -> Result<(), SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }

    fn category(&mut self, _: &AdapterId) -> Result<Option<Category>, SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }

    fn set_category(&mut self, _: &AdapterId, _: Category) -> Result<(), SystemError> {
        Err(SystemError::UnsupportedPlatform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_system_is_told_apart_in_a_sentence() {
        let error = SystemRoutes::open().unwrap_err();

        assert!(error.to_string().starts_with("unsupported platform"));
    }
}
