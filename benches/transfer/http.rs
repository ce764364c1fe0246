//! A plain HTTP/1.1 client over one connection, for what curl cannot do: latency over keep-alive, slow readers, and
//! bodies that are made as they are sent.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The most that is read of an answer that should be small, in bytes.
const SMALL_ANSWER: usize = 1 << 20;

/// How much the connection reads ahead, in bytes: little, so that a slow reader is slow on the wire.
const READ_AHEAD: usize = 64 << 10;

/// The body of a request.
pub type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

/// Makes a request's body of any body that cannot fail.
pub fn body(body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static) -> RequestBody {
    body.boxed_unsync()
}

/// Makes a request's body of bytes at hand.
pub fn bytes(bytes: impl Into<Bytes>) -> RequestBody {
    body(Full::new(bytes.into()))
}

/// One open connection. Dropping it closes it, also in the middle of a message.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    sender: SendRequest<RequestBody>,
    /// Holds the task that moves the bytes, and ends it.
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects to `peer`.
    ///
    /// # Errors
    /// If nobody listens there.
    pub async fn open(peer: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(peer).await.context("connect")?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(READ_AHEAD)
            .handshake(TokioIo::new(stream))
            .await
            .context("HTTP handshake")?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // A failure reaches the caller through the request or the body that it broke.
            let _ = connection.await;
        });
        Ok(Self {
            peer,
            sender,
            _driver: driver,
        })
    }

    /// Sends a request and returns the answer's head with the body yet to be read.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: RequestBody,
    ) -> Result<Response<Incoming>> {
        self.sender.ready().await.context("connection")?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.peer.to_string());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(body).context("request")?;
        self.sender.send_request(request).await.context("send")
    }

    /// Sends a request, checks the status of the answer and reads its small body.
    ///
    /// # Errors
    /// If the connection breaks, or with the answer if its status is another.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: RequestBody,
        expected: StatusCode,
    ) -> Result<Vec<u8>> {
        let label = format!("{method} {path}");
        let response = self.send(method, path, headers, body).await?;
        let status = response.status();
        let answer = read_small(response.into_body())
            .await
            .with_context(|| label.clone())?;
        ensure!(
            status == expected,
            "{label}: {status} instead of {expected}: {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(answer)
    }
}

/// Reads a body that should be small.
///
/// # Errors
/// If the connection breaks or the body is not small.
pub async fn read_small(mut body: Incoming) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("read the answer")?.into_data() {
            ensure!(
                answer.len() + data.len() <= SMALL_ANSWER,
                "an answer of more than {SMALL_ANSWER} bytes"
            );
            answer.extend_from_slice(&data);
        }
    }
    Ok(answer)
}

/// Finds a port of 127.0.0.1 that is free now, for a server that must be told one.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("find a free port")
}
