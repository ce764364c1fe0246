//! One request and its answer, on a connection of their own to addresses that were checked.
//!
//! Nobody else reads from the connection: what is not asked for stays in the socket.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body::Body;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};

use super::error::Error;
use super::url::Url;

/// The most that is read at once, and the largest head of an answer, bytes.
const BUFFER: usize = 64 * 1024;

const USER_AGENT: &str = concat!("oriel/", env!("CARGO_PKG_VERSION"));

/// How long a source may take to close the connection after its last byte, or to give more than it promised away.
const LINGER: Duration = Duration::from_secs(1);

/// Of a name with more addresses these are tried; the time to connect is shared among them.
const ADDRESSES_TRIED: usize = 16;

type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connection = http1::Connection<Socket, Empty<Bytes>>;

/// How requests are made.
pub(super) struct Connector {
    pub(super) tls: ClientConfig,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
}

/// Bytes from an offset on, of the data that has this ETag alone.
pub(super) struct Rest<'a> {
    pub(super) first: u64,
    pub(super) etag: &'a HeaderValue,
}

/// An answer whose data has still to come.
pub(super) struct Exchange {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    connection: Connection,
    read_timeout: Duration,
}

impl Connector {
    /// Connects to one of the addresses, asks for the data or for the rest of it, and reads the head of the answer.
    pub(super) async fn get(
        &self,
        url: &Url,
        addresses: Vec<SocketAddr>,
        rest: Option<&Rest<'_>>,
    ) -> Result<Exchange, Error> {
        let request = request(url, rest)?;
        let socket = self.connect(url, addresses).await?;
        let exchange = exchange(socket, request, self.read_timeout);
        let exchange = tokio::time::timeout(self.read_timeout, exchange).await;
        exchange.unwrap_or(Err(Error::Silent(self.read_timeout)))
    }

    async fn connect(&self, url: &Url, mut addresses: Vec<SocketAddr>) -> Result<Socket, Error> {
        addresses.truncate(ADDRESSES_TRIED);
        let mut tcp = HttpConnector::new_with_resolver(Checked(addresses));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let place = url.place().map_err(|e| Error::unreachable(&e))?;
        // The handshake counts, which the connector's own limit does not.
        let limit = self.connect_timeout;
        let socket = tokio::time::timeout(limit, connector.oneshot(place)).await;
        socket
            .map_err(|_| Error::Unreachable(format!("no connection within {limit:?}")))?
            .map_err(|e| Error::unreachable(e.as_ref()))
    }
}

/// Gives out the addresses that were checked, whatever the name leads to by now.
#[derive(Clone)]
struct Checked(Vec<SocketAddr>);

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}

fn request(url: &Url, rest: Option<&Rest<'_>>) -> Result<Request<Empty<Bytes>>, Error> {
    let mut request = Request::get(url.path.clone())
        .header(header::HOST, url.authority())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close");
    if let Some(rest) = rest {
        request = request
            .header(header::RANGE, format!("bytes={}-", rest.first))
            .header(header::IF_RANGE, rest.etag);
    }
    let request = request.body(Empty::new());
    request.map_err(|e| Error::unreachable(&e))
}

async fn exchange(
    socket: Socket,
    request: Request<Empty<Bytes>>,
    read_timeout: Duration,
) -> Result<Exchange, Error> {
    let handshake = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(socket)
        .await;
    let (mut sender, mut connection) = handshake.map_err(|e| Error::headless(&e))?;
    let mut answering = pin!(sender.send_request(request));
    let answer = poll_fn(|cx| {
        if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        poll_work(&mut connection, cx);
        answering.as_mut().poll(cx)
    });
    let (head, body) = answer.await.map_err(|e| Error::headless(&e))?.into_parts();
    Ok(Exchange {
        status: head.status,
        headers: head.headers,
        body,
        connection,
        read_timeout,
    })
}

/// Reads and writes. An error is told to who waits for an answer, or reads its body.
fn poll_work(connection: &mut Connection, cx: &mut Context<'_>) {
    let _ = connection.poll_without_shutdown(cx);
}

impl Exchange {
    /// How many bytes the data has, where the head says so.
    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes, `None` at the end. What has no other end than that of the connection must not be read: it looks whole
    /// when it is not.
    ///
    /// # Errors
    /// [`Error::Silent`], [`Error::Ended`].
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let limit = self.read_timeout;
        let reading = async {
            while let Some(frame) = poll_fn(|cx| self.poll_frame(cx)).await {
                let frame = frame.map_err(|_| Error::Ended)?;
                if let Ok(bytes) = frame.into_data()
                    && !bytes.is_empty()
                {
                    return Ok(Some(bytes));
                }
            }
            Ok(None)
        };
        let read = tokio::time::timeout(limit, reading).await;
        read.unwrap_or(Err(Error::Silent(limit)))
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            return polled;
        }
        poll_work(&mut self.connection, cx);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    /// Whether bytes come after all that was promised. The request has asked to close the connection then; a source that does not is
    /// not waited for.
    pub(super) async fn has_more(self) -> bool {
        let mut connection = self.connection;
        let looking = async move {
            // What comes on a connection that could be used again is an error, and stands in the buffer all the same.
            let _ = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
            let parts = connection.into_parts();
            let mut byte = [0];
            !parts.read_buf.is_empty()
                || TokioIo::new(parts.io)
                    .read(&mut byte)
                    .await
                    .is_ok_and(|count| count > 0)
        };
        tokio::time::timeout(LINGER, looking).await.unwrap_or(false)
    }
}
