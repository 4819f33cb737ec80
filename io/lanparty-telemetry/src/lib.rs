//! Log subscriber and metrics export.
