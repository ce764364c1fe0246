//! Boot sectors that end in the signature of a master boot record and are none: of a file system, or of a kernel.

use super::fields::{le_u16, le_u32};

/// Offset of the magic of Linux's boot protocol, in the second sector.
const KERNEL_MAGIC_AT: usize = 0x202;
const KERNEL_MAGIC: &[u8] = b"HdrS";

/// Bytes of a stream that are looked at.
pub(super) const BYTES: usize = KERNEL_MAGIC_AT + KERNEL_MAGIC.len();

/// Whether a stream that begins so is a kernel of Linux for x86 (its `Documentation/arch/x86/boot.rst`).
pub(super) fn is_kernel(start: &[u8]) -> bool {
    start
        .get(KERNEL_MAGIC_AT..)
        .is_some_and(|rest| rest.starts_with(KERNEL_MAGIC))
}

/// Whether the sector is that of a file system: FAT, NTFS, exFAT or HPFS.
pub(super) fn is_file_system(sector: &[u8]) -> bool {
    is_fat_on_fixed_disk(sector)
        || (jumps(sector)
            && (has(sector, 3, b"NTFS    ")
                || has(sector, 3, b"EXFAT   ")
                || has(sector, 54, b"HPFS    ")
                || is_fat(sector)))
}

/// What the reference service takes for FAT: two allocation tables, on a fixed disk. Where a file system says so, a
/// master boot record has code.
fn is_fat_on_fixed_disk(sector: &[u8]) -> bool {
    sector.get(16) == Some(&2) && sector.get(21) == Some(&0xf8)
}

/// A parameter block that a FAT file system can have, floppies and such of DOS 2 included.
fn is_fat(sector: &[u8]) -> bool {
    let byte = |at: usize| sector.get(at).copied().unwrap_or_default();
    let sector_bytes = le_u16(sector, 11).unwrap_or_default();
    let sectors = match le_u16(sector, 19) {
        Some(0) => le_u32(sector, 32).unwrap_or_default(),
        small => u32::from(small.unwrap_or_default()),
    };
    matches!(sector_bytes, 512 | 1024 | 2048 | 4096)
        && byte(13).is_power_of_two()
        && le_u16(sector, 14).is_some_and(|reserved| reserved > 0)
        && matches!(byte(16), 1 | 2)
        && (byte(21) == 0xf0 || byte(21) >= 0xf8)
        && sectors > 0
}

/// Begins with a jump over the parameters.
fn jumps(sector: &[u8]) -> bool {
    matches!(sector, [0xeb, _, 0x90, ..] | [0xe9, ..])
}

fn has(sector: &[u8], at: usize, text: &[u8]) -> bool {
    sector.get(at..).is_some_and(|rest| rest.starts_with(text))
}
