//! A Windows PC without Windows: the real program under Wine, a stand-in for the TAP driver, and the kernel as its IP stack.
//!
//! ```text
//! remote0   tap0 --- wire (a thread here) --- UDP --- faketap.sys --- lanparty-client-win.exe --- wan0
//! ```
//!
//! Everything runs in the remote PC's namespace with a Wine prefix of its own. Wine names interfaces by their numbers, so that the
//! adapter's id is made of `tap0`'s: what Windows would tell of the adapter's IP interface, Wine tells of `tap0`. Calls that Wine lacks
//! are answered by a model (`testing/wine/iphlpapi.c`) that writes down every change.

use std::fs;
use std::io::IoSlice;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_client_tap::{Tap, TapOptions};
use lanparty_device::FrameDevice as _;
use lanparty_offload::VnetHeader;
use lanparty_proto::MacAddr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bed::Bed;
use crate::command::{output, tool};
use crate::link;
use crate::program::{Program, RELAY_PORT};

/// The interface that plays the adapter's IP interface.
pub const TAP: &str = "tap0";

/// The tunnel MAC of the Windows PC.
pub const MAC: MacAddr = MacAddr([0x02, 0x5e, 0x10, 0x00, 0x00, 0x07]);

/// UDP ports of the driver's stand-in and of the wire. They are the namespace's own.
const DRIVER_PORT: u16 = 7001;
const WIRE_PORT: u16 = 7002;

/// Debian's Wine, without the wrapper that asks for its 32-bit half.
const WINE: &str = "/usr/lib/wine/wine64";
const WINE_SERVER: &str = "/usr/lib/wine/wineserver64";

/// How long a small program may take to start and end on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long the wire waits before it looks whether it is to end.
const WIRE_TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// A remote PC that believes to be Windows. Its prefix ends when it is dropped.
#[derive(Debug)]
pub struct WindowsPc<'a> {
    bed: &'a Bed,
    kit: PathBuf,
    folder: PathBuf,
    /// The adapter's id.
    pub adapter: String,
    _wire: Wire,
}

impl Bed {
    /// Makes remote PC 0 a Windows PC with one TAP adapter, whose driver is loaded.
    ///
    /// # Errors
    ///
    /// Returns an error that says what is missing: the program, or what `testing/wine/prepare` makes.
    pub fn windows_pc(&self) -> Result<WindowsPc<'_>> {
        let kit = named("SOFTLAN_WINE_KIT")?;
        let program = named("SOFTLAN_WINDOWS_EXE")?;
        let namespace = self.remote(0);
        namespace.sh("ip link set lo up")?;
        let folder = self.dir().join("windows");
        fs::create_dir_all(&folder)?;
        output(
            tool(concat!(env!("CARGO_MANIFEST_DIR"), "/../wine/prefix"))
                .arg(&kit)
                .arg(folder.join("prefix")),
        )?;
        for file in [
            kit.join("beside/iphlpapi.dll"),
            kit.join("beside/wineiphl.dll"),
            program,
        ] {
            let name = file.file_name().context("a file has a name")?;
            fs::copy(&file, folder.join(name))?;
        }

        let wire = namespace.enter(Wire::start)?;
        let number: u32 = link::attribute((namespace, TAP), "ifindex")?.parse()?;
        let pc = WindowsPc {
            bed: self,
            kit,
            folder,
            adapter: format!("{{{number:08X}-0000-0000-0000-4E6574446576}}"),
            _wire: wire,
        };
        // Otherwise the server ends, and the driver with it, when the next program takes three seconds to start.
        pc.serve("-p")?;
        pc.add_adapter("0007", &pc.adapter, "Ethernet 7", DRIVER_PORT)?;
        pc.control(&["start", &windows_path(&pc.kit.join("faketap.sys"))])?;

        Ok(pc)
    }
}

