//! Child processes that never outlive the bench, and what the kernel says about them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command as BlockingCommand, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long a process may take to end by itself after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Clock ticks per second in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux that Rust's standard library
/// supports. A figure of CPU time is therefore no finer than 10 ms.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running child process whose output goes to a file. Dropping it ends it: SIGTERM, then SIGKILL after [`GRACE`].
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` without input and with all its output in `log`.
    ///
    /// # Errors
    /// If the log cannot be made or the program cannot be started.
    pub fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("make {}", log.display()))?;
        let copy = file.try_clone().context("share the log")?;
        Self::start(command.stdin(Stdio::null()).stdout(copy).stderr(file), log)
    }

    /// Starts `command` with pipes to its input and from its output, and its error output in `log`.
    ///
    /// # Errors
    /// If the log cannot be made or the program cannot be started.
    pub fn spawn_piped(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("make {}", log.display()))?;
        Self::start(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(file),
            log,
        )
    }

    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let program = command.as_std().get_program().to_owned();
        let child = command
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// The process id.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn pid(&self) -> Result<u32> {
        self.child
            .id()
            .ok_or_else(|| anyhow!("a measured process has ended"))
    }

    /// The child itself, to take its pipes.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Fails with the end of the log if the process has ended.
    ///
    /// # Errors
    /// As said.
    pub fn ensure_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "ended with {status}; its last words:\n{}",
                self.last_words()
            );
        }
        Ok(())
    }

    /// The last lines of the log.
    pub fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    /// Blocks until the process has ended. SIGTERM comes first because nginx ends its workers on it, and Oriel rolls
    /// back what is under way.
    fn drop(&mut self) {
        let Some(pid) = self.child.id() else {
            return;
        };
        // The shell's own `kill`: the standard library can only send SIGKILL. The child is not reaped yet, so its id
        // cannot have passed to another process.
        let asked = BlockingCommand::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid.to_string()])
            .stderr(Stdio::null())
            .status();
        let deadline = Instant::now() + GRACE;
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        // `kill_on_drop` does the rest.
    }
}

/// User and system CPU time in seconds that the processes have used so far, their ended threads included.
///
/// # Errors
/// If one of them has ended or the kernel's line cannot be read.
pub fn cpu_seconds(pids: &[u32]) -> Result<f64> {
    pids.iter()
        .map(|pid| cpu_seconds_in(Path::new(&format!("/proc/{pid}/stat"))))
        .sum()
}

/// User and system CPU time in seconds that the calling thread has used so far.
///
/// # Errors
/// If the kernel's line cannot be read.
pub fn thread_cpu_seconds() -> Result<f64> {
    cpu_seconds_in(Path::new("/proc/thread-self/stat"))
}

fn cpu_seconds_in(path: &Path) -> Result<f64> {
    let stat = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    // proc_pid_stat(5): utime and stime are fields 14 and 15.
    let ticks = |field| -> Option<u64> { stat_field(&stat, field)?.parse().ok() };
    let (user, system) = ticks(14).zip(ticks(15)).context("fields of stat")?;
    Ok((user + system) as f64 / TICKS_PER_SECOND)
}

/// The field of a line of `/proc/PID/stat`, by the number that proc_pid_stat(5) gives it (3 or more): the second, the
/// program's name in parentheses, may hold blanks and parentheses itself.
fn stat_field(stat: &str, field: usize) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(field - 3)
}

/// The processes whose parent is `pid`.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn children_of(pid: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let entry = entry.context("read /proc")?;
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end between the listing and this line.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if stat_field(&stat, 4).and_then(|parent| parent.parse().ok()) == Some(pid) {
            children.push(child);
        }
    }
    Ok(children)
}

/// The resident memory of a process in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// Now (`VmRSS`).
    pub now_mib: f64,
    /// At its highest since the process started (`VmHWM`).
    pub peak_mib: f64,
}

/// Reads the resident memory of a process.
///
/// # Errors
/// If the process has ended.
pub fn resident(pid: u32) -> Result<Resident> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let mib = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        Some(kib / 1024.0)
    };
    let (now_mib, peak_mib) = mib("VmRSS:").zip(mib("VmHWM:")).context("VmRSS, VmHWM")?;
    Ok(Resident { now_mib, peak_mib })
}
