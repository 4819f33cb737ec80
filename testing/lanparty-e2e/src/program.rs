//! A program that runs in a namespace: started, watched, signalled, and gone when dropped.

mod commands;
mod install;
mod successor;

use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

pub use self::commands::{RELAY_PORT, ROOM};
pub use self::install::{Installed, Spoil};
use self::successor::SuccessorProcess;

/// How long a program may take to print what a test waits for: generous, machines may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever gets SIGTERM this long and still runs is killed.
const GRACE: Duration = Duration::from_secs(2);

/// A child process with its output in files.
///
/// When dropped it is asked to end, then killed; if the test is failing, its output is shown.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    /// What took over from the child.
    successor: Option<SuccessorProcess>,
    stdout: Output,
    stderr: Output,
}

/// A file of output, and where in it this run begins.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    start: usize,
}

impl Output {
    fn open(path: PathBuf) -> Result<(Self, File)> {
        let file = File::options().create(true).append(true).open(&path)?;
        let start = usize::try_from(file.metadata()?.len())?;

        Ok((Self { path, start }, file))
    }

    fn read(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();

        String::from_utf8_lossy(bytes.get(self.start..).unwrap_or_default()).into_owned()
    }
}

impl Program {
    /// Starts `command`; what it prints goes to `DIR/NAME.out` and `DIR/NAME.err`.
    ///
    /// A program started again under a name continues its files; [`Program::stdout`] tells of this run alone.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be started.
    pub fn start(dir: &Path, name: &str, mut command: Command) -> Result<Self> {
        let (stdout, out) = Output::open(dir.join(format!("{name}.out")))?;
        let (stderr, err) = Output::open(dir.join(format!("{name}.err")))?;
        // A group of its own: Ctrl-C reaches the program through us, in the right order.
        command
            .process_group(0)
            .current_dir(dir)
            .stdout(out)
            .stderr(err);
        let child = command
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;

        Ok(Self {
            name: name.to_owned(),
            child,
            successor: None,
            stdout,
            stderr,
        })
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        (self.successor.as_ref()).map_or_else(|| self.child.id(), |successor| successor.pid)
    }

