//! nginx as a plain reverse proxy, the yardstick of downloads.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::http::free_port;
use crate::process::{Process, children_of};

/// How long nginx may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Where the program may be: Debian keeps it outside the search path of ordinary users.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// The two ways in which nginx is set up. Response buffering is off in both.
#[derive(Clone, Copy, Debug)]
pub enum Buffers {
    /// Those that nginx has when nothing is said: one page.
    Default,
    /// 256 KiB.
    Large,
}

impl Buffers {
    /// How the report calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "nginx, buffering off",
            Self::Large => "nginx, buffering off, 256 KiB buffers",
        }
    }

    fn directives(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Large => "proxy_buffer_size 256k; proxy_buffers 8 256k;",
        }
    }
}

/// An installed nginx.
#[derive(Clone, Debug)]
pub struct Program {
    path: &'static str,
    /// As it reports it: `nginx/1.22.1`.
    pub version: String,
}

impl Program {
    /// Finds nginx, if it is installed.
    pub async fn find() -> Option<Self> {
        for path in PROGRAMS {
            let Ok(output) = Command::new(path).arg("-v").output().await else {
                continue;
            };
            let text = String::from_utf8_lossy(&output.stderr);
            if let Some((_, version)) = text.trim().split_once("version: ") {
                let version = version.to_owned();
                return Some(Self { path, version });
            }
        }
        None
    }
}

/// A running nginx with one worker process.
#[derive(Debug)]
pub struct Nginx {
    /// Master and worker. Before the process itself is dropped they are all alive.
    pub pids: Vec<u32>,
    /// `host:port` where it listens.
    pub authority: String,
    _process: Process,
}

impl Nginx {
    /// Starts nginx in front of the server at `upstream` (`host:port`), with all its files in `dir`.
    ///
    /// # Errors
    /// If it ends or does not listen in time, with its last words.
    pub async fn start(
        program: &Program,
        buffers: Buffers,
        upstream: &str,
        dir: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        let address = free_port()?;
        let config = dir.join("nginx.conf");
        let authority = address.to_string();
        fs::write(&config, configuration(buffers, upstream, &authority, dir))
            .context("write nginx.conf")?;
        let mut process = Process::spawn(
            Command::new(program.path)
                .arg("-p")
                .arg(dir)
                .arg("-e")
                .arg("stderr")
                .arg("-c")
                .arg(&config),
            &dir.join("nginx.log"),
        )?;
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            process.ensure_running().context("nginx")?;
            if started.elapsed() > START_LIMIT {
                bail!("nginx does not listen:\n{}", process.last_words());
            }
            sleep(Duration::from_millis(5)).await;
        }
        // The master listens before it has made the worker.
        let master = process.pid()?;
        let mut pids = children_of(master)?;
        while pids.is_empty() {
            ensure!(started.elapsed() < START_LIMIT, "nginx makes no worker");
            sleep(Duration::from_millis(5)).await;
            pids = children_of(master)?;
        }
        pids.push(master);
        Ok(Self {
            pids,
            authority,
            _process: process,
        })
    }
}

fn configuration(buffers: Buffers, upstream: &str, authority: &str, dir: &Path) -> String {
    let extra = buffers.directives();
    let dir = dir.display();
    format!(
        r#"daemon off;
worker_processes 1;
pid "{dir}/nginx.pid";
events {{ }}
http {{
    access_log off;
    client_body_temp_path "{dir}/client";
    proxy_temp_path "{dir}/proxy";
    fastcgi_temp_path "{dir}/fastcgi";
    uwsgi_temp_path "{dir}/uwsgi";
    scgi_temp_path "{dir}/scgi";
    server {{
        listen {authority};
        location / {{
            proxy_pass http://{upstream};
            proxy_buffering off;
            {extra}
        }}
    }}
}}
"#
    )
}
