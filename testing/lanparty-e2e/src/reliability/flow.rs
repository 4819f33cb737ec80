//! One TCP connection that says a number every few milliseconds, for as long as a fault lasts.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::netns::Namespace;

/// How often a number is said.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long the connection may stand still before it counts as dead: longer than any fault here.
const STALL: Duration = Duration::from_secs(100);

/// A TCP connection that lives while it is asked to.
#[derive(Debug)]
pub struct Flow {
    stop: Arc<AtomicBool>,
    heard: Arc<AtomicU64>,
    sender: JoinHandle<Result<u64>>,
    receiver: JoinHandle<Result<u64>>,
}

impl Flow {
    /// Connects from `from` to `address`, which is `to`'s, and starts to talk.
    ///
    /// # Errors
    ///
    /// Returns an error if no connection comes about.
    pub fn start(from: &Namespace, to: &Namespace, address: IpAddr) -> Result<Self> {
        let listener = to.enter(|| TcpListener::bind((address, 0)))?;
        let target = listener.local_addr()?;
        let accepting = std::thread::spawn(move || listener.accept());
        let talker = from
            .enter(|| TcpStream::connect_timeout(&target, Duration::from_secs(10)))
            .context("no TCP connection")?;
        let (listening, _) = accepting.join().ok().context("the listener panicked")??;
        for stream in [&talker, &listening] {
            stream.set_read_timeout(Some(STALL))?;
            stream.set_write_timeout(Some(STALL))?;
            stream.set_nodelay(true)?;
        }
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&heard));

        Ok(Self {
            stop,
            heard,
            sender: std::thread::spawn(move || talk(talker, &stopped)),
            receiver: std::thread::spawn(move || listen(listening, &counter)),
        })
    }

    /// Returns how many numbers have arrived.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Ends the connection and returns how many numbers went through it.
    ///
    /// # Errors
    ///
    /// Returns an error if it died, or something else arrived than was said.
    pub fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let said = self.sender.join().ok().context("the sender panicked")??;
        let heard = self.receiver.join().ok().context("the receiver panicked")?;
        let heard = heard?;
        ensure!(said == heard, "{said} numbers said, {heard} heard");

        Ok(heard)
    }
}

fn talk(mut stream: TcpStream, stop: &AtomicBool) -> Result<u64> {
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        stream
            .write_all(&number.to_be_bytes())
            .context("the TCP connection died")?;
        number += 1;
        std::thread::sleep(INTERVAL);
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // The listener closes once it has heard everything.
    let _eof = stream.read(&mut [0])?;

    Ok(number)
}

fn listen(mut stream: TcpStream, heard: &AtomicU64) -> Result<u64> {
    let (mut word, mut filled) = ([0; 8], 0);
    loop {
        let rest = word.get_mut(filled..).unwrap_or_default();
        let len = stream.read(rest).context("the TCP connection died")?;
        if len == 0 {
            return Ok(heard.load(Ordering::Relaxed));
        }
        filled += len;
        if filled == word.len() {
            let expected = heard.fetch_add(1, Ordering::Relaxed);
            ensure!(u64::from_be_bytes(word) == expected, "TCP is out of order");
            filled = 0;
        }
    }
}
