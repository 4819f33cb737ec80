//! A whole party in virtual time.
