//! Systems whose scheduler is left as it is.

#[derive(Debug)]
pub(crate) struct RealtimePriority;

#[derive(Debug)]
pub(crate) struct Registered;

impl RealtimePriority {
    pub(crate) const fn secure(_wanted: bool) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "the other system's needs it")]
    pub(crate) const fn register(&self) -> Registered {
        Registered
    }
}
