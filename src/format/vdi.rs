//! VDI of VirtualBox: a text banner, then a little-endian header.

use super::Format;
use super::fields::{le_u32, le_u64};
use super::findings::{Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const SIGNATURE: u32 = 0xbeda_107f;

pub(super) struct Vdi;

impl Inspector for Vdi {
    fn begin(&self) -> Region {
        Region::Span { at: 0, length: 512 }
    }

    fn read(&mut self, header: &[u8]) -> Step {
        let matches = le_u32(header, 64) == Some(SIGNATURE);
        let size = le_u64(header, 368).filter(|_| matches);
        Step::Done(size.map(|bytes| Detected::new(Format::Vdi, VirtualSize::Stated(bytes))))
    }
}
