//! A PostgreSQL server of the test's own, which it may crash, and a standby of it. It listens on a socket in its folder, so it
//! needs no port.
//!
//! It does not wait for the disk: what ends is the server's processes and never the machine, so what they have written stays.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::link::Target;
use super::{database, eventually, skipped};

/// Who runs the server where this is root, which it refuses. The package makes this user.
const USER: &str = "postgres";

const SETTINGS: &str =
    "fsync = off\nfull_page_writes = off\nmax_connections = 200\nshared_buffers = '64MB'\n";

/// How a standby is known to its primary.
const STANDBY: &str = "standby";

/// A running server.
pub struct Cluster {
    dir: TempDir,
    programs: PathBuf,
    process: Child,
}

impl Cluster {
    /// A new one. `None` where there are no programs for it, which is said.
    pub async fn start(what: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            skipped(what, "needs the programs of PostgreSQL");
            return None;
        };
        let Some(dir) = folder() else {
            skipped(what, "needs a user postgres, since this is root");
            return None;
        };
        let data = dir.path().join("data");
        let mut make = as_user(&programs.join("initdb"));
        make.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]);
        make.args(["--locale=C.UTF-8", "-D"]).arg(&data);
        succeed(&mut make).await;
        let config = data.join("postgresql.conf");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text + SETTINGS).unwrap();
        let process = spawn(&programs, dir.path());
        let mut cluster = Self {
            dir,
            programs,
            process,
        };
        cluster.until_ready().await;
        Some(cluster)
    }

    /// A copy that follows this one; from now on a commit here is answered when it is there as well.
    pub async fn add_standby(&self) -> Self {
        let dir = folder().expect("it was there for the primary");
        let mut copy = as_user(&self.programs.join("pg_basebackup"));
        copy.args(["-X", "stream", "-c", "fast", "-N", "-R", "-d"]);
        copy.arg(format!(
            "host={} user=postgres application_name={STANDBY}",
            self.dir.path().display()
        ));
        succeed(copy.arg("-D").arg(dir.path().join("data"))).await;
        let process = spawn(&self.programs, dir.path());
        let mut standby = Self {
            dir,
            programs: self.programs.clone(),
            process,
        };
        standby.until_ready().await;
        let pool = self.pool().await;
        let wait = format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'");
        let wait = sqlx::raw_sql(sqlx::AssertSqlSafe(wait));
        wait.execute(&pool).await.unwrap();
        let reload = sqlx::raw_sql("SELECT pg_reload_conf()");
        reload.execute(&pool).await.unwrap();
        eventually("the standby is synchronous", async || {
            let state = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
            sqlx::query(state).fetch_optional(&pool).await.unwrap()
        })
        .await;
        pool.close().await;
        standby
    }

    /// A standby becomes a primary.
    pub async fn promote(&self) {
        let pool = self.pool().await;
        let promote = sqlx::query_scalar("SELECT pg_promote(true)");
        let is_promoted: bool = promote.fetch_one(&pool).await.unwrap();
        assert!(is_promoted);
        pool.close().await;
    }

    /// Where it listens.
    pub fn target(&self) -> Target {
        Target::Unix(self.dir.path().join(".s.PGSQL.5432"))
    }

    /// Connections past every link.
    pub async fn pool(&self) -> PgPool {
        let pool = PgPoolOptions::new().max_connections(2);
        pool.connect_with(self.options()).await.unwrap()
    }

    fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().socket(self.dir.path());
        options.username("postgres").database("postgres")
    }

    /// Ends it with a signal, as the system or a failing machine would.
    pub async fn crash(&mut self, signal: Signal) {
        if let Some(id) = self.process.id() {
            let id = Pid::from_raw(id.cast_signed()).expect("a process has a number above zero");
            kill_process(id, signal).unwrap();
        }
        self.process.wait().await.unwrap();
    }

    /// Runs it again after a crash.
    pub async fn restart(&mut self) {
        self.process = spawn(&self.programs, self.dir.path());
        self.until_ready().await;
    }

    /// Ends it for good, before its folder goes.
    pub async fn stop(mut self) {
        self.crash(Signal::QUIT).await;
    }

    async fn until_ready(&mut self) {
        let options = self.options();
        let log = self.dir.path().join("log");
        let Self {
            process,
            programs,
            dir,
        } = self;
        eventually("PostgreSQL answers", async || {
            // As long as a process of a server that was killed has not noticed, its data is refused to another.
            if let Some(ended) = process.try_wait().unwrap() {
                let text = std::fs::read_to_string(&log).unwrap();
                assert!(
                    text.contains("still in use") || text.contains("lock file"),
                    "{ended}: {text}"
                );
                *process = spawn(programs, dir.path());
            }
            let connection = sqlx::ConnectOptions::connect(&options).await.ok()?;
            sqlx::Connection::close(connection).await.ok()
        })
        .await;
    }
}

/// The folder of the newest server there is; Debian keeps them apart and out of the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter();
    let mut folders: Vec<PathBuf> = versions
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.sort_by_key(|folder| {
        let version = folder.parent()?.file_name()?.to_str()?.parse::<u32>();
        version.ok()
    });
    let path = database::variable("PATH").unwrap_or_default();
    let mut all = folders
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&path));
    all.find(|folder| {
        ["postgres", "initdb", "pg_basebackup"]
            .iter()
            .all(|program| folder.join(program).is_file())
    })
}

/// A folder that the server's user owns; `None` where there is no such user.
fn folder() -> Option<TempDir> {
    // Not where the checkout is: that user may not be able to look there, and the path of a socket has to be short.
    let dir = tempfile::tempdir().unwrap();
    if geteuid().is_root() {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let user = users.lines().find(|line| line.starts_with("postgres:"))?;
        let number = user.split(':').nth(2).unwrap().parse().unwrap();
        chown(dir.path(), Some(number), None).unwrap();
    }
    Some(dir)
}

fn as_user(program: &Path) -> Command {
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--clear-groups", "--reuid", USER, "--regid", USER]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn spawn(programs: &Path, dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join("log")).unwrap();
    as_user(&programs.join("postgres"))
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-k")
        .arg(dir)
        .args(["-h", ""])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn succeed(command: &mut Command) {
    let output = command.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
}
