//! A connection whose other side has to take what it asked for: no slower than a rate, and with no longer pause than a
//! limit, and that tells when it is broken. What a client sends is held to the same where it is read.

mod roots;
mod socket;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

pub(crate) use roots::{RootsError, client_tls};
pub(crate) use socket::{Broken, Socket};

/// How fast the other side has to take bytes, or send them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The longest time in which none may pass; also the time over which the rate is an average.
    pub idle: Duration,
    /// Bytes a second, 0 for any.
    pub bytes_per_second: u64,
}

/// How much longer the other side may keep us waiting. Bytes are put to its credit, up to what the pace asks for over its
/// time; waiting uses it up.
#[derive(Debug)]
pub(crate) struct Credit {
    pace: Pace,
    left: Duration,
}

impl Credit {
    /// All the credit that a pace gives.
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            left: pace.idle,
        }
    }

    /// What is left.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// So long was waited.
    pub(crate) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    /// So many bytes have passed.
    pub(crate) fn earn(&mut self, bytes: usize) {
        let earned = match self.pace.bytes_per_second {
            0 => self.pace.idle,
            rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
        };
        self.left = self.left.saturating_add(earned).min(self.pace.idle);
    }
}

/// A stream that breaks with `TimedOut` when the other side takes bytes too slowly.
///
/// Time counts only while bytes wait that the socket does not take: whoever has nothing to send is not slow.
#[derive(Debug)]
pub(crate) struct Paced<S> {
    inner: S,
    credit: Credit,
    blocked: Option<Instant>,
    limit: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    /// Holds the other side of `inner` to a pace. Must be called within a Tokio runtime.
    pub(crate) fn new(inner: S, pace: Pace) -> Self {
        Self {
            inner,
            credit: Credit::new(pace),
            blocked: None,
            limit: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    fn account<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        taken: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = polled {
            if let Some(since) = self.blocked.take() {
                self.credit.spend(since.elapsed());
            }
            if let Ok(taken) = result.as_ref().map(taken) {
                self.credit.earn(taken);
            }
            return Poll::Ready(result);
        }
        if self.blocked.is_none() {
            let now = Instant::now();
            self.blocked = Some(now);
            self.limit.as_mut().reset(now + self.credit.left());
        }
        ready!(self.limit.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the other side takes bytes too slowly",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.account(cx, polled, |taken| *taken)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.account(cx, polled, |taken| *taken)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::task::TaskTracker;

    use super::*;

    /// Sends 100,000 bytes to somebody who takes `bytes` each `pause`, over a socket that holds 1000.
    async fn sent(pace: Pace, bytes: usize, pause: Duration) -> io::Result<()> {
        let (near, mut far) = tokio::io::duplex(1000);
        let taking = async move {
            let mut buffer = vec![0; bytes];
            while far.read_exact(&mut buffer).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        };
        TaskTracker::new().spawn(taking);
        let mut near = Paced::new(near, pace);
        near.write_all(&[7; 100_000]).await
    }

    const SECOND: Duration = Duration::from_secs(1);
    const PACE: Pace = Pace {
        idle: Duration::from_secs(60),
        bytes_per_second: 100,
    };

    #[tokio::test(start_paused = true)]
    async fn who_takes_bytes_at_the_rate_gets_them_all_and_who_does_not_is_cut() {
        for (bytes, pause, right) in [
            (100, SECOND / 2, true),
            (1000, 8 * SECOND, true),
            (1000, 15 * SECOND, false),
            (1, SECOND, false),
            (1, 40 * SECOND, false),
            (500, 61 * SECOND, false),
        ] {
            let outcome = sent(PACE, bytes, pause).await;
            assert_eq!(outcome.is_ok(), right, "{bytes} each {pause:?}");
            if let Err(e) = outcome {
                assert_eq!(e.kind(), io::ErrorKind::TimedOut);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_pauses_alone_are_bounded() {
        let pace = Pace {
            bytes_per_second: 0,
            ..PACE
        };
        assert!(sent(pace, 100, 59 * SECOND).await.is_ok());
        assert!(sent(pace, 100, 61 * SECOND).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_nothing_to_send_keeps_nobody_waiting() {
        let (near, mut far) = tokio::io::duplex(1000);
        let mut near = Paced::new(near, PACE);
        for _ in 0..5 {
            near.write_all(&[7; 10]).await.unwrap();
            far.read_exact(&mut [0; 10]).await.unwrap();
            tokio::time::advance(3600 * SECOND).await;
        }
    }
}
