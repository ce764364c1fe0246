//! The content of every image the bench moves: byte N is a function of N.
//!
//! One block is made once and repeated. Both ends derive any range from its offset, so nothing has to be stored and
//! everything can be checked, and pieces are handed out by reference: making the content costs no CPU time.

use std::convert::Infallible;
use std::io::{self, Write};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The length of the repeated block in bytes: a prime, so that no part size, buffer or page is a multiple of it and
/// data that is shifted by any of these does not look right.
const PERIOD: usize = 1_048_573;

/// The seed of the block. The bench and its null store are two processes that must agree on the content.
const SEED: u64 = 0x6f72_6965_6c21;

/// The repeated block; cloning shares it.
#[derive(Clone, Debug)]
pub struct Pattern {
    block: Bytes,
}

impl Pattern {
    /// Makes the block.
    pub fn new() -> Self {
        let mut block = vec![0; PERIOD];
        fastrand::Rng::with_seed(SEED).fill(&mut block);
        Self {
            block: block.into(),
        }
    }

    /// Returns the bytes at `range`, or as many of them as lie in one piece of memory.
    pub fn piece(&self, range: Range<u64>) -> Bytes {
        let period = PERIOD as u64;
        let start = range.start % period;
        let end = period.min(start + (range.end - range.start));
        // Both are at most PERIOD, which is a usize.
        self.block.slice(start as usize..end as usize)
    }

    /// Iterates over the pieces that make up `range`.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Bytes> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let piece = self.piece(at..range.end);
            at += piece.len() as u64;
            Some(piece)
        })
    }

    /// Says whether `bytes` are what stands at `offset`.
    pub fn matches(&self, offset: u64, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        self.pieces(offset..offset + bytes.len() as u64)
            .all(|piece| {
                let (head, tail) = rest.split_at(piece.len());
                rest = tail;
                head == piece
            })
    }

    /// Writes the first `size` bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, size: u64, writer: &mut impl Write) -> io::Result<()> {
        self.pieces(0..size)
            .try_for_each(|piece| writer.write_all(&piece))
    }

    /// Returns an HTTP body of known length that yields `range`.
    pub fn body(&self, range: Range<u64>) -> PatternBody {
        PatternBody {
            pattern: self.clone(),
            rest: range,
        }
    }
}

/// An HTTP body over a range of the pattern.
#[derive(Debug)]
pub struct PatternBody {
    pattern: Pattern,
    rest: Range<u64>,
}

impl Body for PatternBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.pattern.piece(self.rest.clone());
        self.rest.start += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end.saturating_sub(self.rest.start))
    }
}
