//! The relay as a process.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lanparty_samples::Scratch;
use rustix::fs::{OFlags, fcntl_setfl as set_flags};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lanparty-relay");

/// The file with its log, in its folder.
const LOG: &str = "log";

/// A relay that is gone, with its files, when the test is over.
pub(crate) struct Relay {
    child: Child,
    folder: Scratch,
    address: SocketAddr,
    arguments: Vec<String>,
}

impl Relay {
    /// Starts a relay on a port of the system's choice and waits until it is ready.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = Scratch::new(name);
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let stderr = log_file(&folder);
        let (child, address) = spawn(folder.path(), "127.0.0.1:0", &arguments, stderr.into());

        Self {
            child,
            folder,
            address,
            arguments,
        }
    }

    /// Starts a relay whose standard error is a pipe that is full, and that nobody reads yet.
    pub(crate) fn start_mute(name: &str, arguments: &[&str]) -> (Self, PipeReader) {
        let folder = Scratch::new(name);
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let (reader, full) = full_pipe();
        let (child, address) = spawn(folder.path(), "127.0.0.1:0", &arguments, full.into());
        let relay = Self {
            child,
            folder,
            address,
            arguments,
        };

        (relay, reader)
    }

    /// Starts it again on the same port, with the same files.
    pub(crate) fn restart(&mut self) {
        let stderr = log_file(&self.folder);
        let listen = self.address.to_string();
        let (child, address) = spawn(self.folder.path(), &listen, &self.arguments, stderr.into());
        assert_eq!(address, self.address);
        self.child = child;
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.file("state")
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.folder.file("cert.pem")).unwrap()
    }

    /// Returns what `lanparty-relay status` prints.
    pub(crate) fn status(&self) -> Value {
        let output = Command::new(PROGRAM)
            .args(["status", "--state-dir"])
            .arg(self.state())
            .output()
            .unwrap();
        assert!(output.status.success());

        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Ends it, and returns what it has logged. While it runs, lines may be on their way.
    pub(crate) fn end(&mut self) -> String {
        self.terminate();
        assert!(self.wait_for_end(Duration::from_secs(10)).success());

        self.log()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.file(LOG)).unwrap_or_default()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait_for_end(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the relay does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts a relay that must not start and whose standard error nobody reads; returns its exit code.
    pub(crate) fn refused_mute(name: &str, arguments: &[&str], patience: Duration) -> Option<i32> {
        let folder = Scratch::new(name);
        let (_unread, full) = full_pipe();
        let child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--state-dir"])
            .arg(folder.file("state"))
            .args(arguments)
            .stderr(full)
            .spawn()
            .unwrap();
        // Gone with its files, whatever it does.
        let mut relay = Self {
            child,
            folder,
            address: (std::net::Ipv4Addr::LOCALHOST, 0).into(),
            arguments: Vec::new(),
        };

        relay.wait_for_end(patience).code()
    }

    /// Starts a relay that must not start; returns its exit code and what it says.
    pub(crate) fn refused(name: &str, arguments: &[&str]) -> (i32, String) {
        let folder = Scratch::new(name);
        let mut command = Command::new(PROGRAM);
        command.env("STATE_DIRECTORY", folder.file("state"));
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let output = command.args(arguments).output().unwrap();

        (
            output.status.code().unwrap(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

impl Drop for Relay {
    #[expect(clippy::print_stderr, reason = "shown with the test's output")]
    fn drop(&mut self) {
        // It may have ended by itself, which is what some tests are about.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the relay's log:\n{}", self.log());
        }
    }
}

/// Makes a pipe that takes nothing more until somebody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // Whether a pipe waits is shared by all who write to it.
    set_flags(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    set_flags(&writer, OFlags::empty()).unwrap();

    (reader, writer)
}

fn log_file(folder: &Scratch) -> File {
    let mut options = File::options();

    options
        .create(true)
        .append(true)
        .open(folder.file(LOG))
        .unwrap()
}

fn spawn(folder: &Path, listen: &str, arguments: &[String], stderr: Stdio) -> (Child, SocketAddr) {
    let mut child = Command::new(PROGRAM)
        .args(["--listen", listen, "--state-dir"])
        .arg(folder.join("state"))
        .arg("--dev-cert-out")
        .arg(folder.join("cert.pem"))
        .args(arguments)
        .env("SOFTLAN_LOG", "warn")
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("relay ready: "), "{line:?}");
    let address = line
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .unwrap();

    (child, address)
}
