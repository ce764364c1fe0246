//! bzip2: streams behind each other, as pbzip2 writes them, and zeros behind the last.

use bzip2::{Decompress, Error as Bzip2Error, Status};

use super::decode::{Decode, Step};
use super::{Error, Packing, Result};

/// What follows the level: pi where a block does, the square root of it where the stream is empty.
const BLOCK: [u8; 6] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
const END: [u8; 6] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

/// To begin a stream takes its megabytes of memory anew, and an empty one is 14 bytes long: so there may be this many of them,
/// and one more for each KiB on either side. pbzip2 makes one of each 900 kB that it packs, which may be 50 bytes long.
const MOST_STREAMS: u64 = 1024;
const BYTES_OF_A_STREAM: u64 = 1024;

pub(super) struct Bzip2 {
    at: At,
    is_first: bool,
    streams: u64,
    /// Bytes taken and given so far.
    moved: u64,
}

enum At {
    /// Before a stream, of which no byte has come.
    Between,
    Stream(Decompress),
    Zeros,
}

/// True where data begins as a stream does. Text may begin with "BZh", so what follows it counts, as far as it has come.
pub(super) fn is_start(head: &[u8]) -> bool {
    let [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] = head else {
        return false;
    };
    let rest = &rest[..rest.len().min(BLOCK.len())];
    BLOCK.starts_with(rest) || END.starts_with(rest)
}

impl Bzip2 {
    pub(super) fn new() -> Self {
        Self {
            at: At::Between,
            is_first: true,
            streams: 0,
            moved: 0,
        }
    }

    /// # Errors
    /// [`Error::Unsupported`] when it is one too many.
    fn begin_stream(&mut self) -> Result<()> {
        self.streams += 1;
        if self.streams > MOST_STREAMS + self.moved / BYTES_OF_A_STREAM {
            return Err(Error::Unsupported {
                packing: Packing::Bzip2,
                reason: "it is made of too many streams that are too short",
            });
        }
        self.at = At::Stream(Decompress::new(false));
        Ok(())
    }

    fn error(&self, e: Bzip2Error) -> Error {
        match e {
            Bzip2Error::DataMagic if !self.is_first => Error::Trailing(Packing::Bzip2),
            _ => Error::Damaged {
                packing: Packing::Bzip2,
                reason: "it does not fit its checksums, or is not bzip2",
            },
        }
    }
}

impl Decode for Bzip2 {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        match &mut self.at {
            At::Between if input.is_empty() => return Ok(Step::default()),
            At::Between if !self.is_first && input[0] == 0 => self.at = At::Zeros,
            At::Between => self.begin_stream()?,
            At::Stream(_) | At::Zeros => {}
        }
        let At::Stream(stream) = &mut self.at else {
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            if zeros < input.len() {
                return Err(Error::Trailing(Packing::Bzip2));
            }
            return Ok(Step {
                taken: zeros,
                given: 0,
            });
        };
        let (taken, given) = (stream.total_in(), stream.total_out());
        let outcome = stream.decompress(input, output);
        // Both are lengths within the slices.
        let step = Step {
            taken: (stream.total_in() - taken) as usize,
            given: (stream.total_out() - given) as usize,
        };
        self.moved += (step.taken + step.given) as u64;
        match outcome.map_err(|e| self.error(e))? {
            Status::StreamEnd => {
                self.at = At::Between;
                self.is_first = false;
            }
            Status::MemNeeded => return Err(Error::NoMemory(Packing::Bzip2)),
            Status::Ok | Status::FlushOk | Status::RunOk | Status::FinishOk => {}
        }
        Ok(step)
    }

    fn is_whole(&mut self) -> bool {
        match self.at {
            At::Between => !self.is_first,
            At::Stream(_) => false,
            At::Zeros => true,
        }
    }
}
