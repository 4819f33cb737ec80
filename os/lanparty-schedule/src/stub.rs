//! Systems whose scheduler is left as it is.

#[derive(Debug)]
pub(crate) struct Precedence;

#[derive(Debug)]
pub(crate) struct Enlisted;

impl Precedence {
    pub(crate) const fn secure(_wanted: bool) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "the other system's needs it")]
    pub(crate) const fn enlist(&self) -> Enlisted {
        Enlisted
    }
}