impl WindowsPc<'_> {
    /// Returns a command that runs `program` of the kit in this PC.
    fn wine(&self, program: &Path) -> Command {
        let mut command = self.bed.remote(0).command(WINE);
        command
            .arg(program)
            .env("WINEPREFIX", self.folder.join("prefix"))
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env("SOFTLAN_NETLOG", windows_path(&self.folder.join("net.log")))
            .env(
                "SOFTLAN_NETMODEL",
                windows_path(&self.folder.join("net.model")),
            );

        command
    }

    /// Starts the prefix's server to stay (`-p`), or ends it with all that runs there (`-k`).
    fn serve(&self, how: &str) -> Result<()> {
        let mut command = self.bed.remote(0).command(WINE_SERVER);
        // A server that stays would keep a pipe open, and whoever reads it waiting.
        command
            .arg(how)
            .env("WINEPREFIX", self.folder.join("prefix"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = command.status()?;
        ensure!(status.success(), "wineserver {how} ended with {status}");

        Ok(())
    }

    /// Runs `faketapctl`.
    ///
    /// # Errors
    ///
    /// Returns an error with its words if it fails.
    pub fn control(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.wine(&self.kit.join("faketapctl.exe"));
        command.args(arguments);
        // Not by a pipe: what the first program starts in a prefix stays, and would keep it open.
        let mut control = Program::start(self.bed.dir(), "faketapctl", command)?;
        let status = control.wait(PATIENCE)?;
        ensure!(status.success(), "{arguments:?}{}", control.story());

        Ok(())
    }

    /// Starts a program that opens the adapter and keeps it.
    ///
    /// # Errors
    ///
    /// Returns an error if the adapter cannot be opened.
    pub fn hold_adapter(&self) -> Result<Program> {
        let mut command = self.wine(&self.kit.join("faketapctl.exe"));
        command.args(["hold", &self.adapter]);
        let mut holder = Program::start(self.bed.dir(), "holder", command)?;
        holder.wait_line("holding")?;

        Ok(holder)
    }

    /// Installs another adapter, whose driver is not loaded.
    ///
    /// # Errors
    ///
    /// Returns an error if the registry cannot be written.
    pub fn add_adapter(&self, key: &str, id: &str, name: &str, port: u16) -> Result<()> {
        let [port, peer] = [port, WIRE_PORT].map(|port| port.to_string());

        self.control(&["add", key, id, name, &port, &peer])
    }

    /// Loads the driver again, so that it sees what was changed.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not load.
    pub fn restart_driver(&self) -> Result<()> {
        self.control(&["stop"])?;

        self.control(&["start", &windows_path(&self.kit.join("faketap.sys"))])
    }

    /// Makes the stand-in for `pnputil` claim success and do nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the prefix cannot be written.
    pub fn break_restart(&self) -> Result<()> {
        Ok(fs::write(self.drive_c().join("pnputil.broken"), "")?)
    }

    /// Returns what `pnputil` was asked, a line each.
    pub fn restarts(&self) -> Vec<String> {
        lines(&self.drive_c().join("pnputil.log"))
    }

    fn drive_c(&self) -> PathBuf {
        self.folder.join("prefix/drive_c")
    }

    /// Returns a command for the program, without arguments that have to do with a room.
    pub fn program(&self) -> Command {
        self.wine(&self.folder.join("lanparty-client-win.exe"))
    }

    /// Returns the command line by which the program looks at the PC and at the relay.
    pub fn doctor_command(&self) -> Command {
        let mut command = self.program();
        command.arg("doctor").args(self.relay_arguments());

        command
    }

    fn relay_arguments(&self) -> [String; 8] {
        [
            "--relay",
            &Bed::relay_address(RELAY_PORT).to_string(),
            "--server-name",
            "lanparty-relay.local",
            "--relay-ca-cert",
            &windows_path(&self.bed.certificate()),
            "--state-dir",
            &windows_path(&self.folder.join("state")),
        ]
        .map(ToOwned::to_owned)
    }

    /// Returns the command line by which the program joins `room`.
    pub fn client_command(&self, room: &str) -> Command {
        let mut command = self.program();
        command.args(self.relay_arguments()).args([
            "--room",
            room,
            "--virtual-mac",
            &MAC.to_string(),
        ]);

        command
    }

    /// Starts the program and waits until it has joined `room`, and has verified what it did to the PC.
    ///
    /// # Errors
    ///
    /// Returns an error with its output if it does not join.
    pub fn start_client(&self, room: &str) -> Result<Program> {
        let mut client = Program::start(self.bed.dir(), "windows", self.client_command(room))?;
        client.wait_line("joined")?;
        client.wait_log("done: add the route 224.0.0.0/4")?;

        Ok(client)
    }

    /// Returns the changes of routes and interfaces, a line each.
    pub fn changes(&self) -> Vec<String> {
        lines(&self.folder.join("net.log"))
    }

    /// Returns the model of routes and interfaces as it is kept: two are equal if a person would see no difference.
    pub fn model(&self) -> Vec<u8> {
        fs::read(self.folder.join("net.model")).unwrap_or_default()
    }

    /// Makes routes and interfaces what they were, as if another program or Windows itself had done it.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn set_model(&self, model: &[u8]) -> Result<()> {
        let beside = self.folder.join("net.model.new");
        fs::write(&beside, model)?;

        Ok(fs::rename(beside, self.folder.join("net.model"))?)
    }

    /// Returns whether something waits to be undone.
    pub fn has_journal(&self) -> bool {
        self.folder.join("state/lanparty-client-undo.json").exists()
    }
}

impl Drop for WindowsPc<'_> {
    fn drop(&mut self) {
        drop(self.serve("-k"));
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();

    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// Returns how Wine calls a file.
fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

fn named(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .with_context(|| {
            format!("{variable} is not set: run these tests by `scripts/build-windows --party`")
        })?;
    ensure!(path.exists(), "{} is not there", path.display());

    Ok(path)
}

/// The cable between the driver's stand-in and `tap0`. It goes with its thread.
#[derive(Debug)]
struct Wire {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// Makes `tap0` in this thread's namespace, and starts to carry its frames.
    fn start() -> Result<Self> {
        let mut tap = Tap::open(&TapOptions {
            name: TAP.to_owned(),
            mac: MAC,
            mtu: 1500,
            offload: false,
            accept_router: false,
        })?;
        tap.set_up(true)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, WIRE_PORT))?;
        socket.connect((Ipv4Addr::LOCALHOST, DRIVER_PORT))?;
        socket.set_nonblocking(true)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&is_over);
        let thread = std::thread::Builder::new()
            .name("wire".to_owned())
            .spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    carry(&mut tap, &socket);
                }
            })?;

        Ok(Self {
            is_over,
            thread: Some(thread),
        })
    }
}

/// Carries what is there, both ways. While the driver is not loaded, frames are lost as on a loose cable.
fn carry(tap: &mut Tap, socket: &UdpSocket) {
    let mut waited = [
        PollFd::new(tap, PollFlags::IN),
        PollFd::new(socket, PollFlags::IN),
    ];
    // Whatever ended the wait, looking finds what is there.
    let _ready = poll(&mut waited, Some(&WIRE_TICK));
    for place in 0..tap.receive().unwrap_or_default() {
        if let Some(received) = tap.received(place) {
            drop(socket.send(received.frame));
        }
    }
    let mut frame = [0; 2048];
    while let Ok(len) = socket.recv(&mut frame) {
        let piece = IoSlice::new(frame.get(..len).unwrap_or_default());
        tap.send(&VnetHeader::NONE, &[piece]);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
