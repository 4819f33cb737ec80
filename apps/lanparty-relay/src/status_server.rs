//! The status server: a local socket for `status`, HTTP for metrics.
//!
//! It has a thread of its own and asks the workers by their mailboxes: they answer in their next turn and never wait for it.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lanparty_state::StateDir;
use lanparty_telemetry::Exposition;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::limiter::ConnectionLimiter;
use crate::status::Status;
use crate::worker::{Mailbox, Request};

/// The local socket, in the state directory.
const SOCKET: &str = "relay.sock";

/// How long the workers have for their answers.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long whoever asks has to ask and to listen, in all. One at a time is served.
const CALLER_PATIENCE: Duration = Duration::from_millis(500);

/// The most of an HTTP request that is read.
const MAX_REQUEST: usize = 4096;

/// How often memory is looked at.
const MEMORY_INTERVAL: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The status server.
pub(crate) struct StatusServer {
    started: Instant,
    workers: Vec<Mailbox>,
    limiter: Arc<ConnectionLimiter>,
    local: UnixListener,
    metrics: Option<TcpListener>,
    path: PathBuf,
}

impl StatusServer {
    /// Opens the sockets.
    pub(crate) fn open(
        state: &StateDir,
        metrics: Option<&TcpListener>,
        workers: Vec<Mailbox>,
        limiter: Arc<ConnectionLimiter>,
        takes_over: bool,
    ) -> Result<Self> {
        let path = Self::socket(state);
        let local = listen(&path, takes_over)?;
        let metrics = metrics.map(TcpListener::try_clone).transpose()?;

        Ok(Self {
            started: Instant::now(),
            workers,
            limiter,
            local,
            metrics,
            path,
        })
    }

    /// Returns where the local socket is.
    pub(crate) fn socket(state: &StateDir) -> PathBuf {
        state.file(SOCKET)
    }

    /// Serves whoever asks until the process ends.
    pub(crate) fn serve(&self) -> ! {
        loop {
            let mut fds = vec![PollFd::new(&self.local, PollFlags::IN)];
            fds.extend(
                self.metrics
                    .as_ref()
                    .map(|metrics| PollFd::new(metrics, PollFlags::IN)),
            );
            // A wait that fails is a short one.
            let _ready = poll(&mut fds, Some(&MEMORY_INTERVAL));
            self.watch_memory();
            if let Ok((stream, _)) = self.local.accept() {
                // Whoever does not listen to the end has heard enough.
                let _heard = self.answer_local(stream);
            }
            if let Some(Ok((stream, _))) = self.metrics.as_ref().map(TcpListener::accept) {
                let _heard = self.answer_http(stream);
            }
        }
    }

    /// Measures memory for admission control, and gives free memory back when that says so.
    fn watch_memory(&self) {
        let measure = || {
            self.limiter
                .handle_memory(resident_memory(), Instant::now())
        };
        if measure() {
            lanparty_linux::heap::give_back();
            measure();
        }
    }

    fn status(&self) -> Status {
        let (sender, answers) = sync_channel(self.workers.len());
        for worker in &self.workers {
            worker.send(Request::Report(sender.clone()));
        }
        drop(sender);
        let deadline = Instant::now() + PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut workers: Vec<_> =
            std::iter::from_fn(|| answers.recv_timeout(left()).ok()).collect();
        workers.sort_by_key(|report| report.worker);

        Status::new(
            self.started.elapsed(),
            &workers,
            self.limiter.counts(),
            &self.limiter.reached(),
            resident_memory(),
        )
    }

    fn answer_local(&self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(CALLER_PATIENCE))?;

        writeln!(stream, "{}", self.status().json())
    }

    fn answer_http(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(CALLER_PATIENCE))?;
        let request = read_request(&mut stream)?;
        let (status, body) = if request.starts_with(b"GET /metrics ") {
            ("200 OK", self.status().metrics())
        } else {
            ("404 Not Found", "the metrics are at /metrics\n".to_owned())
        };

        write!(
            stream,
            "HTTP/1.0 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            Exposition::CONTENT_TYPE,
            body.len()
        )
    }
}

impl Drop for StatusServer {
    fn drop(&mut self) {
        // A socket that stays behind is replaced by the next relay.
        let _removed = std::fs::remove_file(&self.path);
    }
}

/// Reads until the empty line, the limit or the deadline: what matters stands at the beginning.
fn read_request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + CALLER_PATIENCE;
    let mut request = Vec::new();
    let mut chunk = [0; 512];
    while request.len() < MAX_REQUEST && !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let len = stream.read(&mut chunk)?;
        if len == 0 {
            break;
        }
        request.extend_from_slice(chunk.get(..len).unwrap_or_default());
    }

    Ok(request)
}

/// Listens on a local socket that this user alone may use, in the place of one that nobody serves any more, or that `takes_over` is for.
fn listen(path: &Path, takes_over: bool) -> Result<UnixListener> {
    if !takes_over && UnixStream::connect(path).is_ok() {
        bail!(
            "another relay serves {}; give each a directory of its own with --state-dir",
            path.display()
        );
    }
    let cannot = || {
        format!(
            "cannot make the socket {}; name another directory with --state-dir",
            path.display()
        )
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(cannot);
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).with_context(cannot)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).with_context(cannot)?;
    listener.set_nonblocking(true).with_context(cannot)?;

    Ok(listener)
}

/// Asks the relay that runs on this machine, and returns what it says.
pub(crate) fn ask(state: &StateDir) -> Result<String> {
    let path = state.file(SOCKET);
    let mut stream = UnixStream::connect(&path).with_context(|| {
        format!(
            "no relay answers at {}; is it running, as this user, and with the same --state-dir?",
            path.display()
        )
    })?;
    let mut text = String::new();
    stream
        .set_read_timeout(Some(PATIENCE * 3))
        .and_then(|()| stream.read_to_string(&mut text))
        .context("the relay does not answer")?;

    Ok(text)
}

/// Returns resident memory in bytes, where the system tells.
fn resident_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;

    kibibytes.checked_mul(1024)
}
