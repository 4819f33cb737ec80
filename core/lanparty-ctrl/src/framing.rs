//! Messages out of a byte stream, and into it (`docs/protocol.md`, clause 3).

use serde::Deserialize;

use crate::{Message, ValidationError};

/// Bytes of the length in front of every message: a big-endian `u32`.
pub const LENGTH_PREFIX: usize = 4;

/// The longest message before admission, in bytes. A hello has about 300.
pub const MAX_UNADMITTED: usize = 4 * 1024;

/// The longest message after admission, in bytes. Stats with every drop reason have about 6000.
pub const MAX_ADMITTED: usize = 16 * 1024;

/// Returns `message` as bytes of the control stream.
///
/// # Panics
///
/// Never: no message has a serialiser that fails, and every text and list is bounded.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut bytes = vec![0; LENGTH_PREFIX];
    serde_json::to_writer(&mut bytes, message)
        .expect("messages have string keys and no failing serialisers");
    let length = u32::try_from(bytes.len() - LENGTH_PREFIX)
        .expect("every text and list in a message is bounded");
    if let Some(prefix) = bytes.first_chunk_mut() {
        *prefix = length.to_be_bytes();
    }

    bytes
}

/// Reads messages from bytes as they come.
///
/// 1. [`Decoder::push`] what the stream gave.
/// 2. [`Decoder::poll_message`] until it returns `Ok(None)`. After an error the stream has no meaning any more: close it.
///
/// It never holds more than one message and what the caller pushed at once.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    read: usize,
    limit: usize,
}

impl Decoder {
    /// Makes a decoder that refuses messages of more than `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            read: 0,
            limit,
        }
    }

    /// Changes the limit, once a member is admitted.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes bytes off the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns whether the stream stopped inside a message.
    pub const fn is_mid_message(&self) -> bool {
        self.read < self.bytes.len()
    }

    /// Gives the next message if all of it is there.
    ///
    /// # Errors
    ///
    /// Returns an error for a message that is too long, no JSON, of no known type, or not valid.
    pub fn poll_message(&mut self) -> Result<Option<Message>, ControlError> {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let Some((prefix, rest)) = rest.split_first_chunk::<LENGTH_PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix);
        let limit = self.limit;
        let Some(length) = usize::try_from(length)
            .ok()
            .filter(|length| *length <= limit)
        else {
            return Err(ControlError::TooLong { length, limit });
        };
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };

        let message = parse(body)?;
        self.read += LENGTH_PREFIX + length;

        Ok(Some(message))
    }
}

