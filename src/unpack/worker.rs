//! A decoder with its input: what goes to a blocking thread and comes back with a piece.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::decode::{Decode, Step, decoder};
use super::{Error, MIB, Packing, Result, UnpackBounds};

/// Most bytes of a piece. It takes xz a few milliseconds; a hop to another thread takes some hundredth of one.
pub(super) const PIECE: usize = 256 * 1024;

/// A decoder, its input, and what it has done so far.
pub(super) struct Worker {
    packing: Packing,
    decoder: Box<dyn Decode>,
    bounds: UnpackBounds,
    input: VecDeque<Bytes>,
    /// True when no more input follows.
    is_last: bool,
    /// Pieces are made here and copied out, so that a short one takes no more memory than it is long.
    scratch: Box<[u8]>,
    taken: u64,
    given: u64,
}

/// What a worker comes back with.
#[derive(Debug)]
pub(super) struct Piece {
    /// What was unpacked; may be empty.
    pub(super) bytes: Bytes,
    pub(super) next: Next,
}

/// What a worker can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It can go on with what it has.
    More,
    /// It needs input.
    Input,
    /// It is done.
    End,
}

impl Worker {
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new(packing: Packing, bounds: UnpackBounds) -> Result<Self> {
        Self::with_pieces(packing, bounds, PIECE)
    }

    /// One that makes pieces of this length at most, which is above zero.
    pub(super) fn with_pieces(
        packing: Packing,
        bounds: UnpackBounds,
        piece: usize,
    ) -> Result<Self> {
        Ok(Self {
            packing,
            decoder: decoder(packing, bounds.most_window)?,
            bounds,
            input: VecDeque::new(),
            is_last: false,
            scratch: vec![0; piece].into_boxed_slice(),
            taken: 0,
            given: 0,
        })
    }

    /// Adds input, and says whether more follows.
    pub(super) fn feed(&mut self, input: impl IntoIterator<Item = Bytes>, is_last: bool) {
        self.input
            .extend(input.into_iter().filter(|it| !it.is_empty()));
        self.is_last = is_last;
    }

    /// Makes a piece.
    ///
    /// # Errors
    /// What is wrong with the data, or the bound that it breaks. It is not called again then.
    pub(super) fn work(&mut self) -> Result<Piece> {
        let mut filled = 0;
        // The decoder may note something in a step in which it moves nothing, but not twice.
        let mut idle = 0;
        let next = loop {
            if filled == self.scratch.len() {
                break Next::More;
            }
            if idle == 2 {
                break self.stopped()?;
            }
            let input = self.input.front().map_or(&[][..], |it| &it[..]);
            let step = self.decoder.step(input, &mut self.scratch[filled..])?;
            filled += step.given;
            self.count(step)?;
            idle = if step == Step::default() { idle + 1 } else { 0 };
        };
        Ok(Piece {
            bytes: Bytes::copy_from_slice(&self.scratch[..filled]),
            next,
        })
    }

    fn count(&mut self, step: Step) -> Result<()> {
        if let Some(front) = self.input.front_mut() {
            front.advance(step.taken);
            if front.is_empty() {
                self.input.pop_front();
            }
        }
        self.taken += step.taken as u64;
        self.given += step.given as u64;
        let packing = self.packing;
        let UnpackBounds {
            most_bytes,
            most_ratio,
            ..
        } = self.bounds;
        // No packing makes data longer by more than a hundredth; headers come on top.
        let most_taken = most_bytes
            .saturating_add(most_bytes / 16)
            .saturating_add(MIB);
        if self.given > most_bytes || self.taken > most_taken {
            return Err(Error::TooLarge {
                packing,
                most_bytes,
            });
        }
        if self.given > UnpackBounds::RATIO_FROM
            && self.given > self.taken.saturating_mul(most_ratio)
        {
            return Err(Error::Ratio {
                packing,
                most_ratio,
            });
        }
        Ok(())
    }

    /// What it means that the decoder does not go on.
    fn stopped(&mut self) -> Result<Next> {
        if !self.input.is_empty() {
            return Err(Error::Damaged {
                packing: self.packing,
                reason: "the decoder makes nothing of it",
            });
        }
        if !self.is_last {
            return Ok(Next::Input);
        }
        if self.decoder.is_whole() {
            Ok(Next::End)
        } else {
            Err(Error::Truncated(self.packing))
        }
    }
}
