//! What has come of a body and is not used yet.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body;

use super::{Error, Result};

/// Most bytes that are asked for ahead, and one frame more.
const BYTES: usize = 256 * 1024;
/// Most frames: a frame of a byte costs more than a byte.
const FRAMES: usize = 64;

/// A body that is read ahead while something else is under way.
pub(super) struct Ahead<B> {
    body: B,
    frames: VecDeque<Bytes>,
    bytes: usize,
    has_ended: bool,
}

impl<B> Ahead<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            frames: VecDeque::new(),
            bytes: 0,
            has_ended: false,
        }
    }

    /// Reads as far as the body is ready and there is room; ready when that much is there or the body has ended.
    ///
    /// # Errors
    /// [`Error::Body`].
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_until(cx, BYTES)
    }

    /// Reads until so many bytes are there, or the body has ended.
    ///
    /// # Errors
    /// [`Error::Body`].
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<Result<()>> {
        while !self.has_ended && self.bytes < bytes && self.frames.len() < FRAMES {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.has_ended = true,
                Some(Err(e)) => return Poll::Ready(Err(Error::Body(e.into()))),
                Some(Ok(frame)) => {
                    // Trailers say nothing about the data.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.bytes += data.len();
                        self.frames.push_back(data);
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// True when nothing has come that is not taken yet, and something may.
    pub(super) fn is_waiting(&self) -> bool {
        self.frames.is_empty() && !self.has_ended
    }

    /// Takes all that has come, and whether it is the last.
    pub(super) fn take(&mut self) -> (VecDeque<Bytes>, bool) {
        self.bytes = 0;
        (std::mem::take(&mut self.frames), self.has_ended)
    }

    /// Takes one frame.
    pub(super) fn take_frame(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front();
        self.bytes -= frame.as_ref().map_or(0, Bytes::len);
        frame
    }

    /// The first bytes of what has come, as many as are asked for if they are there.
    pub(super) fn head(&self, length: usize) -> Vec<u8> {
        self.frames.iter().flatten().take(length).copied().collect()
    }
}
