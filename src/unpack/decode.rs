//! What the worker knows of a format.

use super::bzip2::Bzip2;
use super::gzip::Gzip;
use super::xz::Xz;
use super::zip::Zip;
use super::zstd::Zstd;
use super::{Packing, Result};

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Bytes of the input that were taken.
    pub(super) taken: usize,
    /// Bytes that were written to the output.
    pub(super) given: usize,
}

/// A decoder, fed in pieces of any size.
pub(super) trait Decode: Send {
    /// Unpacks from the input into the output, which has room, as far as one of them reaches, or less. Nothing taken and
    /// nothing given means: without more input there is no going on.
    ///
    /// # Errors
    /// What is wrong with the data. A decoder that failed is not called again.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step>;

    /// True when the data may end with what was taken. Called last, when steps do nothing any more.
    fn is_whole(&mut self) -> bool;
}

/// A decoder at its beginning.
///
/// # Errors
/// [`super::Error::NoMemory`].
pub(super) fn decoder(packing: Packing, most_window: u64) -> Result<Box<dyn Decode>> {
    Ok(match packing {
        Packing::Gzip => Box::new(Gzip::new()),
        Packing::Xz => Box::new(Xz::new(most_window)?),
        Packing::Zstd => Box::new(Zstd::new(most_window)?),
        Packing::Bzip2 => Box::new(Bzip2::new()),
        Packing::Zip => Box::new(Zip::new()),
    })
}

/// Collects bytes that are understood only together.
#[derive(Debug, Default)]
pub(super) struct Gather {
    bytes: Vec<u8>,
}

impl Gather {
    /// Takes what is missing to a length off the front of the input; the bytes once they are all there.
    pub(super) fn take(&mut self, length: usize, input: &mut &[u8]) -> Option<Vec<u8>> {
        let missing = length.saturating_sub(self.bytes.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.bytes.extend_from_slice(taken);
        *input = rest;
        (self.bytes.len() >= length).then(|| std::mem::take(&mut self.bytes))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
