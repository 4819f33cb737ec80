//! Trains that wait for their system call.

use std::io;

use lanparty_offload::Train;
use lanparty_offload::train::Heading;

/// How many trains leave together at most: more would only let the first wait for the last to be sealed.
const TRAINS: usize = 16;

/// How many bytes leave together, but for the train that goes beyond: small packets to many peers wait for each other, a bulk train for
/// nobody.
const BYTES: usize = 16 * 1024;

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Everything left, or was lost as the network loses packets.
    All,
    /// The socket is full: what is left waits.
    Full,
}

/// Up to [`TRAINS`] trains, each in a buffer that is used again: 1 MiB if each was a whole train once.
#[derive(Debug)]
pub(crate) struct Outbox {
    headings: Vec<Heading>,
    buffers: Vec<Vec<u8>>,
    /// How many trains at the front are gone.
    gone: usize,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            headings: Vec::with_capacity(TRAINS),
            buffers: vec![Vec::new(); TRAINS],
            gone: 0,
            bytes: 0,
        }
    }

    /// Returns the empty buffer of the next train; `None` if the outbox is full.
    pub(crate) fn buffer(&mut self) -> Option<&mut Vec<u8>> {
        let buffer = self.buffers.get_mut(self.headings.len())?;
        buffer.clear();

        Some(buffer)
    }

    /// Adds the train that was written into the buffer. Returns whether it is time to send.
    pub(crate) fn push(&mut self, heading: Heading) -> bool {
        let Some(contents) = self.buffers.get(self.headings.len()) else {
            return true;
        };
        self.bytes += contents.len();
        self.headings.push(heading);

        self.headings.len() == TRAINS || self.bytes >= BYTES
    }

    fn waiting(&self) -> impl Iterator<Item = Train<'_>> {
        let trains = self.headings.iter().zip(&self.buffers).skip(self.gone);

        trains.map(|(heading, contents)| Train {
            heading: *heading,
            contents,
        })
    }

    /// Sends by `send`, which is given what waits and says how much of it left; an error is the first train's own.
    ///
    /// `lose` is told of each train that was not taken, and why.
    pub(crate) fn send(
        &mut self,
        send: impl Fn(&mut dyn Iterator<Item = Train<'_>>) -> io::Result<usize>,
        mut lose: impl FnMut(&Train<'_>, &io::Error),
    ) -> Sent {
        // Bounded: every round but an interrupted one takes at least one train away.
        while self.gone < self.headings.len() {
            let sent = send(&mut self.waiting());
            match sent {
                Ok(count) => self.gone += count.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Full,
                Err(error) => {
                    if let Some(train) = self.waiting().next() {
                        lose(&train, &error);
                    }
                    self.gone += 1;
                }
            }
        }
        self.headings.clear();
        self.gone = 0;
        self.bytes = 0;

        Sent::All
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const PEER: Heading = Heading {
        destination: std::net::SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            9,
        ),
        source: None,
        ecn: 0,
        segment: None,
    };

    fn outbox(trains: &[&[u8]]) -> Outbox {
        let mut outbox = Outbox::new();
        for train in trains {
            outbox.buffer().unwrap().extend_from_slice(train);
            outbox.push(PEER);
        }

        outbox
    }

    /// Takes what `answers` say, one a call, and keeps it.
    fn run(
        outbox: &mut Outbox,
        answers: &[io::Result<usize>],
    ) -> (Sent, Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (sent, lost) = (RefCell::default(), RefCell::default());
        let call = Cell::new(0);
        let outcome = outbox.send(
            |trains| {
                let answer = &answers[call.replace(call.get() + 1)];
                let count = answer
                    .as_ref()
                    .map_err(|error| io::Error::from(error.kind()))?;
                let taken = trains.take(*count).map(|train| train.contents.to_vec());
                RefCell::<Vec<Vec<u8>>>::borrow_mut(&sent).extend(taken);

                Ok(*count)
            },
            |train, _| {
                RefCell::<Vec<Vec<u8>>>::borrow_mut(&lost).push(train.contents.to_vec());
            },
        );
        assert_eq!(call.get(), answers.len(), "as many calls as answers");

        (outcome, sent.into_inner(), lost.into_inner())
    }

    #[test]
    fn what_did_not_leave_waits_and_leaves_in_order() {
        let mut outbox = outbox(&[b"one", b"two", b"three"]);

        let blocked = Err(io::ErrorKind::WouldBlock.into());
        let (outcome, sent, lost) = run(&mut outbox, &[Ok(1), blocked]);
        assert_eq!(outcome, Sent::Full);
        assert_eq!(sent, [b"one"]);
        assert_eq!(lost, Vec::<Vec<u8>>::new());

        let (outcome, sent, _) = run(&mut outbox, &[Ok(2)]);
        assert_eq!(outcome, Sent::All);
        assert_eq!(sent, [&b"two"[..], b"three"]);
        assert_eq!(run(&mut outbox, &[]).0, Sent::All);
        assert_eq!(
            outbox.buffer().unwrap(),
            b"",
            "the first buffer is used again"
        );
    }

    #[test]
    fn an_error_loses_the_first_train_alone() {
        let mut outbox = outbox(&[b"one", b"two", b"three"]);

        let refused = Err(io::ErrorKind::NetworkUnreachable.into());
        let interrupted = Err(io::ErrorKind::Interrupted.into());
        let (outcome, sent, lost) = run(&mut outbox, &[Ok(1), interrupted, refused, Ok(1)]);

        assert_eq!(outcome, Sent::All);
        assert_eq!(sent, [&b"one"[..], b"three"]);
        assert_eq!(lost, [b"two"]);
    }

    #[test]
    fn a_batch_is_full_of_trains_or_of_bytes() {
        let mut small = outbox(&[&b"x"[..]; TRAINS - 1]);
        small.buffer().unwrap().push(b'x');
        assert!(small.push(PEER));
        assert!(small.buffer().is_none());

        let mut large = outbox(&[]);
        large.buffer().unwrap().resize(BYTES, 0);
        assert!(large.push(PEER));
    }
}