    /// Asks it to start its successor, and waits until that has taken over.
    ///
    /// # Errors
    ///
    /// Returns an error with all output if none takes over.
    pub fn hand_over(&mut self, patience: Duration) -> Result<()> {
        self.signal(Signal::USR2)?;
        let start = Instant::now();
        while self.is_running() {
            if start.elapsed() > patience {
                bail!("nobody took over from {}{}", self.name, self.story());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = self.stdout();
        let mut successors = said
            .lines()
            .filter_map(|line| line.split_once(" handed over to process "))
            .map(|(_, pid)| pid);
        let successor = successors
            .next_back()
            .and_then(|pid| SuccessorProcess::new(pid.parse().ok()?).ok());
        let successor =
            successor.with_context(|| format!("{} has no successor{}", self.name, self.story()))?;
        self.successor = Some(successor);

        Ok(())
    }

    /// Asks it to start its successor, and kills that `after` it was there.
    ///
    /// # Errors
    ///
    /// Returns an error with all output if none is started within `patience`.
    pub fn kill_successor(&mut self, after: Duration, patience: Duration) -> Result<()> {
        self.signal(Signal::USR2)?;
        let (start, parent) = (Instant::now(), self.pid());
        let successor = loop {
            if let Some(child) = SuccessorProcess::child_of(parent) {
                break child;
            }
            if start.elapsed() > patience {
                bail!("{} starts no successor{}", self.name, self.story());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        std::thread::sleep(after);
        successor.signal(Signal::KILL)?;
        successor.wait(patience);

        Ok(())
    }

    /// Returns everything it has printed on standard output.
    pub fn stdout(&self) -> String {
        self.stdout.read()
    }

    /// Returns the last line it printed on standard output.
    pub fn stdout_line(&self) -> String {
        self.stdout().lines().last().unwrap_or_default().to_owned()
    }

    /// Returns everything it printed on standard error: logs and sentences.
    pub fn stderr(&self) -> String {
        self.stderr.read()
    }

    /// Waits for a line on standard output that contains `part`, and returns it.
    ///
    /// # Errors
    ///
    /// Returns an error with all output if the program ends before, or says nothing for half a minute.
    pub fn wait_line(&mut self, part: &str) -> Result<String> {
        self.wait_for(part, Self::stdout)
    }

    /// Waits for a line on standard error that contains `part`, and returns it.
    ///
    /// # Errors
    ///
    /// As [`Program::wait_line`].
    pub fn wait_log(&mut self, part: &str) -> Result<String> {
        self.wait_for(part, Self::stderr)
    }

    fn wait_for(&mut self, part: &str, text: impl Fn(&Self) -> String) -> Result<String> {
        let start = Instant::now();
        loop {
            // First the end, then the text: a last line before the end is not missed.
            let ended = self.ended()?;
            if let Some(line) = text(self).lines().find(|line| line.contains(part)) {
                return Ok(line.to_owned());
            }
            if let Some(status) = ended {
                bail!(
                    "{} ended ({status}) before it said {part:?}{}",
                    self.name,
                    self.story()
                );
            }
            if start.elapsed() > PATIENCE {
                bail!(
                    "{} did not say {part:?} in {PATIENCE:?}{}",
                    self.name,
                    self.story()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// Returns an error if the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(successor) = &self.successor {
            return successor.signal(signal);
        }
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("not a process id")?;
        kill_process(pid, signal).with_context(|| format!("failed to signal {}", self.name))?;

        Ok(())
    }

    /// Returns whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.ended(), Ok(None))
    }

    /// Returns how it ended, if it did. Of a successor only its parent would learn more than that.
    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &self.successor {
            Some(successor) if successor.is_running() => Ok(None),
            Some(_) | None => Ok(self.child.try_wait()?),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// Returns an error with all output if it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > patience {
                bail!(
                    "{} still runs after {patience:?}{}",
                    self.name,
                    self.story()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends `signal` and waits for a clean end (exit code 0) within `patience`.
    ///
    /// # Errors
    ///
    /// Returns an error with all output if it ends otherwise or not at all.
    pub fn stop(&mut self, signal: Signal, patience: Duration) -> Result<()> {
        self.signal(signal)?;
        let status = self.wait(patience)?;
        if !status.success() {
            bail!(
                "{} ended with {status} (signal {:?}){}",
                self.name,
                status.signal(),
                self.story()
            );
        }

        Ok(())
    }

    /// Kills it as `kill -9` does, and waits for the end.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not die.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(successor) = &self.successor {
            successor.signal(Signal::KILL)?;
            successor.wait(PATIENCE);
        }
        self.child.kill()?;
        self.child.wait()?;

        Ok(())
    }

    /// Returns all it said, for a failure's report.
    pub fn story(&self) -> String {
        format!(
            "\n--- {} says:\n{}--- {} logs:\n{}",
            self.name,
            self.stdout(),
            self.name,
            self.stderr()
        )
    }
}

impl Drop for Program {
    #[expect(
        clippy::print_stderr,
        reason = "a failing test shows what its programs said"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story());
        }
        if self.is_running() && self.signal(Signal::TERM).is_ok() {
            drop(self.wait(GRACE));
        }
        drop(self.kill());
    }
}

/// Returns the path of one of softlan's programs.
///
/// Programs lie beside the test's own folder (`target/debug`); `SOFTLAN_BIN_DIR` names another folder.
///
/// # Errors
///
/// Returns an error that says how to build it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("SOFTLAN_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => own_folder()?,
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{} is not built: run `cargo build --workspace` first",
            path.display()
        );
    }

    Ok(path)
}

/// Returns `target/PROFILE` for a test (in `deps/`) and for a program alike.
fn own_folder() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("failed to find the own executable")?;
    let folder = executable
        .parent()
        .context("an executable lies in a folder")?;

    Ok(if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    }
    .to_owned())
}
