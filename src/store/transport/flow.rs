//! Bodies of answers that are read when they are asked for, and not ahead.
//!
//! hyper reads the next piece of a body while the last one is still in use, and both may be large. What is ahead is left in
//! the socket here, where it costs this process nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

/// The mark that nothing is to be read; what is above it counts the exchanges of a connection.
const HELD: u64 = 1;
const NEXT: u64 = 2;

/// Whether a connection may be read from.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow(Arc<State>);

#[derive(Debug, Default)]
struct State {
    now: AtomicU64,
    reader: AtomicWaker,
}

impl Flow {
    fn is_held(&self) -> bool {
        self.0.now.load(Ordering::Acquire) & HELD != 0
    }

    /// Which exchange the connection has.
    fn exchange(&self) -> u64 {
        self.0.now.load(Ordering::Acquire) & !HELD
    }

    /// Nothing is read any more, unless that exchange is over.
    fn hold(&self, exchange: u64) {
        let (free, held) = (exchange, exchange | HELD);
        let _ = (self.0.now).compare_exchange(free, held, Ordering::AcqRel, Ordering::Acquire);
    }

    fn release(&self, exchange: u64) {
        let (free, held) = (exchange, exchange | HELD);
        let released =
            (self.0.now).compare_exchange(held, free, Ordering::AcqRel, Ordering::Acquire);
        if released.is_ok() {
            self.0.reader.wake();
        }
    }

    /// A new request: the body before may have come whole without having been taken to its end, and holds nothing any more.
    fn begin(&self) {
        let next = |now: u64| Some((now & !HELD) + NEXT);
        let before = (self.0.now).fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        if before.is_ok_and(|before| before & HELD != 0) {
            self.0.reader.wake();
        }
    }

    fn poll_released(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_held() {
            return Poll::Ready(());
        }
        self.0.reader.register(cx.waker());
        // It may have been released in between.
        if self.is_held() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// A connection that is read from as its flow allows.
#[derive(Debug)]
pub(super) struct Stream<S> {
    inner: S,
    flow: Flow,
}

impl<S> Stream<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            flow: Flow::default(),
        }
    }
}

impl<S: Connection> Connection for Stream<S> {
    fn connected(&self) -> Connected {
        // Found again among the extensions of answers.
        self.inner.connected().extra(self.flow.clone())
    }
}

impl<S: Read + Unpin> Read for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.flow.poll_released(cx));
        Pin::new(&mut this.inner).poll_read(cx, buf)
    }
}

impl<S: Write + Unpin> Write for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.flow.begin();
        Pin::new(&mut this.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.flow.begin();
        Pin::new(&mut this.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// A body whose connection is read from only while more of it is waited for.
#[derive(Debug)]
pub(super) struct Asked {
    inner: Incoming,
    flow: Flow,
    exchange: u64,
}

impl Asked {
    pub(super) fn new(inner: Incoming, flow: Flow) -> Self {
        let exchange = flow.exchange();
        Self {
            inner,
            flow,
            exchange,
        }
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Before the frame is taken, since that is when hyper reads on.
        self.flow.hold(self.exchange);
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let is_over =
            self.inner.is_end_stream() || matches!(polled, Poll::Ready(None | Some(Err(_))));
        if polled.is_pending() || is_over {
            self.flow.release(self.exchange);
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

impl Drop for Asked {
    fn drop(&mut self) {
        self.flow.release(self.exchange);
    }
}
