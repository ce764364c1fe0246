//! Unpacking, by files of the programs that pack, by encoders, and by what no program would write.

mod bodies;
mod bombs;
mod files;
mod round_trips;
mod zips;

use bytes::Bytes;

use super::worker::{Next, Worker};
use super::{Packing, Result, UnpackBounds};

/// Far above all that is unpacked here, but for bombs.
const CAP: u64 = 1 << 30;

/// The data in the fixtures.
fn image() -> Vec<u8> {
    let byte = |n: u32| if n % 1000 < 150 { (n * n / 7) as u8 } else { 0 };
    (0..6000).map(byte).collect()
}

/// The shorter data in the fixtures.
fn small() -> Vec<u8> {
    image()[..700].to_vec()
}

/// Unpacks data by its first bytes, fed in pieces and given out in pieces of these lengths.
fn unpack_in(packed: &[u8], fed: usize, given: usize, bounds: UnpackBounds) -> Result<Vec<u8>> {
    let packing = Packing::of(packed).expect("it is packed");
    let mut worker = Worker::with_pieces(packing, bounds, given)?;
    let mut pieces = packed.chunks(fed).peekable();
    let mut unpacked = Vec::new();
    loop {
        let piece = worker.work()?;
        assert!(piece.bytes.len() <= given);
        unpacked.extend_from_slice(&piece.bytes);
        match piece.next {
            Next::More => {}
            Next::Input => {
                let input = pieces.next().map(Bytes::copy_from_slice);
                worker.feed(input, pieces.peek().is_none());
            }
            Next::End => return Ok(unpacked),
        }
    }
}

/// Unpacks data by its first bytes.
fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    unpack_in(packed, usize::MAX, 65536, UnpackBounds::within(CAP))
}
