//! QED. Nobody supports it and nothing of it is checked: it is recognised in order to be refused.

use super::Format;
use super::fields::has_magic;
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

pub(super) struct Qed;

impl Inspector for Qed {
    fn begin(&self) -> Region {
        Region::Span { at: 0, length: 512 }
    }

    fn read(&mut self, header: &[u8]) -> Step {
        Step::Done(self.end(header, 0))
    }

    fn end(&mut self, partial: &[u8], _: u64) -> Option<Detected> {
        has_magic(partial, b"QED\0")
            .then(|| Detected::new(Format::Qed, VirtualSize::Unknown).failing(Check::Banned))
    }
}
