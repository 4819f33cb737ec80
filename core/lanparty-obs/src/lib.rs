//! The vocabulary of diagnostics: drop reasons, counters, frame events, status lines.
