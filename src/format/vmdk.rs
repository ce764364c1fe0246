//! VMDK of VMware, in its two shapes: a sparse extent that carries its own descriptor, and a descriptor alone, as text.
//!
//! A descriptor lists the files the disk is made of, and a reader opens whatever it names (OSSA 2023-002). Therefore a
//! VMDK is one of the two kinds that are a single file, states nothing that is not understood, and anything that bears
//! its signature without keeping to that is unsafe, rather than raw.

mod descriptor;
mod text;

pub(super) use text::TextVmdk;

use super::Format;
use super::fields::{has_magic, le_u32, le_u64};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const SECTOR_BYTES: u64 = 512;
const SIGNATURE: &[u8] = b"KDMV";
/// A sparse extent of VMware 3. Readers look for a parent in it, where it has no place for a descriptor.
const OLD_SIGNATURE: &[u8] = b"COWD";
/// Most of a descriptor that anybody reads; QEMU's number.
const MAX_DESCRIPTOR_BYTES: usize = (1 << 20) - 1;
/// In place of the grain directory's sector: it is written at the end, announced by a footer.
const DIRECTORY_AT_END: u64 = u64::MAX;
/// A marker, a second header, and the marker of the end, a sector each.
const FOOTER_BYTES: usize = 3 * SECTOR_BYTES as usize;
const FOOTER_MARKER: u32 = 3;

/// The fields of a sparse extent's header that matter; the footer repeats them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    version: u32,
    capacity_sectors: u64,
    descriptor_sector: u64,
    descriptor_sectors: u64,
    directory_sector: u64,
}

impl Header {
    fn parse(sector: &[u8]) -> Option<Header> {
        sector.starts_with(SIGNATURE).then_some(())?;
        Some(Header {
            version: le_u32(sector, 4)?,
            capacity_sectors: le_u64(sector, 12)?,
            descriptor_sector: le_u64(sector, 28)?,
            descriptor_sectors: le_u64(sector, 36)?,
            directory_sector: le_u64(sector, 56)?,
        })
    }

    /// The descriptor has one possible place: right behind the header.
    fn descriptor(&self) -> Option<Region> {
        let is_usable = matches!(self.version, 1..=3)
            // Else readers take all extents from the descriptor, and read on past its sectors.
            && self.capacity_sectors > 0
            && self.descriptor_sector == 1
            && self.descriptor_sectors > 0;
        let length = usize::try_from(self.descriptor_sectors.saturating_mul(SECTOR_BYTES))
            .unwrap_or(usize::MAX);
        is_usable.then_some(Region::Span {
            at: SECTOR_BYTES,
            length: length.min(MAX_DESCRIPTOR_BYTES),
        })
    }

    fn detected(&self) -> Detected {
        let bytes = self.capacity_sectors.saturating_mul(SECTOR_BYTES);
        Detected::new(Format::Vmdk, VirtualSize::Stated(bytes))
    }
}

/// A sparse extent with the descriptor inside.
#[derive(Default)]
pub(super) struct SparseVmdk {
    header: Option<Header>,
    /// What is known once the descriptor has been read and only the footer is missing.
    described: Option<Detected>,
}

impl Inspector for SparseVmdk {
    fn begin(&self) -> Region {
        Region::Span {
            at: 0,
            length: SECTOR_BYTES as usize,
        }
    }

    fn read(&mut self, region: &[u8]) -> Step {
        match self.header {
            None => {
                if region.starts_with(OLD_SIGNATURE) {
                    return Step::Done(self.end(region, 0));
                }
                self.header = Header::parse(region);
                match self.header {
                    None => Step::Done(None),
                    Some(header) => match header.descriptor() {
                        Some(descriptor) => Step::Read(descriptor),
                        None => Step::Done(Some(header.detected().failing(Check::Descriptor))),
                    },
                }
            }
            Some(header) => {
                let mut detected = header.detected();
                detected.failures = descriptor::failures(region);
                if header.directory_sector == DIRECTORY_AT_END {
                    self.described = Some(detected);
                    Step::Read(Region::Last(FOOTER_BYTES))
                } else {
                    Step::Done(Some(detected))
                }
            }
        }
    }

    fn end(&mut self, partial: &[u8], stream_bytes: u64) -> Option<Detected> {
        let Some(header) = self.header else {
            let detected = Detected::new(Format::Vmdk, VirtualSize::Unknown);
            return if has_magic(partial, OLD_SIGNATURE) {
                Some(detected.failing(Check::Banned))
            } else {
                has_magic(partial, SIGNATURE).then(|| detected.failing(Check::Descriptor))
            };
        };
        Some(match self.described.take() {
            Some(detected) => {
                // Readers count the footer's place in whole sectors.
                let is_sound =
                    stream_bytes.is_multiple_of(SECTOR_BYTES) && footer_agrees(&header, partial);
                detected.failing_if(!is_sound, Check::Footer)
            }
            None => header.detected().failing(Check::Descriptor),
        })
    }
}

/// A reader believes the footer over the header that was inspected: it must say the same, and be the last word.
fn footer_agrees(header: &Header, tail: &[u8]) -> bool {
    let (sectors, _) = tail.as_chunks::<{ SECTOR_BYTES as usize }>();
    let [marker, footer, end] = sectors else {
        return false;
    };
    let is_marked = marker[8..12] == [0; 4]
        && le_u32(marker, 12) == Some(FOOTER_MARKER)
        && marker[16..].iter().all(|&byte| byte == 0);
    let agrees = Header::parse(footer).is_some_and(|footer| {
        footer.version == header.version
            && footer.capacity_sectors == header.capacity_sectors
            && footer.descriptor_sector == header.descriptor_sector
            && footer.descriptor_sectors == header.descriptor_sectors
            && footer.directory_sector != DIRECTORY_AT_END
    });
    is_marked && agrees && end.iter().all(|&byte| byte == 0)
}
