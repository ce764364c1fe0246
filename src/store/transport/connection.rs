//! One connection to a store, and the body of an answer that drives it.
//!
//! Nobody else reads from the connection: what is not asked for stays in the socket, where it costs this process nothing, and
//! what is asked for is read by who waits for it, without another task in between.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::pool::{Home, Pool};

/// The most that is read from a store at once, bytes: what a client that stops taking its download holds, and little more.
const BUFFER: usize = 80 * 1024;

/// A connection as the connector makes it.
pub(super) type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection that stands.
pub(super) struct Connection {
    sender: SendRequest<SdkBody>,
    /// `None` once it has ended.
    work: Option<http1::Connection<Socket, SdkBody>>,
}

impl Connection {
    /// Speaks HTTP over a connection.
    pub(super) async fn open(socket: Socket) -> hyper::Result<Self> {
        let (sender, work) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(socket)
            .await?;
        Ok(Self {
            sender,
            work: Some(work),
        })
    }

    /// Whether a request can be sent now. One that has idled finds out here that the store has closed it.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| {
            self.poll_work(cx);
            Poll::Ready(matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))))
        })
        .await
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<SdkBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<SdkBody>>> {
        let mut answering = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            self.poll_work(cx);
            answering.as_mut().poll(cx)
        })
        .await
    }

    /// Reads and writes. An error is told to who waits for an answer, or reads its body.
    fn poll_work(&mut self, cx: &mut Context<'_>) {
        if let Some(work) = &mut self.work
            && Pin::new(work).poll(cx).is_ready()
        {
            self.work = None;
        }
    }
}

/// The body of an answer. Its connection goes back to the pool at its end, and ends with it before that.
pub(super) struct Answer {
    inner: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
    home: Home,
}

impl Answer {
    pub(super) fn new(
        inner: Incoming,
        connection: Connection,
        pool: Arc<Pool>,
        home: Home,
    ) -> Self {
        let mut answer = Self {
            inner,
            connection: Some(connection),
            pool,
            home,
        };
        if answer.inner.is_end_stream() {
            answer.give_back();
        }
        answer
    }

    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put(&self.home, connection);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let mut polled = Pin::new(&mut this.inner).poll_frame(cx);
        if polled.is_pending()
            && let Some(connection) = &mut this.connection
        {
            connection.poll_work(cx);
            polled = Pin::new(&mut this.inner).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(Some(Err(_))) => this.connection = None,
            // A body without a length says so only when it has ended.
            Poll::Ready(None) => this.give_back(),
            Poll::Ready(Some(Ok(_))) if this.inner.is_end_stream() => this.give_back(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
