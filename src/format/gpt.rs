//! Partitioned disks: a master boot record, which is also how a GUID partition table begins (UEFI 2.10, 5.2).

use super::Format;
use super::boot_sector;
use super::fields::{le_u16, le_u32};
use super::findings::{Check, Detected, VirtualSize};
use super::probe::{Inspector, Region, Step};

const ENTRIES_AT: usize = 446;
const ENTRY_BYTES: usize = 16;
const BOOT_SIGNATURE: u16 = 0xaa55;
/// Partition type of the one entry that stands for the whole of a disk with a GUID partition table.
const PROTECTIVE: u8 = 0xee;

pub(super) struct Gpt;

impl Inspector for Gpt {
    fn begin(&self) -> Region {
        Region::Span {
            at: 0,
            length: boot_sector::BYTES,
        }
    }

    fn read(&mut self, start: &[u8]) -> Step {
        Step::Done(parse(start))
    }

    /// A sector is enough; less cannot be told from any other bytes, and leads nowhere.
    fn end(&mut self, partial: &[u8], _: u64) -> Option<Detected> {
        parse(partial)
    }
}

fn parse(start: &[u8]) -> Option<Detected> {
    let sector = start.get(..512)?;
    if le_u16(sector, 510)? != BOOT_SIGNATURE
        || boot_sector::is_file_system(sector)
        || boot_sector::is_kernel(start)
    {
        return None;
    }
    let entries = sector
        .get(ENTRIES_AT..ENTRIES_AT + 4 * ENTRY_BYTES)?
        .as_chunks::<ENTRY_BYTES>()
        .0;
    let used = entries.iter().filter(|entry| kind(entry) != 0).count();
    let odd_flag = entries.iter().any(|entry| !matches!(entry[0], 0x00 | 0x80));
    let mut protective = entries
        .iter()
        .filter(|entry| kind(entry) == PROTECTIVE)
        .peekable();
    let badly_protected = protective.peek().is_some()
        && (used > 1 || kind(&entries[0]) != PROTECTIVE || !protective.all(covers_disk));
    Some(
        Detected::new(Format::Gpt, VirtualSize::StreamAfter(0))
            .failing_if(odd_flag || used == 0, Check::Mbr)
            .failing_if(badly_protected, Check::GptMbr),
    )
}

fn kind(entry: &[u8; ENTRY_BYTES]) -> u8 {
    entry[4]
}

/// Starts at cylinder 0, head 0, sector 2, which is block 1.
fn covers_disk(entry: &[u8; ENTRY_BYTES]) -> bool {
    entry[1..4] == [0, 2, 0] && le_u32(entry, 8) == Some(1)
}
