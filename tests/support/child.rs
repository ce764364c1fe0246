//! The binary, run as a process of its own.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::client::Client;
use super::eventually;

const BINARY: &str = env!("CARGO_BIN_EXE_oriel");

/// What a command that ends by itself printed.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the binary to its end.
pub async fn oriel(arguments: &[&str]) -> Output {
    let output = Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(super::DEADLINE, output)
        .await
        .expect("the command ends by itself")
        .unwrap();
    Output {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `oriel serve`; killed when dropped.
pub struct Server {
    pub client: Client,
    process: Child,
    log: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Server {
    /// Starts it on a configuration file with `server.listen = "127.0.0.1:0"`, and waits until it says its address.
    pub async fn start(config: &Path) -> Self {
        // A file that may not grow is then an error of the write, as on a full disk, and no signal.
        let mut process = Command::new("sh")
            .args([
                "-c",
                "trap '' XFSZ; exec \"$@\"",
                "sh",
                BINARY,
                "serve",
                "--config",
            ])
            .arg(config)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let shared = Arc::clone(&log);
        #[expect(clippy::disallowed_methods, reason = "ends with the process")]
        let reading = tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                let mut log = shared.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let address = eventually("the service says its address", async || {
            let log = log.lock().unwrap();
            let (_, rest) = log.split_once("listen=")?;
            rest.split_whitespace().next()?.parse().ok()
        })
        .await;
        Self {
            client: Client::new(address),
            process,
            log,
            reading,
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Forbids the process files longer than so many bytes, `None` for any: a disk that is full for the catalog.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let pid = i32::try_from(self.process.id().expect("it runs")).unwrap();
        let limits = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Pid::from_raw(pid), Resource::Fsize, limits).unwrap();
    }

    /// Memory it has now, and had at most, in RAM.
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    pub fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let id = self.process.id().expect("it still runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Sends SIGTERM.
    pub async fn terminate(&self) {
        terminate(&self.process);
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Waits until it has ended by itself; gives its status and its whole log.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = tokio::time::timeout(super::DEADLINE, self.process.wait())
            .await
            .expect("the service ends")
            .unwrap();
        self.reading.await.unwrap();
        let log = self.log.lock().unwrap().clone();
        (status, log)
    }
}

/// A running `oriel dev`; killed when dropped.
pub struct Laptop {
    pub client: Client,
    process: Child,
    /// What it goes on to print: into a closed pipe it could not.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Laptop {
    /// Starts it on a free port, and waits until it says its address.
    pub async fn start(data_dir: &Path) -> Self {
        let mut process = Command::new(BINARY)
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(super::DEADLINE, lines.next_line()).await;
        let first = first.expect("it says its address").unwrap().unwrap();
        let (_, address) = first.split_once("http://").unwrap();
        let address = address.split(';').next().unwrap().parse().unwrap();
        Self {
            client: Client::new(address),
            process,
            _stdout: lines,
        }
    }

    /// Stops it and waits for its end.
    pub async fn terminate(mut self) {
        terminate(&self.process);
        let ended = tokio::time::timeout(super::DEADLINE, self.process.wait()).await;
        assert!(ended.expect("the service ends").unwrap().success());
    }
}

/// Sends SIGTERM, by the system call: a small system has no program `kill`.
fn terminate(process: &Child) {
    let id = process.id().expect("it still runs").cast_signed();
    let id = Pid::from_raw(id).expect("a process has a number above zero");
    kill_process(id, Signal::TERM).unwrap();
}
