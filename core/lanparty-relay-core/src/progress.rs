//! How far a member has come on its way to the next relay process (`docs/protocol.md`, clause 4.10).

/// How far a member has come on its way to the next process.
///
/// ```text
/// Here --arrived--> Prepared --move--> Moving --arrived--> Moved
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    /// It has this connection alone.
    Here,
    /// It hears the next process, too.
    Prepared,
    /// It was told to send by the next process.
    Moving,
    /// It said that it sends nothing more here.
    Moved,
}

impl Progress {
    /// Takes that the member said `arrived`.
    pub(crate) const fn arrived(self) -> Self {
        match self {
            Self::Here | Self::Prepared => Self::Prepared,
            Self::Moving | Self::Moved => Self::Moved,
        }
    }
}
