//! What Windows said, and to which call.

use std::io;

/// Why a call did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Win32Error {
    /// The call failed.
    #[error("{call} failed")]
    Failed {
        /// The call.
        call: &'static str,
        /// What Windows said.
        #[source]
        source: io::Error,
    },
    /// This system has no such call.
    #[error("{call} is not offered by this system")]
    Missing {
        /// The call.
        call: &'static str,
    },
}

impl Win32Error {
    /// Makes an error of a Win32 error code (`winerror.h`).
    pub(crate) fn from_code(call: &'static str, code: u32) -> Self {
        Self::Failed {
            call,
            source: io::Error::from_raw_os_error(code.cast_signed()),
        }
    }

    /// Makes an error of what the thread's last call left behind.
    pub(crate) fn last(call: &'static str) -> Self {
        Self::Failed {
            call,
            source: io::Error::last_os_error(),
        }
    }

    /// Makes a result of a Win32 error code, 0 being success.
    pub(crate) fn check(call: &'static str, code: u32) -> Result<(), Self> {
        if code == 0 {
            Ok(())
        } else {
            Err(Self::from_code(call, code))
        }
    }

    /// Returns the Win32 error code (`winerror.h`), if Windows gave one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Failed { source, .. } => source.raw_os_error().map(i32::cast_unsigned),
            Self::Missing { .. } => None,
        }
    }

    /// Returns whether the error code is `code`.
    pub fn is(&self, code: u32) -> bool {
        self.code() == Some(code)
    }
}
