//! What every test of behaviour uses: the service on a free port over a real S3 server, a client, a proxy that breaks
//! things on the wire, and content that needs no files.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that goes wrong"
)]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod app;
pub mod child;
pub mod client;
pub mod content;
pub mod proxy;
pub mod store;
pub mod tokens;
pub mod upload;

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
