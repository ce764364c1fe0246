//! QED. Nobody supports it and nothing of it is checked: it is recognised in order to be refused.

use super::Format;
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

pub(super) struct Qed;

impl Inspector for Qed {
    fn begin(&self) -> Region {
        Region::Span { at: 0, length: 512 }
    }

    fn read(&mut self, header: &[u8]) -> Step {
        let matches = header.starts_with(b"QED\0");
        Step::Done(
            matches
                .then(|| Detected::new(Format::Qed, VirtualSize::Unknown).failing(Check::Banned)),
        )
    }
}
