//! VDI of VirtualBox: a text banner, then a little-endian header.

use super::Format;
use super::fields::{le_u32, le_u64};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const SIGNATURE: u32 = 0xbeda_107f;
/// The identities of the disk that this one is a difference of, and of that disk's state: zero when there is none.
const PARENT: std::ops::Range<usize> = 424..456;

pub(super) struct Vdi;

impl Inspector for Vdi {
    fn begin(&self) -> Region {
        Region::Span { at: 0, length: 512 }
    }

    fn read(&mut self, header: &[u8]) -> Step {
        Step::Done(parse(header))
    }

    fn end(&mut self, partial: &[u8], _: u64) -> Option<Detected> {
        is_vdi(partial).then(|| Detected::truncated(Format::Vdi))
    }
}

fn is_vdi(header: &[u8]) -> bool {
    le_u32(header, 64) == Some(SIGNATURE)
}

fn parse(header: &[u8]) -> Option<Detected> {
    is_vdi(header).then_some(())?;
    let size = VirtualSize::Stated(le_u64(header, 368)?);
    let has_parent = header.get(PARENT)?.iter().any(|&byte| byte != 0);
    Some(Detected::new(Format::Vdi, size).failing_if(has_parent, Check::Parent))
}
