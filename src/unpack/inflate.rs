//! Deflated data (RFC 1951) without what is around it, in gzip and in zip.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::decode::Step;
use super::{Error, Packing, Result};

/// Inflates, and keeps what the frame around it tells about the data.
pub(super) struct Inflate {
    packing: Packing,
    inner: Decompress,
    crc: Crc,
}

impl Inflate {
    pub(super) fn new(packing: Packing) -> Self {
        Self {
            packing,
            inner: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    /// Begins anew, in the same memory.
    pub(super) fn reset(&mut self) {
        self.inner.reset(false);
        self.crc.reset();
    }

    /// Inflates; true once the data has ended, behind which nothing is taken.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(Step, bool)> {
        let (taken, given) = (self.inner.total_in(), self.inner.total_out());
        let status = self
            .inner
            .decompress(input, output, FlushDecompress::None)
            .map_err(|_| Error::Damaged {
                packing: self.packing,
                reason: "it is not deflated data",
            })?;
        // Both are lengths within the slices.
        let step = Step {
            taken: (self.inner.total_in() - taken) as usize,
            given: (self.inner.total_out() - given) as usize,
        };
        self.crc.update(&output[..step.given]);
        Ok((step, status == Status::StreamEnd))
    }

    /// The CRC-32 of what has come out.
    pub(super) fn crc(&self) -> u32 {
        self.crc.sum()
    }

    /// Bytes taken in since the beginning.
    pub(super) fn taken(&self) -> u64 {
        self.inner.total_in()
    }

    /// Bytes given out since the beginning.
    pub(super) fn given(&self) -> u64 {
        self.inner.total_out()
    }
}
