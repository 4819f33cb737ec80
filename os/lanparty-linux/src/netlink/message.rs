//! Messages and their attributes (`struct nlmsghdr`, `struct rtattr`).
//!
//! Both are a length, a type and contents, and begin at a multiple of four bytes.

use std::io;

/// Types of every family's messages (`linux/netlink.h`).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Flags of requests.
pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_CREATE: u16 = 0x400;

/// Bytes of `struct nlmsghdr`: length, type, flags, sequence number, port.
const HEADER_LEN: usize = 16;

/// Bytes of `struct rtattr`: length, type.
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// A message that is being written.
#[derive(Debug)]
pub(super) struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Request {
    /// Begins a message of type `kind` with its fixed part, a multiple of four bytes.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        Self {
            kind,
            flags,
            body: fixed.to_vec(),
        }
    }

    /// Adds an attribute.
    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let len = ATTRIBUTE_HEADER_LEN.saturating_add(value.len());
        self.body
            .extend(u16::try_from(len).unwrap_or_default().to_ne_bytes());
        self.body.extend(kind.to_ne_bytes());
        self.body.extend(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    /// Returns the message as the kernel reads it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let len = HEADER_LEN.saturating_add(self.body.len());
        let mut message = u32::try_from(len)
            .unwrap_or_default()
            .to_ne_bytes()
            .to_vec();
        message.extend(self.kind.to_ne_bytes());
        message.extend(self.flags.to_ne_bytes());
        message.resize(HEADER_LEN, 0);
        message.extend(&self.body);

        message
    }
}

/// A message of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// The last message of a dump.
    Done,
    /// The kernel has done what was requested.
    Acknowledged,
    /// Anything else: its type, and what is behind the header.
    Data(u16, &'a [u8]),
}

/// Takes the next message off `bytes`; `None` at their end.
///
/// # Errors
///
/// Returns an error if the message is cut short or has a wrong length, and the kernel's own if it
/// refuses the request.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> io::Result<Option<Answer<'a>>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let len = u32_at(bytes, 0).and_then(|len| usize::try_from(len).ok());
    let message = len.and_then(|len| bytes.get(..len)).ok_or_else(invalid)?;
    let body = message.get(HEADER_LEN..).ok_or_else(invalid)?;
    let kind = u16_at(message, 4).ok_or_else(invalid)?;
    *bytes = bytes
        .get(message.len().next_multiple_of(4)..)
        .unwrap_or_default();

    match kind {
        NLMSG_DONE => Ok(Some(Answer::Done)),
        NLMSG_ERROR => refusal(body).map(|()| Some(Answer::Acknowledged)),
        _ => Ok(Some(Answer::Data(kind, body))),
    }
}

/// Reads `struct nlmsgerr`: a negative error number, or zero for an acknowledgement.
fn refusal(body: &[u8]) -> io::Result<()> {
    let code = body.first_chunk().map(|code| i32::from_ne_bytes(*code));
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Returns the attributes in `bytes`, each with its type, up to the first that is cut short.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)?;
        let value = bytes.get(ATTRIBUTE_HEADER_LEN..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();

        Some((kind, value))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;

    Some(u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;

    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: u16 = 20;

    #[test]
    fn what_is_written_is_read() {
        let bytes = Request::new(KIND, NLM_F_REQUEST, &[9; 8])
            .attribute(1, &[10, 0, 0, 1])
            .attribute(3, b"eth0\0")
            .encode();
        let mut rest = bytes.as_slice();

        let Some(Answer::Data(KIND, body)) = next(&mut rest).unwrap() else {
            panic!("{bytes:?}");
        };
        let (fixed, attributed) = body.split_at(8);
        assert_eq!(fixed, [9; 8]);
        let read: Vec<_> = attributes(attributed).collect();
        assert_eq!(read, [(1, &[10, 0, 0, 1][..]), (3, b"eth0\0")]);
        assert_eq!(next(&mut rest).unwrap(), None);
    }

    #[test]
    fn what_is_cut_short_or_has_a_wrong_length_is_refused() {
        let whole = Request::new(KIND, 0, &[0; 8]).encode();
        for len in 1..whole.len() {
            assert!(next(&mut &whole[..len]).is_err(), "{len}");
        }
        let mut none = whole;
        none[..4].fill(0);
        assert!(next(&mut none.as_slice()).is_err());
    }

    #[test]
    fn an_acknowledgement_is_none_of_the_kernels_errors() {
        let answer = |code: i32| Request::new(NLMSG_ERROR, 0, &code.to_ne_bytes()).encode();

        assert_eq!(
            next(&mut answer(0).as_slice()).unwrap(),
            Some(Answer::Acknowledged)
        );
        let error = next(&mut answer(-17).as_slice()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(17));
    }
}
