//! The addresses of hosts, from the resolver of the system.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::host::Host;
use super::refused::Refused;

/// Names looked up at once. Each is a thread until the system gives up, however soon the caller has.
const LOOKUPS_AT_ONCE: usize = 32;

#[derive(Debug)]
pub(super) struct Resolver {
    permits: Arc<Semaphore>,
    time_limit: Duration,
}

impl Resolver {
    pub(super) fn new(time_limit: Duration) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)),
            time_limit,
        }
    }

    /// All that the host leads to; never none.
    ///
    /// # Errors
    /// [`Refused::Unresolved`].
    pub(super) async fn resolve(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let name = match host {
            Host::Address(address) => return Ok(vec![(*address, port).into()]),
            Host::Name(name) => name.clone(),
        };
        let looking = async {
            let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
            let lookup = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                (name.as_str(), port).to_socket_addrs().ok()
            });
            let addresses: Vec<SocketAddr> = lookup.await.ok()??.collect();
            (!addresses.is_empty()).then_some(addresses)
        };
        let found = tokio::time::timeout(self.time_limit, looking).await;
        found
            .unwrap_or_default()
            .ok_or_else(|| Refused::unresolved(host))
    }
}
