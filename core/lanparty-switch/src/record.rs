//! What the next relay process must know of rooms and members.

use std::net::IpAddr;

use lanparty_ctrl::{Mode, RoomCode};
use serde::{Deserialize, Serialize};

use crate::membership::Token;

/// One room, for the next process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRecord {
    /// Its id on the wire.
    pub id: u32,
    /// Its code.
    pub code: RoomCode,
    /// How it carries larger frames.
    pub mode: Mode,
    /// Its IP MTU in bytes.
    pub mtu: u16,
    /// The peer id that was given last.
    pub last_peer: u16,
    /// Its members, those included whose connection broke.
    pub members: Vec<MemberRecord>,
    /// The stations that were seen on its LAN.
    pub stations: Vec<[u8; 6]>,
}

/// One member, for the next process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its peer id.
    pub peer: u16,
    /// A client's MAC; a gateway has none.
    pub mac: Option<[u8; 6]>,
    /// What it shows to take its membership again.
    pub token: Token,
    /// Which start of its program it is, if that said so.
    pub instance: Option<Token>,
    /// Its last hello's.
    pub generation: u64,
    /// The largest overlay datagram that was agreed on, in bytes.
    pub agreed: usize,
    /// Where it came from.
    pub origin: IpAddr,
    /// Its program and version.
    pub program: String,
    /// The number of the last fragments that the relay made of its frames.
    pub split_sequence: u32,
}
