//! What stands behind data of which nothing was known before it: checksum and lengths.
//!
//! It may have a signature or not, and lengths of four or of eight bytes, and nothing tells which. But what it must say is
//! known by then, and so is what follows it: so all that it may be is written out and compared.

use super::{ENTRY, Facts, MEMBER, Result, damaged};

const SIGNATURE: u32 = 0x0807_4b50;

/// What follows a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// The directory.
    Directory,
    /// The header of another member.
    Member,
}

/// A descriptor, with the signature of what follows it.
pub(super) struct Descriptor {
    candidates: Vec<(Vec<u8>, Follows)>,
    /// Bytes that have come.
    at: usize,
}

impl Descriptor {
    pub(super) fn new(facts: Facts) -> Self {
        let narrow = u32::try_from(facts.packed)
            .ok()
            .zip(u32::try_from(facts.size).ok());
        let narrow =
            narrow.map(|(packed, size)| [packed.to_le_bytes(), size.to_le_bytes()].concat());
        let wide = [facts.packed.to_le_bytes(), facts.size.to_le_bytes()].concat();
        let mut candidates = Vec::new();
        for lengths in narrow.into_iter().chain([wide]) {
            for signature in [&SIGNATURE.to_le_bytes()[..], &[]] {
                for (next, follows) in [(ENTRY, Follows::Directory), (MEMBER, Follows::Member)] {
                    let crc = facts.crc.to_le_bytes();
                    let bytes = [signature, &crc, &lengths, &next.to_le_bytes()].concat();
                    candidates.push((bytes, follows));
                }
            }
        }
        Self { candidates, at: 0 }
    }

    /// Takes bytes off the front of the input, until it is known what follows.
    ///
    /// # Errors
    /// [`super::Error::Damaged`] when it can be none.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Follows>> {
        while let Some((byte, rest)) = input.split_first() {
            let at = self.at;
            self.candidates
                .retain(|(bytes, _)| bytes.get(at) == Some(byte));
            if self.candidates.is_empty() {
                return Err(damaged(
                    "the checksum or the length of its file is another, or nothing tells them",
                ));
            }
            *input = rest;
            self.at += 1;
            let whole = self
                .candidates
                .iter()
                .find(|(bytes, _)| bytes.len() == self.at);
            if let Some((_, follows)) = whole {
                return Ok(Some(*follows));
            }
        }
        Ok(None)
    }
}
