//! QCOW, version 1 to 3. Layout: `docs/interop/qcow2.rst` of QEMU; all numbers are big-endian.

use super::Format;
use super::fields::{be_u32, be_u64, has_magic};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const MAGIC: &[u8] = b"QFI\xfb";
/// Incompatible-feature bit: guest data is in another file.
const DATA_FILE: u64 = 1 << 2;
/// Incompatible-feature bits that have been judged: dirty, corrupt, data file, compression type.
const KNOWN_FEATURES: u64 = 0b1111;
/// Incompatible-feature bit: extended L2 entries, which QEMU reads since 5.2 and other readers do not.
const EXTENDED_L2: u64 = 1 << 4;

pub(super) struct Qcow2;

impl Inspector for Qcow2 {
    fn begin(&self) -> Region {
        Region::Span { at: 0, length: 512 }
    }

    fn read(&mut self, header: &[u8]) -> Step {
        Step::Done(parse(header))
    }

    fn end(&mut self, partial: &[u8], _: u64) -> Option<Detected> {
        has_magic(partial, MAGIC).then(|| Detected::truncated(Format::Qcow2))
    }
}

fn parse(header: &[u8]) -> Option<Detected> {
    if !header.starts_with(MAGIC) {
        return None;
    }
    let version = be_u32(header, 4)?;
    let backing_file_offset = be_u64(header, 8)?;
    // Before version 3 header extensions stand here.
    let features = if version == 3 { be_u64(header, 72)? } else { 0 };
    let unknown = !matches!(version, 2 | 3) || features & !(KNOWN_FEATURES | EXTENDED_L2) != 0;
    Some(
        Detected::new(Format::Qcow2, VirtualSize::Stated(be_u64(header, 24)?))
            .failing_if(backing_file_offset != 0, Check::BackingFile)
            .failing_if(features & DATA_FILE != 0, Check::DataFile)
            .failing_if(unknown, Check::UnknownFeatures)
            .failing_if(features & EXTENDED_L2 != 0, Check::ExtendedL2),
    )
}
