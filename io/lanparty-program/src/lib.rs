//! What every program does at its edge, so that all of them do it in the same words: options for logs,
//! the command line, exit codes, errors as sentences, and the doctor's report.

mod doctor;
mod exit;
mod logs;

pub use doctor::{Finding, Report, Verdict};
pub use exit::{
    EXIT_FAILED, EXIT_OK, EXIT_REFUSED, EXIT_USAGE, Refused, chain, finish, parse, parse_from,
};
pub use logs::LogArgs;
