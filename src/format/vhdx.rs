//! VHDX of Hyper-V ([MS-VHDX]); little-endian. The size of the disk is an item of the metadata region, which is found
//! through the region table. A file whose tables lead nowhere is still a VHDX to who believes the
//! magic, and refused.

use super::Format;
use super::fields::{has_magic, le_u16, le_u32, le_u64};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const MAGIC: &[u8] = b"vhdxfile";
/// Either table: a header of its own length, then at most 2047 entries of 32 bytes.
const ENTRY_BYTES: usize = 32;
const MAX_ENTRIES: usize = 2047;
/// A table, padded; what follows the region table and the metadata table begins there.
const TABLE_BYTES: u64 = 64 << 10;
const REGION_TABLE_AT: u64 = 192 << 10;
const REGION_HEADER_BYTES: usize = 16;
const METADATA_HEADER_BYTES: usize = 32;

/// 8B7CA206-4790-4B9A-B8FE-575F050F886E
const METADATA_REGION: [u8; 16] = [
    0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e,
];
/// 2FA54224-CD1B-4876-B211-5DBED83BF4B8
const VIRTUAL_DISK_SIZE: [u8; 16] = [
    0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8,
];

/// A8D35F2D-B30B-454D-ABF7-D3D84834AB0C: the item that says where the parent of a differencing disk is.
const PARENT_LOCATOR: [u8; 16] = [
    0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c,
];

/// What the region being read is.
#[derive(Default)]
enum Stage {
    #[default]
    Identifier,
    RegionHeader,
    RegionEntries,
    MetadataHeader {
        region_at: u64,
    },
    MetadataEntries {
        region_at: u64,
    },
    DiskSize {
        has_parent: bool,
    },
}

#[derive(Default)]
pub(super) struct Vhdx {
    stage: Stage,
}

impl Inspector for Vhdx {
    fn begin(&self) -> Region {
        Region::Span { at: 0, length: 8 }
    }

    fn read(&mut self, region: &[u8]) -> Step {
        let is_vhdx = !matches!(self.stage, Stage::Identifier);
        let malformed =
            || Detected::new(Format::Vhdx, VirtualSize::Unknown).failing(Check::Malformed);
        self.advance(region)
            .unwrap_or_else(|| Step::Done(is_vhdx.then(malformed)))
    }

    fn end(&mut self, partial: &[u8], _: u64) -> Option<Detected> {
        let is_vhdx = !matches!(self.stage, Stage::Identifier) || has_magic(partial, MAGIC);
        is_vhdx.then(|| Detected::truncated(Format::Vhdx))
    }
}

impl Vhdx {
    /// None when the file is not a VHDX, or a broken one.
    fn advance(&mut self, region: &[u8]) -> Option<Step> {
        let (stage, next) = match self.stage {
            Stage::Identifier => {
                region.starts_with(MAGIC).then_some(())?;
                (
                    Stage::RegionHeader,
                    Region::Span {
                        at: REGION_TABLE_AT,
                        length: REGION_HEADER_BYTES,
                    },
                )
            }
            Stage::RegionHeader => {
                region.starts_with(b"regi").then_some(())?;
                let length = entries_bytes(le_u32(region, 8)?)?;
                (
                    Stage::RegionEntries,
                    Region::Span {
                        at: REGION_TABLE_AT + REGION_HEADER_BYTES as u64,
                        length,
                    },
                )
            }
            Stage::RegionEntries => {
                let region_at = le_u64(find_entry(region, &METADATA_REGION)?, 16)?;
                (region_at >= REGION_TABLE_AT + TABLE_BYTES).then_some(())?;
                let header = Region::Span {
                    at: region_at,
                    length: METADATA_HEADER_BYTES,
                };
                (Stage::MetadataHeader { region_at }, header)
            }
            Stage::MetadataHeader { region_at } => {
                region.starts_with(b"metadata").then_some(())?;
                let length = entries_bytes(le_u16(region, 10)?.into())?;
                let at = region_at.checked_add(METADATA_HEADER_BYTES as u64)?;
                (
                    Stage::MetadataEntries { region_at },
                    Region::Span { at, length },
                )
            }
            Stage::MetadataEntries { region_at } => {
                let entry = find_entry(region, &VIRTUAL_DISK_SIZE)?;
                let item_at = u64::from(le_u32(entry, 16)?);
                (item_at >= TABLE_BYTES && le_u32(entry, 20)? == 8).then_some(())?;
                (
                    Stage::DiskSize {
                        has_parent: find_entry(region, &PARENT_LOCATOR).is_some(),
                    },
                    Region::Span {
                        at: region_at.checked_add(item_at)?,
                        length: 8,
                    },
                )
            }
            Stage::DiskSize { has_parent } => {
                let size = VirtualSize::Stated(le_u64(region, 0)?);
                let detected = Detected::new(Format::Vhdx, size);
                let detected = detected.failing_if(has_parent, Check::Parent);
                return Some(Step::Done(Some(detected)));
            }
        };
        self.stage = stage;
        Some(Step::Read(next))
    }
}

/// Length of a table's entries, bytes; none if it has none or more than fit.
fn entries_bytes(count: u32) -> Option<usize> {
    let count = usize::try_from(count).ok()?;
    (1..=MAX_ENTRIES)
        .contains(&count)
        .then_some(count * ENTRY_BYTES)
}

fn find_entry<'a>(entries: &'a [u8], guid: &[u8; 16]) -> Option<&'a [u8]> {
    entries
        .chunks_exact(ENTRY_BYTES)
        .find(|entry| entry.starts_with(guid))
}
