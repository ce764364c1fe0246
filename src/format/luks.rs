//! LUKS. The content is encrypted and stays unseen; only version 1 says where it begins in a way that is judged here.

use super::Format;
use super::fields::{be_u16, be_u32};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

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
}

fn parse(header: &[u8]) -> Option<Detected> {
    if !header.starts_with(b"LUKS\xba\xbe") {
        return None;
    }
    let payload_sector = be_u32(header, 104)?;
    Some(
        Detected::new(
            Format::Luks,
            VirtualSize::StreamAfter(u64::from(payload_sector) * SECTOR_BYTES),
        )
        .failing_if(be_u16(header, 6)? != 1, Check::Version),
    )
}
