//! A member's session and a player's data path as state machines.
