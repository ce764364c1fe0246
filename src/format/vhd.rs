//! VHD, called VPC by QEMU: dynamic and differencing disks begin with a copy of their footer, big-endian. A fixed disk
//! has the footer only and cannot be told from raw.

use super::Format;
use super::fields::be_u64;
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const COOKIE: &[u8] = b"conectix";

pub(super) struct Vhd;

impl Inspector for Vhd {
    fn begin(&self) -> Region {
        Region::Span { at: 0, length: 512 }
    }

    fn read(&mut self, footer: &[u8]) -> Step {
        let matches = footer.starts_with(COOKIE);
        let size = be_u64(footer, 40).filter(|_| matches);
        Step::Done(size.map(|bytes| Detected::new(Format::Vhd, VirtualSize::Stated(bytes))))
    }

    /// The cookie alone is recognised, but such a file is nothing anybody should open.
    fn end(&mut self, partial: &[u8]) -> Option<Detected> {
        partial
            .starts_with(COOKIE)
            .then(|| Detected::new(Format::Vhd, VirtualSize::Unknown).failing(Check::Truncated))
    }
}
