//! Sockets to HTTP connections, with the limits that keep a slow or silent client from holding one for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::connections::{Connections, Holding, Place};
use super::tls::Tls;
use crate::net::{Broken, Pace, Paced, Socket};

/// After a failed accept (too many open files), so that the loop does not spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// What one connection may buffer in each direction, bytes, and so the longest head of a request. Larger ones are no
/// faster, and would cost what many slow clients can hold.
const BUFFER: usize = 32 * 1024;

/// Time limits of a connection. Bodies have their own, per frame, where they are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For the head of a request, also while the connection idles between two.
    pub(super) header_timeout: Duration,
    /// How fast a client has to take answers.
    pub(super) pace: Pace,
}

/// Accepts connections until `stop` is cancelled.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
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
                let place = tokio::select! {
                    place = connections.place() => place,
                    () = stop.cancelled() => return,
                };
                let serving = begin(
                    stream,
                    tls.clone(),
                    router.clone(),
                    limits,
                    place,
                    connections.cut.clone(),
                );
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

/// Serves a connection, after the handshake where there is one. It is this connection's own task that shakes hands, so a
/// client that stalls holds up nobody else.
async fn begin(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Limits,
    place: Place,
    cut: CancellationToken,
) {
    // Answers are written whole; waiting for more to send only adds latency.
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream);
    let stream = Paced::new(socket.clone(), limits.pace);
    let Some(tls) = tls else {
        return serve(stream, socket, router, limits, place, cut).await;
    };
    let bounded = |connection: &mut ServerConnection| connection.set_buffer_limit(Some(BUFFER));
    let handshake = async { tls.acceptor().await.accept_with(stream, bounded).await };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(limits.header_timeout, handshake) => shaken,
        () = place.left() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve(stream, socket, router, limits, place, cut).await,
        Ok(Err(e)) => tracing::debug!(error = &e as &dyn std::error::Error, "no TLS handshake"),
        Err(_) => tracing::debug!("the TLS handshake took too long"),
    }
}

/// Answers that have no content by their status have no length either (RFC 9110, 8.6); the router gives them one.
fn without_length(mut response: Response) -> Response {
    if matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response
}

/// Speaks HTTP over `stream`, which may be TLS over `socket`.
async fn serve<S>(
    stream: S,
    socket: Socket,
    router: Router,
    limits: Limits,
    place: Place,
    cut: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = Broken::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        let (router, busy) = (router.clone(), place.busy());
        request.extensions_mut().insert(broken.clone());
        async move {
            let response = without_length(router.oneshot(request).await?);
            Ok::<_, Infallible>(response.map(|body| Holding { body, _busy: busy }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(BUFFER)
        // A client may end its side behind its request. One that has gone is noticed by its body, or by what is written.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // HTTP itself finds out when it next reads or writes; a request may wait for something else till then.
    let telling = async {
        socket.broken().await;
        broken.set();
        std::future::pending().await
    };
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = telling => return,
        () = cut.cancelled() => return,
        () = place.left() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = cut.cancelled() => return,
            }
        }
    };
    if let Err(e) = ended {
        tracing::debug!(error = &e as &dyn std::error::Error, "connection ended");
    }
}
