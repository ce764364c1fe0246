//! LUKS. The content is encrypted and stays unseen. Version 1 says in its header where it begins; version 2 says so in a
//! text of up to megabytes behind it, which is not read here.

use super::Format;
use super::fields::{be_u16, be_u32, has_magic};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const MAGIC: &[u8] = b"LUKS\xba\xbe";
const SECTOR_BYTES: u64 = 512;

pub(super) struct Luks;

impl Inspector for Luks {
    fn begin(&self) -> Region {
        // The header of version 1 with its eight key slots.
        Region::Span { at: 0, length: 592 }
    }

    fn read(&mut self, header: &[u8]) -> Step {
        Step::Done(parse(header))
    }

    fn end(&mut self, partial: &[u8], _: u64) -> Option<Detected> {
        has_magic(partial, MAGIC).then(|| Detected::truncated(Format::Luks))
    }
}

fn parse(header: &[u8]) -> Option<Detected> {
    header.starts_with(MAGIC).then_some(())?;
    let version = be_u16(header, 6)?;
    let size = match version {
        1 => VirtualSize::StreamAfter(u64::from(be_u32(header, 104)?) * SECTOR_BYTES),
        _ => VirtualSize::Unknown,
    };
    let detected = Detected::new(Format::Luks, size);
    Some(detected.failing_if(!matches!(version, 1 | 2), Check::Version))
}
