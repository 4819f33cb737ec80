//! Namespace test bed.
