//! xz: streams behind each other, with padding between and behind them, by liblzma.

use liblzma::stream::{
    Action, CONCATENATED, Error as XzError, Status, Stream, TELL_UNSUPPORTED_CHECK,
};

use super::decode::{Decode, Step};
use super::{Error, MIB, Packing, Result};

/// What a decoder needs besides its dictionary; liblzma counts that as well.
const BESIDE_DICTIONARY: u64 = MIB;

pub(super) struct Xz {
    stream: Stream,
    most_window: u64,
}

impl Xz {
    pub(super) fn new(most_window: u64) -> Result<Self> {
        let most_memory = most_window.saturating_add(BESIDE_DICTIONARY);
        // A check that liblzma does not know would otherwise be skipped in silence.
        let stream = Stream::new_stream_decoder(most_memory, CONCATENATED | TELL_UNSUPPORTED_CHECK)
            .map_err(|_| Error::NoMemory(Packing::Xz))?;
        Ok(Self {
            stream,
            most_window,
        })
    }

    fn error(&self, e: XzError) -> Error {
        let packing = Packing::Xz;
        match e {
            XzError::MemLimit => Error::Window {
                packing,
                most_window: self.most_window,
            },
            XzError::Mem => Error::NoMemory(packing),
            XzError::Options => Error::Unsupported {
                packing,
                reason: "it has a filter or an option that is unknown",
            },
            XzError::UnsupportedCheck | XzError::NoCheck => Error::Unsupported {
                packing,
                reason: "its kind of checksum is unknown",
            },
            XzError::Data | XzError::Format | XzError::Program => Error::Damaged {
                packing,
                reason: "it does not fit its checksums, or something else follows it",
            },
        }
    }
}

impl Decode for Xz {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let (taken, given) = (self.stream.total_in(), self.stream.total_out());
        self.stream
            .process(input, output, Action::Run)
            .map_err(|e| self.error(e))?;
        // Both are lengths within the slices.
        Ok(Step {
            taken: (self.stream.total_in() - taken) as usize,
            given: (self.stream.total_out() - given) as usize,
        })
    }

    fn is_whole(&mut self) -> bool {
        // Only now does liblzma know that no other stream follows.
        let end = self.stream.process(&[], &mut [], Action::Finish);
        matches!(end, Ok(Status::StreamEnd))
    }
}