fn parse(body: &[u8]) -> Result<Message, ControlError> {
    #[derive(Deserialize)]
    struct Envelope {
        r#type: String,
    }

    let Envelope { r#type } = serde_json::from_slice(body).map_err(ControlError::Json)?;
    if !Message::TYPES.contains(&r#type.as_str()) {
        return Err(ControlError::UnknownType(r#type.chars().take(32).collect()));
    }
    let message: Message = serde_json::from_slice(body).map_err(ControlError::Json)?;
    message.validate()?;

    Ok(message)
}

/// Why the control stream cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A message is longer than allowed.
    #[error("a control message of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// What the prefix says.
        length: u32,
        /// What is allowed.
        limit: usize,
    },
    /// A message is no JSON object of its type.
    #[error("a control message cannot be read")]
    Json(#[source] serde_json::Error),
    /// A message has a type that this version does not know.
    #[error("unknown control message type {0:?}")]
    UnknownType(String),
    /// A message breaks a rule.
    #[error("a control message is not valid")]
    Invalid(#[from] ValidationError),
}

#[cfg(test)]
mod tests {
    use lanparty_proto::{MacAddr, PeerId, RoomId};

    use super::*;
    use crate::{
        Capability, ForeignSource, Hello, LeaveReason, Mode, PeerLeft, Role, RoomBudget, Welcome,
    };

    fn hello() -> Message {
        Message::Hello(Hello {
            version: 1,
            role: Role::Client,
            room: "ROOM1".parse().unwrap(),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
            budget: 1434,
            capabilities: vec![Capability::FullFrame],
            generation: 7,
            resume: None,
            instance: None,
            down_rate: None,
            program: "test".into(),
            program_version: "1".into(),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Option<Message>, ControlError> {
        let mut decoder = Decoder::new(MAX_UNADMITTED);
        decoder.push(bytes);
        decoder.poll_message()
    }

    fn framed(json: &str) -> Vec<u8> {
        [
            &u32::try_from(json.len()).unwrap().to_be_bytes()[..],
            json.as_bytes(),
        ]
        .concat()
    }

    /// Clause 4: a change here is a change of the protocol.
    #[test]
    fn golden_bytes_of_messages() {
        let hello = String::from_utf8(encode(&hello()).split_off(4)).unwrap();
        assert_eq!(
            hello,
            r#"{"type":"hello","version":1,"role":"client","room":"ROOM1","mac":"02:00:00:00:00:01","budget":1434,"capabilities":["full_frame"],"generation":7,"program":"test","program_version":"1"}"#
        );
        let welcome = encode(&Message::Welcome(Welcome {
            peer: PeerId(3),
            room: RoomId(9),
            mtu: 1400,
            mode: Mode::Native,
            budget: 1434,
            gateway: true,
            resume: None,
            relay_version: "1".into(),
        }));
        let welcome = String::from_utf8(welcome[4..].to_vec()).unwrap();
        assert_eq!(
            welcome,
            r#"{"type":"welcome","peer":3,"room":9,"mtu":1400,"mode":"native","budget":1434,"gateway":true,"relay_version":"1"}"#
        );
        let left = encode(&Message::PeerLeft(PeerLeft {
            peer: PeerId(3),
            reason: LeaveReason::Timeout,
        }));
        assert_eq!(
            &left[..],
            framed(r#"{"type":"peer_left","peer":3,"reason":"timeout"}"#)
        );
        for (budget, json) in [
            (Some(1162), r#"{"type":"room_budget","budget":1162}"#),
            (None, r#"{"type":"room_budget"}"#),
        ] {
            let message = Message::RoomBudget(RoomBudget { budget });
            assert_eq!(&encode(&message)[..], framed(json));
        }
        let foreign = Message::ForeignSource(ForeignSource {
            peer: PeerId(6),
            mac: MacAddr([0, 0x1b, 0x21, 0, 0, 9]),
        });
        let json = r#"{"type":"foreign_source","peer":6,"mac":"00:1b:21:00:00:09"}"#;
        assert_eq!(&encode(&foreign)[..], framed(json));
        assert_eq!(decode(&framed(json)).unwrap(), Some(foreign));
    }

    #[test]
    fn reads_a_message_that_comes_byte_by_byte() {
        let mut decoder = Decoder::new(MAX_UNADMITTED);
        let bytes = [encode(&hello()), encode(&hello())].concat();
        let mut messages = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]);
            messages.extend(decoder.poll_message().unwrap());
        }

        assert_eq!(messages, [hello(), hello()]);
        assert!(!decoder.is_mid_message());
    }

    #[test]
    fn tolerates_fields_it_does_not_know() {
        let json = r#"{"type":"redirect","worker":3,"colour":"blue"}"#;

        assert!(matches!(decode(&framed(json)), Ok(Some(Message::Redirect(r))) if r.worker == 3));
    }

    #[test]
    fn refuses_what_it_cannot_use_with_a_clear_error() {
        let error = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();

        assert_eq!(
            error(&framed(r#"{"type":"dance"}"#)),
            r#"unknown control message type "dance""#
        );
        assert_eq!(error(&framed("[")), "a control message cannot be read");
        assert_eq!(
            error(&[0xff; 4]),
            "a control message of 4294967295 bytes is over the limit of 4096"
        );
        assert_eq!(
            error(&framed(&"[".repeat(4000))),
            "a control message cannot be read"
        );
        let group = r#"{"type":"foreign_source","peer":6,"mac":"01:00:00:00:00:01"}"#;
        assert_eq!(error(&framed(group)), "a control message is not valid");
        let nobody = r#"{"type":"peer_left","peer":0,"reason":"timeout"}"#;
        assert_eq!(error(&framed(nobody)), "a control message is not valid");
    }

    #[test]
    fn a_client_needs_a_mac_and_a_gateway_must_not_have_one() {
        let client = r#"{"type":"hello","version":1,"role":"client","room":"ROOM1","budget":1400,"program":"","program_version":""}"#;
        let gateway = client.replace("client", "gateway");
        let armed = gateway.replace(r#""budget""#, r#""mac":"02:00:00:00:00:01","budget""#);

        assert!(decode(&framed(client)).is_err());
        assert!(decode(&framed(&gateway)).is_ok());
        assert!(decode(&framed(&armed)).is_err());
    }

    #[test]
    fn tolerates_reasons_and_capabilities_of_later_versions() {
        let json = r#"{"type":"peer_left","peer":1,"reason":"bored"}"#;

        assert!(
            matches!(decode(&framed(json)), Ok(Some(Message::PeerLeft(l))) if l.reason == LeaveReason::Unknown)
        );
    }
}
