//! PgBouncer, started by the test, before the PostgreSQL server of the tests.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::database::variable;
use super::{eventually, skipped};

/// Another binary than that of the system.
const BINARY: &str = "ORIEL_TEST_PGBOUNCER";

/// Prepared statements are kept for transactions from here on.
const KEEPS_STATEMENTS: (u32, u32) = (1, 21);

/// What a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Session,
    /// The transaction, with what was prepared known over every connection.
    Transaction,
    /// The same as it was in older releases, and is where it is not set.
    ForgetfulTransaction,
}

/// A running pooler; killed when dropped.
pub struct Pooler {
    address: String,
    _process: Child,
    _dir: TempDir,
}

impl Pooler {
    /// None, loudly, where there is none that has this mode.
    pub async fn start(server: &str, mode: Mode) -> Option<Self> {
        let binary = variable(BINARY).unwrap_or_else(|| "/usr/sbin/pgbouncer".into());
        let version = std::process::Command::new(&binary)
            .arg("--version")
            .output();
        let version = match version {
            Ok(output) => String::from_utf8(output.stdout).unwrap(),
            Err(e) => {
                skipped("PgBouncer", &format!("it does not start: {e}"));
                return None;
            }
        };
        let numbers = version.split(|c: char| !c.is_ascii_digit());
        let mut numbers = numbers.filter_map(|number| number.parse().ok());
        let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
        let statements = match mode {
            Mode::Transaction if version < KEEPS_STATEMENTS => {
                skipped("PgBouncer for transactions", &format!("it is {version:?}"));
                return None;
            }
            Mode::Transaction => "max_prepared_statements = 200",
            Mode::Session | Mode::ForgetfulTransaction if version < KEEPS_STATEMENTS => "",
            Mode::Session | Mode::ForgetfulTransaction => "max_prepared_statements = 0",
        };
        let word = if mode == Mode::Session {
            "session"
        } else {
            "transaction"
        };
        let dir = tempfile::tempdir().unwrap();
        // It drops what rights it has, and does not run as root.
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), readable).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = dir.path().join("pgbouncer.ini");
        let (_, host) = server.split_once('@').unwrap();
        let (host, _) = host.split_once('/').unwrap();
        let (host, server_port) = host.split_once(':').unwrap();
        let text = format!(
            "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {word}\ndefault_pool_size = 60\n\
             max_client_conn = 1000\nignore_startup_parameters = extra_float_digits\n{statements}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(&binary);
        if rustix::process::getuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let process = command
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        eventually("the pooler listens", async || {
            tokio::net::TcpStream::connect(&address).await.ok()
        })
        .await;
        Some(Self {
            address,
            _process: process,
            _dir: dir,
        })
    }

    /// A database of that server through the pooler.
    pub fn url(&self, database: &str) -> String {
        through(&self.address, database)
    }
}

/// The URL of a database with another host and port.
pub fn through(address: &str, database: &str) -> String {
    let (user, rest) = database.split_once('@').unwrap();
    let (_, name) = rest.split_once('/').unwrap();
    format!("{user}@{address}/{name}")
}
