//! From the files of an object to the body of a response.
//!
//! Blocks are read when the connection asks for them, into buffers that are handed to it without a copy: at once where the
//! system has them in memory, else on a thread for blocking work. A slow client holds a block or two and no thread. A file that ends early is an error of the stream, which
//! breaks the connection: a body is never short and clean.

use std::fs::File;
use std::io::{self, IoSliceMut, Read, Seek, SeekFrom};
use std::mem;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use rustix::io::{ReadWriteFlags, preadv2};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Result, StdError};
use tokio::task::JoinHandle;

use super::error::{blocking, storage};
use super::index::Object;

/// How much is read in one step: enough to make the hand-over to a thread cheap, little enough for thousands of slow
/// clients, whose download through the API holds a piece of its own.
const BLOCK_BYTES: u64 = 32 * 1024;

/// Opens `range` of an object. The first block is read before this returns, so that trouble with the files is an
/// answer and not a broken body.
pub(super) async fn open(object: Arc<Object>, range: Range<u64>) -> S3Result<StreamingBlob> {
    let remaining = range.end - range.start;
    let blocks = Blocks {
        object,
        range,
        current: None,
    };
    let block = blocks.buffer();
    let (blocks, first) = blocking(move || blocks.read(block).map_err(storage)).await?;
    Ok(StreamingBlob::new(ObjectStream {
        remaining,
        first: Some(first),
        next: Next::of(blocks),
    }))
}

/// The position in an object.
struct Blocks {
    /// Keeps the files on disk when the object is replaced or deleted meanwhile.
    object: Arc<Object>,
    /// What is still to be read.
    range: Range<u64>,
    /// The part that is being read.
    current: Option<OpenPart>,
}

/// A file of an object.
struct OpenPart {
    file: File,
    /// Offsets in the object at which it begins and ends.
    range: Range<u64>,
}

impl Blocks {
    /// Memory for the next block.
    fn buffer(&self) -> Vec<u8> {
        let bytes = BLOCK_BYTES.min(self.range.end - self.range.start);
        Vec::with_capacity(bytes as usize)
    }

    /// The next block, if it can be had without waiting for a disk.
    fn read_cached(&mut self) -> Option<Bytes> {
        let part = self.current.as_ref()?;
        let wanted = part.bytes_of(&self.range)?;
        let mut block = vec![0; wanted];
        let offset = self.range.start - part.range.start;
        let into = &mut [IoSliceMut::new(&mut block)];
        let read = preadv2(&part.file, into, offset, ReadWriteFlags::NOWAIT);
        // Less, none, or a file system that cannot tell: read again, with patience and with errors.
        if read.ok()? != wanted {
            return None;
        }
        self.range.start += wanted as u64;
        Some(block.into())
    }

    /// Reads the next block; an empty one is the end.
    ///
    /// `block` comes from who will let go of it: what each of many threads had allocated for others would be kept by each.
    fn read(mut self, mut block: Vec<u8>) -> io::Result<(Self, Bytes)> {
        if self.range.is_empty() {
            return Ok((self, Bytes::new()));
        }
        let part = match &mut self.current {
            Some(part) if part.range.contains(&self.range.start) => part,
            current => current.insert(open_at(&self.object, self.range.start)?),
        };
        let wanted = part.bytes_of(&self.range).unwrap_or_default();
        (part.file).seek(SeekFrom::Start(self.range.start - part.range.start))?;
        // Into the spare capacity, so that nothing is zeroed first.
        if (&part.file).take(wanted as u64).read_to_end(&mut block)? != wanted {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a file of the store is too short",
            ));
        }
        self.range.start += wanted as u64;
        Ok((self, block.into()))
    }
}

impl OpenPart {
    /// How many of these bytes are the next block; `None` when they begin in another part.
    fn bytes_of(&self, range: &Range<u64>) -> Option<usize> {
        let is_here = self.range.contains(&range.start);
        let bytes = BLOCK_BYTES.min(self.range.end.min(range.end).checked_sub(range.start)?);
        is_here.then_some(bytes as usize)
    }
}

/// Opens the part that holds the byte at `offset`.
fn open_at(object: &Object, offset: u64) -> io::Result<OpenPart> {
    let mut start = 0;
    for part in &object.manifest.parts {
        let end = start + part.size;
        if offset < end {
            let file = File::open(object.dir.path().join(part.file_name()))?;
            if file.metadata()?.len() != part.size {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a file of the store has the wrong size",
                ));
            }
            return Ok(OpenPart {
                file,
                range: start..end,
            });
        }
        start = end;
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "the parts of an object do not add up to its size",
    ))
}

struct ObjectStream {
    remaining: u64,
    first: Option<Bytes>,
    next: Next,
}

/// The block that comes next.
enum Next {
    /// Nobody has asked for it.
    Waiting(Blocks),
    /// It is being read.
    Reading(JoinHandle<io::Result<(Blocks, Bytes)>>),
    /// There is none.
    None,
}

impl Next {
    fn of(blocks: Blocks) -> Self {
        match blocks.range.is_empty() {
            true => Self::None,
            false => Self::Waiting(blocks),
        }
    }
}

impl ObjectStream {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let mut task = match mem::replace(&mut self.next, Next::None) {
            Next::Waiting(mut blocks) => {
                if let Some(block) = blocks.read_cached() {
                    self.next = Next::of(blocks);
                    return Poll::Ready(Some(Ok(block)));
                }
                let block = blocks.buffer();
                tokio::task::spawn_blocking(move || blocks.read(block))
            }
            Next::Reading(task) => task,
            Next::None => return Poll::Ready(None),
        };
        let Poll::Ready(read) = Pin::new(&mut task).poll(cx) else {
            self.next = Next::Reading(task);
            return Poll::Pending;
        };
        Poll::Ready(
            match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                Ok((blocks, block)) => {
                    self.next = Next::of(blocks);
                    Some(Ok(block))
                }
                Err(error) => {
                    tracing::error!(%error, "embedded store: a download broke off");
                    Some(Err(error))
                }
            },
        )
    }
}

impl Stream for ObjectStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_block(cx)) {
            Some(Ok(block)) if block.is_empty() => None,
            Some(Ok(block)) => {
                self.remaining -= block.len() as u64;
                Some(Ok(block))
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        })
    }
}

impl ByteStream for ObjectStream {
    fn remaining_length(&self) -> RemainingLength {
        match usize::try_from(self.remaining) {
            Ok(length) => RemainingLength::new_exact(length),
            Err(_) => RemainingLength::unknown(),
        }
    }
}
