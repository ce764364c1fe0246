//! The body that is given out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::task::{JoinHandle, spawn_blocking};

use super::ahead::Ahead;
use super::worker::{Next, Piece, Worker};
use super::{Error, Packing, Result, UnpackBounds};

/// A body that is unpacked where its first bytes say that it is packed, and given out as it comes where they do not.
///
/// Ends with its first error. Dropped at any time: a piece that is being made then is made and thrown away.
pub(crate) struct Unpacked<B> {
    ahead: Ahead<B>,
    bounds: UnpackBounds,
    packing: Option<Packing>,
    state: State,
}

enum State {
    /// Too little has come to tell.
    Looking,
    /// Not packed.
    Plain,
    /// Packed, and nobody works at it.
    Idle(Box<Worker>, Next),
    /// Packed, and somebody does.
    Working(JoinHandle<(Box<Worker>, Result<Piece>)>),
    Ended,
}

impl<B> Unpacked<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + Send,
{
    /// Wraps a body.
    pub(crate) fn new(body: B, bounds: UnpackBounds) -> Self {
        Self {
            ahead: Ahead::new(body),
            bounds,
            packing: None,
            state: State::Looking,
        }
    }

    /// How the body is packed; none for one that is not, and none before the first bytes came, which is by the first frame.
    pub(crate) fn packing(&self) -> Option<Packing> {
        self.packing
    }

    /// Looks at the first bytes.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.ahead.poll_until(cx, Packing::HEAD))?;
        self.packing = Packing::of(&self.ahead.head(Packing::HEAD));
        self.state = match self.packing {
            None => State::Plain,
            Some(packing) => {
                let worker = Worker::new(packing, self.bounds)?;
                State::Idle(Box::new(worker), Next::Input)
            }
        };
        Poll::Ready(Ok(()))
    }

    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if let Some(frame) = self.ahead.take_frame() {
            return Poll::Ready(Ok(Some(frame)));
        }
        ready!(self.ahead.poll_until(cx, 1))?;
        Poll::Ready(Ok(self.ahead.take_frame()))
    }

    /// Sends an idle worker to work when there is something for it to do.
    fn start(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        self.state = match state {
            State::Idle(worker, Next::Input) if self.ahead.is_waiting() => {
                State::Idle(worker, Next::Input)
            }
            State::Idle(_, Next::End) => State::Ended,
            State::Idle(mut worker, next) => {
                if next == Next::Input {
                    let (frames, is_last) = self.ahead.take();
                    worker.feed(frames, is_last);
                }
                State::Working(spawn_blocking(move || {
                    let piece = worker.work();
                    (worker, piece)
                }))
            }
            state => state,
        };
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            // Also while somebody works: so the body and the decoder do not wait for each other.
            let filled = self.ahead.poll_fill(cx)?;
            self.start();
            match &mut self.state {
                State::Working(work) => {
                    let (worker, piece) = ready!(Pin::new(work).poll(cx))?;
                    let Piece { bytes, next } = piece?;
                    self.state = State::Idle(worker, next);
                    if !bytes.is_empty() {
                        // The next piece is made while the reader uses this one.
                        self.start();
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                }
                State::Idle(..) => {
                    ready!(filled);
                }
                State::Looking | State::Plain | State::Ended => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            match self.state {
                State::Looking => ready!(self.poll_look(cx))?,
                State::Plain => return self.poll_plain(cx),
                State::Idle(..) | State::Working(_) => return self.poll_piece(cx),
                State::Ended => return Poll::Ready(Ok(None)),
            }
        }
    }
}

impl<B> Body for Unpacked<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + Send,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let bytes = ready!(this.poll_bytes(cx));
        if !matches!(bytes, Ok(Some(_))) {
            this.state = State::Ended;
        }
        Poll::Ready(bytes.transpose().map(|bytes| bytes.map(Frame::data)))
    }
}
