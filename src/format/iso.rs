//! ISO 9660 (ECMA-119) and UDF (ECMA-167). The first 16 sectors belong to whoever boots from the disc, so that a
//! bootable image is often a disk with a partition table as well; the descriptors after them are looked at.

use super::Format;
use super::fields::{le_u16, le_u32};
use super::findings::{Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const DESCRIPTORS_AT: u64 = 32 << 10;
const DESCRIPTOR_BYTES: usize = 2 << 10;
/// Descriptors looked at; UDF needs three, every other sector of them where its blocks are of 4 KiB.
const MAX_DESCRIPTORS: u64 = 8;
const ISO: &[u8] = b"CD001";
const UDF: [&[u8]; 2] = [b"NSR02", b"NSR03"];
/// What may come before the descriptor that makes it UDF: the begin of the sequence, and a boot loader's.
const BEFORE_UDF: [&[u8]; 3] = [b"BEA01", b"BOOT2", &[0; 5]];
const PRIMARY_VOLUME: u8 = 1;

/// Counts descriptors read.
#[derive(Default)]
pub(super) struct Iso(u64);

impl Inspector for Iso {
    fn begin(&self) -> Region {
        Region::Span {
            at: DESCRIPTORS_AT + self.0 * DESCRIPTOR_BYTES as u64,
            length: DESCRIPTOR_BYTES,
        }
    }

    fn read(&mut self, descriptor: &[u8]) -> Step {
        let identifier = descriptor.get(1..6).unwrap_or_default();
        let is_first = self.0 == 0;
        self.0 += 1;
        if is_first && identifier == ISO {
            Step::Done(parse(descriptor))
        } else if UDF.contains(&identifier) {
            Step::Done(Some(Detected::new(Format::Iso, VirtualSize::Unknown)))
        } else if BEFORE_UDF.contains(&identifier)
            && !(is_first && identifier != BEFORE_UDF[0])
            && self.0 < MAX_DESCRIPTORS
        {
            Step::Read(self.begin())
        } else {
            Step::Done(None)
        }
    }

    /// Nobody boots from less than the descriptors, and none of them leads elsewhere.
    fn end(&mut self, _: &[u8], _: u64) -> Option<Detected> {
        None
    }
}

fn parse(descriptor: &[u8]) -> Option<Detected> {
    let size = if *descriptor.first()? == PRIMARY_VOLUME {
        let blocks = le_u32(descriptor, 80)?;
        let block_bytes = le_u16(descriptor, 128)?;
        VirtualSize::Stated(u64::from(blocks) * u64::from(block_bytes))
    } else {
        VirtualSize::Unknown
    };
    Some(Detected::new(Format::Iso, size))
}
