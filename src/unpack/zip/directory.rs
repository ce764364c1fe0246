//! The end of the archive: where the directory is, and how many entries it has.

use super::{Result, damaged, u16_at, u32_at, u64_at};

/// Lengths of the fixed parts of records, without their signatures, bytes.
pub(super) const END64: usize = 52;
pub(super) const LOCATOR64: usize = 16;
pub(super) const END: usize = 18;

/// The directory as it was read.
#[derive(Default)]
pub(super) struct Directory {
    /// Where it has begun, in bytes from the beginning of the archive.
    pub(super) begin: u64,
    pub(super) has_entry: bool,
    /// Where it has ended.
    pub(super) end: Option<u64>,
    pub(super) end64: Option<End64>,
    pub(super) is_located: bool,
}

/// The end as zip64 has it.
pub(super) struct End64 {
    entries: [u64; 2],
    size: u64,
    offset: u64,
    /// Bytes that follow within the record.
    pub(super) rest: u64,
}

/// The end as all have it.
pub(super) struct End {
    disks: [u16; 2],
    entries: [u16; 2],
    size: u32,
    offset: u32,
    /// Length of the comment behind it, bytes.
    pub(super) comment: u64,
}

impl End64 {
    pub(super) fn new(fixed: &[u8]) -> Result<Self> {
        // The length does not count itself.
        let Some(rest) = u64_at(fixed, 0).checked_sub(END64 as u64 - 8) else {
            return Err(damaged("the end of its directory is too short"));
        };
        Ok(Self {
            entries: [u64_at(fixed, 20), u64_at(fixed, 28)],
            size: u64_at(fixed, 36),
            offset: u64_at(fixed, 44),
            rest,
        })
    }
}

impl End {
    pub(super) fn new(fixed: &[u8]) -> Self {
        Self {
            disks: [u16_at(fixed, 0), u16_at(fixed, 2)],
            entries: [u16_at(fixed, 4), u16_at(fixed, 6)],
            size: u32_at(fixed, 8),
            offset: u32_at(fixed, 12),
            comment: u64::from(u16_at(fixed, 16)),
        }
    }
}

impl Directory {
    /// Takes the record that says where the end of zip64 is.
    ///
    /// # Errors
    /// [`super::Error::Damaged`] when it is elsewhere.
    pub(super) fn locate(&mut self, locator: &[u8]) -> Result<()> {
        if self.end != Some(u64_at(locator, 4)) {
            return Err(damaged("its directory ends elsewhere than it says"));
        }
        self.is_located = true;
        Ok(())
    }

    /// # Errors
    /// [`super::Error::Damaged`] when the end does not say what was read.
    pub(super) fn check(&self, end: &End) -> Result<()> {
        let size = self.end.unwrap_or(self.begin) - self.begin;
        let has_wide = match &self.end64 {
            None => false,
            Some(_) if !self.is_located => {
                return Err(damaged("the end of its directory is said nowhere"));
            }
            Some(wide) => {
                if wide.entries != [1, 1] || wide.size != size || wide.offset != self.begin {
                    return Err(damaged("its directory is not as its end says"));
                }
                true
            }
        };
        // A field that is full stands in zip64.
        let is = |field: u64, full: u64, value: u64| field == value || (has_wide && field == full);
        let (short, long) = (u64::from(u16::MAX), u64::from(u32::MAX));
        let fits = end.disks.iter().all(|it| is(u64::from(*it), short, 0))
            && end.entries.iter().all(|it| is(u64::from(*it), short, 1))
            && is(u64::from(end.size), long, size)
            && is(u64::from(end.offset), long, self.begin);
        if fits {
            Ok(())
        } else {
            Err(damaged("its directory is not as its end says"))
        }
    }
}
