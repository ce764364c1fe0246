//! An S3-shaped sink and source without a disk, in a process of its own.
//!
//! What it costs is taken out of the figures twice: it is a separate process, so its CPU time is not counted, and it
//! keeps no bytes, so no disk is ever the limit. It is not a store to test against: it believes every client.

mod server;
mod throttle;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use http::{Method, StatusCode};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::http::{Connection, bytes};
use crate::process::Process;
use throttle::Throttle;

/// The bucket that the configuration of Oriel names. The null store answers for every bucket.
pub const BUCKET: &str = "images";

/// The first argument that makes the bench binary a null store.
pub const ARGUMENT: &str = "null-store";

/// A running null store.
#[derive(Debug)]
pub struct NullStore {
    _process: Process,
    pub address: SocketAddr,
}

impl NullStore {
    /// Starts one, which takes no more than `bytes_per_second` over all connections if that is given.
    ///
    /// # Errors
    /// If the process does not start.
    pub async fn start(dir: &Path, bytes_per_second: Option<u64>) -> Result<Self> {
        let program = std::env::current_exe().context("find the bench binary")?;
        let mut process = Process::spawn_piped(
            Command::new(program)
                .arg(ARGUMENT)
                .args(bytes_per_second.map(|rate| rate.to_string())),
            &dir.join("null-store.log"),
        )?;
        let stdout = process.child_mut().stdout.take().context("its stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        process.ensure_running().context("null store")?;
        let address = line.trim().parse().context("address of the null store")?;
        Ok(Self {
            _process: process,
            address,
        })
    }

    /// The bytes of objects and parts that it has taken in all.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn taken_bytes(&self) -> Result<u64> {
        let answer = Connection::open(self.address)
            .await?
            .call(
                Method::GET,
                server::TAKEN_PATH,
                &[],
                bytes(""),
                StatusCode::OK,
            )
            .await?;
        let answer = String::from_utf8(answer).context("bytes taken")?;
        answer.parse().context("bytes taken")
    }
}

/// Is the null store: listens on a free port of 127.0.0.1, writes the address as a line to standard output and serves
/// until standard input ends, that is until the parent is gone, however it went.
///
/// # Errors
/// If no port is free.
pub async fn run(bytes_per_second: Option<u64>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    let line = format!("{}\n", listener.local_addr().context("listen")?);
    let mut stdout = std::io::stdout();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()?;
    let parent_gone = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    tokio::select! {
        () = server::serve(listener, bytes_per_second.map(Throttle::new)) => {}
        _ = parent_gone => {}
    }
    Ok(())
}
