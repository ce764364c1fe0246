//! VHD, called VPC by QEMU: dynamic and differencing disks begin with a copy of their footer, big-endian. A fixed disk
//! has the footer only, at its end, and is that disk to whoever does not look there.

use super::Format;
use super::fields::{be_u16, be_u32, be_u64, has_magic};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const COOKIE: &[u8] = b"conectix";
const FOOTER_BYTES: usize = 512;
const SECTOR_BYTES: u64 = 512;
/// Types of disk.
const FIXED: u32 = 2;
const DIFFERENCING: u32 = 4;
/// Makers whose disks are as large as the footer says. For others the geometry counts, as it did for Virtual PC.
const CREATORS_WITH_SIZE: [&[u8]; 5] = [b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS"];
/// The largest geometry; a disk that has it is as large as the footer says.
const LARGEST_GEOMETRY: u64 = 65535 * 16 * 255;

pub(super) struct Vhd;

impl Inspector for Vhd {
    fn begin(&self) -> Region {
        Region::Span {
            at: 0,
            length: FOOTER_BYTES,
        }
    }

    fn read(&mut self, footer: &[u8]) -> Step {
        Step::Done(parse(footer))
    }

    /// The cookie alone is recognised, but such a file is nothing anybody should open.
    fn end(&mut self, partial: &[u8], _: u64) -> Option<Detected> {
        has_magic(partial, COOKIE).then(|| Detected::truncated(Format::Vhd))
    }
}

fn parse(footer: &[u8]) -> Option<Detected> {
    footer.starts_with(COOKIE).then_some(())?;
    let size = VirtualSize::Stated(disk_bytes(footer)?);
    let has_parent = be_u32(footer, 60)? == DIFFERENCING;
    Some(Detected::new(Format::Vhd, size).failing_if(has_parent, Check::Parent))
}

/// Size of the disk as it is now; a disk that was expanded had another one when it was made.
fn disk_bytes(footer: &[u8]) -> Option<u64> {
    let tracks = u64::from(be_u16(footer, 56)?) * u64::from(*footer.get(58)?);
    let geometry = tracks * u64::from(*footer.get(59)?);
    let creator = footer.get(28..32)?;
    if CREATORS_WITH_SIZE.contains(&creator) || geometry == LARGEST_GEOMETRY {
        Some(be_u64(footer, 48)? / SECTOR_BYTES * SECTOR_BYTES)
    } else {
        Some(geometry * SECTOR_BYTES)
    }
}

/// Keeps the end of a stream, where a fixed disk has its footer.
#[derive(Default)]
pub(super) struct FixedVhd {
    tail: Vec<u8>,
}

impl FixedVhd {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(FOOTER_BYTES)..];
        let excess = (self.tail.len() + bytes.len()).saturating_sub(FOOTER_BYTES);
        self.tail.drain(..excess);
        self.tail.reserve_exact(FOOTER_BYTES - self.tail.len());
        self.tail.extend_from_slice(bytes);
    }

    /// Size of the disk, bytes, if the stream ended with the footer of a fixed one that it can hold.
    pub(super) fn disk_bytes(&self, stream_bytes: u64) -> Option<u64> {
        self.tail.starts_with(COOKIE).then_some(())?;
        (be_u32(&self.tail, 60)? == FIXED).then_some(())?;
        let held = stream_bytes.checked_sub(FOOTER_BYTES as u64)?;
        disk_bytes(&self.tail).filter(|&bytes| bytes <= held)
    }

    /// Bytes of buffer held.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.tail.capacity()
    }
}
