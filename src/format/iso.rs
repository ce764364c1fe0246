//! ISO 9660 (ECMA-119) and UDF. The first 16 sectors belong to whoever boots from the disc, so that a bootable image
//! is often a disk with a partition table as well; the sector after them is looked at.

use super::Format;
use super::fields::{le_u16, le_u32};
use super::findings::{Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const IDENTIFIERS: [&[u8]; 3] = [b"CD001", b"NSR02", b"NSR03"];
const PRIMARY_VOLUME: u8 = 1;

pub(super) struct Iso;

impl Inspector for Iso {
    fn begin(&self) -> Region {
        Region::Span {
            at: 32 << 10,
            length: 2 << 10,
        }
    }

    fn read(&mut self, descriptor: &[u8]) -> Step {
        Step::Done(parse(descriptor))
    }
}

fn parse(descriptor: &[u8]) -> Option<Detected> {
    let (kind, rest) = descriptor.split_first()?;
    if !IDENTIFIERS
        .iter()
        .any(|identifier| rest.starts_with(identifier))
    {
        return None;
    }
    let size = if *kind == PRIMARY_VOLUME {
        let blocks = le_u32(descriptor, 80)?;
        let block_bytes = le_u16(descriptor, 128)?;
        VirtualSize::Stated(u64::from(blocks) * u64::from(block_bytes))
    } else {
        VirtualSize::Unknown
    };
    Some(Detected::new(Format::Iso, size))
}
