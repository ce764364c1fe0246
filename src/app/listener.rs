//! Sockets to HTTP connections, with the limits that keep a slow or silent client from holding one for ever.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After a failed accept (too many open files), so that the loop does not spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// What one connection may buffer in each direction, bytes. hyper's own 400 KiB are no faster and would cost 64 slow
/// downloads twice the memory.
const BUFFER: usize = 128 * 1024;

/// Time limits of a connection. Bodies have their own, per frame, where they are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For the head of a request, also while the connection idles between two.
    pub(super) header_timeout: Duration,
    /// For a client that takes no byte of an answer.
    pub(super) write_idle_timeout: Duration,
}

/// The open connections of the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections {
    tasks: TaskTracker,
    finish: CancellationToken,
    cut: CancellationToken,
}

impl Connections {
    /// Asks every connection to end after its request and waits up to `patience`.
    pub(super) async fn finish(&self, patience: Duration) {
        self.finish.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(patience, self.tasks.wait()).await;
    }

    /// Ends what is left. Clients see a broken connection, never a short body that looks whole.
    pub(super) async fn cut(&self) {
        self.cut.cancel();
        self.tasks.wait().await;
    }
}

/// Accepts connections until `stop` is cancelled.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    connections: Connections,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve(stream, router.clone(), limits, connections.clone());
                connections.tasks.spawn(serving);
            }
            Err(e) => {
                tracing::warn!(
                    error = &e as &dyn std::error::Error,
                    "connection not accepted"
                );
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router, limits: Limits, connections: Connections) {
    // Answers are written whole; waiting for more to send only adds latency.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_idle_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(BUFFER)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(router),
        );
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = connections.cut.cancelled() => return,
        () = connections.finish.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = connections.cut.cancelled() => return,
            }
        }
    };
    if let Err(e) = ended {
        tracing::debug!(error = &e as &dyn std::error::Error, "connection ended");
    }
}
