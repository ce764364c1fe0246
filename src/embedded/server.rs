//! The listener: takes connections, serves each with the S3 service, and ends in an orderly way.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::Error;
use super::credentials::Credentials;
use super::index::Store;
use super::service::Service;
use crate::net::{Pace, Paced};

/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How fast a client has to take answers: half of what the API asks of its own by default, so that a client there is
/// noticed first.
const PACE: Pace = Pace {
    idle: Duration::from_secs(120),
    bytes_per_second: 8 * 1024,
};

/// What a connection may buffer in each direction, bytes.
const BUFFER: usize = 32 * 1024;

/// How long requests may go on after [`Server::stop`].
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait after a failed accept: out of file descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that runs. Dropping it closes the listener and every connection.
pub(super) struct Server {
    address: SocketAddr,
    connections: TaskTracker,
    /// Those who may yet change the directory.
    locks: TaskTracker,
    /// Cancelled: no new connections, no new requests on those there are.
    closing: CancellationToken,
    /// Dropped: connections end at once.
    closed: DropGuard,
}

/// Takes requests whatever time they tell. Their sender has the same clock, and corrects it by the `Date` of earlier answers:
/// when somebody sets the clock, that is what is wrong.
fn any_time() -> S3Config {
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    config
}

impl Server {
    pub(super) async fn start(
        store: Store,
        credentials: &Credentials,
        address: SocketAddr,
    ) -> Result<Self, Error> {
        let cannot_listen = |source: io::Error| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;

        let locks = store.layout.locks();
        let mut service = S3ServiceBuilder::new(Service::new(Arc::new(store)));
        service.set_auth(SimpleAuth::from_single(
            credentials.access_key(),
            credentials.secret_key(),
        ));
        service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(any_time()))));

        let connections = TaskTracker::new();
        let closed = CancellationToken::new();
        let closing = closed.child_token();
        connections.spawn(accept(
            listener,
            service.build(),
            connections.clone(),
            closing.clone(),
            closed.clone(),
        ));
        Ok(Self {
            address,
            connections,
            locks,
            closing,
            closed: closed.drop_guard(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn stop(self) {
        self.closing.cancel();
        self.connections.close();
        if tokio::time::timeout(GRACE, self.connections.wait())
            .await
            .is_err()
        {
            tracing::warn!("embedded store: closing connections that are still busy");
        }
        drop(self.closed);
        self.connections.wait().await;
        self.locks.close();
        self.locks.wait().await;
    }
}

/// Takes connections until told to close. The service, and with it the store and its lock, lives as long as this task
/// and the connections.
async fn accept(
    listener: TcpListener,
    service: S3Service,
    connections: TaskTracker,
    closing: CancellationToken,
    closed: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve(stream, service.clone(), closing.clone());
                connections.spawn(closed.clone().run_until_cancelled_owned(connection));
            }
            Err(error) => {
                tracing::warn!(%error, "embedded store: cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service, closing: CancellationToken) {
    // Answers are written whole; waiting for more to send would only delay their last packet.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "embedded store: a connection broke before its first request");
        return;
    }
    let stream = Paced::new(stream, PACE);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "embedded store: a connection broke");
    }
}
