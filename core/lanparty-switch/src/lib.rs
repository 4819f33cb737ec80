//! The relay's brain: rooms, membership, forwarding, rate limits.
