//! What every test of behaviour uses: the service on a free port over a real S3 server, a client, a proxy that breaks
//! things on the wire, and content that needs no files.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that goes wrong"
)]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod app;
pub mod audit;
pub mod authority;
pub mod beside;
pub mod child;
pub mod client;
pub mod cluster;
pub mod content;
pub mod copies;
pub mod database;
pub mod disk;
pub mod identity;
pub mod link;
pub mod pooler;
pub mod proxy;
pub mod rbac;
pub mod scripted;
pub mod servers;
pub mod stage;
pub mod store;
pub mod tokens;
pub mod told;
pub mod upload;
pub mod web;

use std::io::Write;
use std::time::Duration;

/// How long a condition may take to come true; generous, since it is only waited out by a failing test.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` gives a value, looking again and again.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, looking).await {
        Ok(value) => value,
        Err(_) => panic!("not within {DEADLINE:?}: {what}"),
    }
}

/// Says that something was not tested, and why: on the standard error itself, since the harness shows nothing of what
/// tests that pass print, and on a line of its own, for scripts that count.
pub fn skipped(what: &str, reason: &str) {
    say(&format!("SKIPPED: {what}: {reason}"));
}

/// The same for a real store, in words that are not counted: its starter has said so.
pub fn skipped_store(name: &str, reason: &str) {
    say(&format!("SKIPPED store {name}: {reason}"));
}

/// Says what a long test has done, on a line of its own.
pub fn say(line: &str) {
    // With one thread the harness has begun a line.
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}
