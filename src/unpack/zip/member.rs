//! The member: its header before the data, and its entry in the directory.

use super::{Error, Facts, MEMBER, Result, damaged, u16_at, u32_at, u64_at, unsupported};

/// Length of a member's header before its texts, with the signature.
pub(super) const HEADER: usize = 30;
/// Length of an entry of the directory before its texts, without the signature.
pub(super) const ENTRY: usize = 42;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

const ENCRYPTED: u16 = 0x0001;
const HAS_DESCRIPTOR: u16 = 0x0008;
const PATCH: u16 = 0x0020;
const STRONGLY_ENCRYPTED: u16 = 0x0040;
const HIDDEN_HEADER: u16 = 0x2000;

/// A field with this value stands in the extra field of zip64, or nowhere.
const ELSEWHERE: u32 = u32::MAX;
const ZIP64: u16 = 0x0001;

/// What the header says.
pub(super) struct Member {
    name: Vec<u8>,
    method: u16,
    pub(super) is_deflated: bool,
    /// None where a descriptor behind the data says it.
    pub(super) stated: Option<Facts>,
    /// Length of the data within the archive, if it is known before.
    pub(super) packed: Option<u64>,
}

/// What the directory says.
pub(super) struct Entry {
    name: Vec<u8>,
    method: u16,
    facts: Facts,
    /// Where the header is said to be, in bytes from the beginning.
    offset: u64,
}

/// Length of the texts behind a header.
pub(super) fn texts(header: &[u8]) -> usize {
    usize::from(u16_at(header, 26)) + usize::from(u16_at(header, 28))
}

/// Length of the texts behind an entry.
pub(super) fn entry_texts(entry: &[u8]) -> usize {
    usize::from(u16_at(entry, 24)) + usize::from(u16_at(entry, 26)) + usize::from(u16_at(entry, 28))
}

impl Member {
    /// # Errors
    /// [`Error::Encrypted`], [`Error::Unsupported`], [`Error::Damaged`].
    pub(super) fn new(header: &[u8], texts: &[u8]) -> Result<Self> {
        if u32_at(header, 0) != MEMBER {
            return Err(damaged("it does not begin as zip does"));
        }
        let flags = u16_at(header, 6);
        if flags & (ENCRYPTED | STRONGLY_ENCRYPTED | HIDDEN_HEADER) != 0 {
            return Err(Error::Encrypted);
        }
        if flags & PATCH != 0 {
            return Err(unsupported("it is a patch to another file"));
        }
        let method = u16_at(header, 8);
        if !matches!(method, STORED | DEFLATED) {
            return Err(unsupported("its file is neither deflated nor stored"));
        }
        let (name, extra) = texts.split_at(usize::from(u16_at(header, 26)));
        if name.ends_with(b"/") {
            return Err(unsupported("it holds a directory"));
        }
        let mut wide = Wide::new(extra)?;
        let size = wide.or(u32_at(header, 22))?;
        let packed = wide.or(u32_at(header, 18))?;
        let is_deflated = method == DEFLATED;
        let stated = (flags & HAS_DESCRIPTOR == 0).then_some(Facts {
            crc: u32_at(header, 14),
            packed,
            size,
        });
        if !is_deflated && packed != size {
            return Err(damaged("its file is stored with two lengths"));
        }
        // Stored data does not say where it ends. Whoever writes it into a pipe may know its length before, or write zeros.
        if !is_deflated && stated.is_none() && packed == 0 {
            return Err(unsupported("its file is stored, and its length unknown"));
        }
        Ok(Self {
            name: name.to_vec(),
            method,
            is_deflated,
            stated,
            packed: (!is_deflated || stated.is_some()).then_some(packed),
        })
    }

    /// Whether an entry is of this member, which turned out to be so.
    pub(super) fn is(&self, entry: &Entry, facts: Facts) -> bool {
        self.name == entry.name
            && self.method == entry.method
            && entry.facts == facts
            && entry.offset == 0
    }
}

impl Entry {
    /// # Errors
    /// [`Error::Encrypted`], [`Error::Damaged`].
    pub(super) fn new(fixed: &[u8], texts: &[u8]) -> Result<Self> {
        if u16_at(fixed, 4) & (ENCRYPTED | STRONGLY_ENCRYPTED) != 0 {
            return Err(Error::Encrypted);
        }
        let (name, rest) = texts.split_at(usize::from(u16_at(fixed, 24)));
        let (extra, _comment) = rest.split_at(usize::from(u16_at(fixed, 26)));
        let mut wide = Wide::new(extra)?;
        let size = wide.or(u32_at(fixed, 20))?;
        let packed = wide.or(u32_at(fixed, 16))?;
        let offset = wide.or(u32_at(fixed, 38))?;
        Ok(Self {
            name: name.to_vec(),
            method: u16_at(fixed, 6),
            facts: Facts {
                crc: u32_at(fixed, 12),
                packed,
                size,
            },
            offset,
        })
    }
}

/// The extra field of zip64: the values that have no place elsewhere, in a fixed order.
struct Wide<'a> {
    values: Option<&'a [u8]>,
}

impl<'a> Wide<'a> {
    fn new(mut extra: &'a [u8]) -> Result<Self> {
        let mut values = None;
        // Fewer than four bytes are padding, as some writers leave it.
        while extra.len() >= 4 {
            let (head, rest) = extra.split_at(4);
            let length = usize::from(u16_at(head, 2));
            let Some((value, rest)) = rest.split_at_checked(length) else {
                return Err(damaged("an extra field is longer than its record"));
            };
            if u16_at(head, 0) == ZIP64 && values.replace(value).is_some() {
                return Err(damaged("its lengths are said twice"));
            }
            extra = rest;
        }
        Ok(Self { values })
    }

    /// The field's own value, or the next one from here.
    fn or(&mut self, field: u32) -> Result<u64> {
        match self.values {
            Some(values) if field == ELSEWHERE => {
                let Some((value, rest)) = values.split_at_checked(8) else {
                    return Err(damaged("a length is missing"));
                };
                self.values = Some(rest);
                Ok(u64_at(value, 0))
            }
            _ => Ok(u64::from(field)),
        }
    }
}
