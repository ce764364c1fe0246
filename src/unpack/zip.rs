//! zip (PKWARE's APPNOTE.TXT) with one member, read from its front: the member's header, its data, and then the directory,
//! which must say the same and name nothing else.
//!
//! Other readers go by the directory at the end alone. What they would find otherwise than here is an error: a second
//! member, another name, another size, bytes that belong to nothing.

mod descriptor;
mod directory;
mod member;

use super::decode::{Decode, Gather, Step};
use super::inflate::Inflate;
use super::{Error, Packing, Result};
use descriptor::{Descriptor, Follows};
use directory::{Directory, End, End64};
use flate2::Crc;
use member::{Entry, Member};

const MEMBER: u32 = 0x0403_4b50;
const ENTRY: u32 = 0x0201_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const END: u32 = 0x0605_4b50;

pub(super) struct Zip {
    at: At,
    gather: Gather,
    /// Bytes taken so far.
    offset: u64,
    inflate: Inflate,
    /// Of a member that is not deflated.
    stored: Stored,
    /// Known once its header has come.
    member: Option<Member>,
    directory: Directory,
}

/// What comes next. Records are gathered whole; none is longer than what 16-bit lengths allow.
enum At {
    Header,
    HeaderTexts(Vec<u8>),
    Data,
    Descriptor(Descriptor),
    Signature,
    Entry,
    EntryTexts(Vec<u8>),
    End64,
    End64Rest { left: u64 },
    Locator64,
    End,
    Comment { left: u64 },
}

#[derive(Default)]
struct Stored {
    length: u64,
    crc: Crc,
}

/// What the data turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    crc: u32,
    /// Length within the archive, bytes.
    packed: u64,
    /// Length unpacked, bytes.
    size: u64,
}

impl Zip {
    pub(super) fn new() -> Self {
        Self {
            at: At::Header,
            gather: Gather::default(),
            offset: 0,
            inflate: Inflate::new(Packing::Zip),
            stored: Stored::default(),
            member: None,
            directory: Directory::default(),
        }
    }

    fn facts(&self) -> Facts {
        if self.member.as_ref().is_some_and(|it| it.is_deflated) {
            Facts {
                crc: self.inflate.crc(),
                packed: self.inflate.taken(),
                size: self.inflate.given(),
            }
        } else {
            Facts {
                crc: self.stored.crc.sum(),
                packed: self.stored.length,
                size: self.stored.length,
            }
        }
    }

    /// Takes records off the front of the input, until there is no more of it or data follows.
    fn take(&mut self, input: &mut &[u8]) -> Result<()> {
        while !matches!(self.at, At::Data) {
            let before = input.len();
            let next = match self.at {
                At::Header | At::HeaderTexts(_) | At::Descriptor(_) => self.header(input)?,
                _ => self.directory(input)?,
            };
            self.offset += (before - input.len()) as u64;
            match next {
                Some(next) => self.enter(next),
                None if input.is_empty() => break,
                None => {}
            }
        }
        Ok(())
    }

    /// Goes on with the next record, whose signature has just been taken.
    fn enter(&mut self, next: At) {
        let begin = self.offset.saturating_sub(4);
        match next {
            At::Entry => self.directory.begin = begin,
            At::End64 => self.directory.end = Some(begin),
            At::End => {
                self.directory.end.get_or_insert(begin);
            }
            _ => {}
        }
        self.at = next;
    }

    /// Takes from a record beside the data; what comes next, once that is known.
    fn header(&mut self, input: &mut &[u8]) -> Result<Option<At>> {
        match &mut self.at {
            At::Header => Ok(self.gather.take(member::HEADER, input).map(At::HeaderTexts)),
            At::HeaderTexts(header) => {
                let texts = self.gather.take(member::texts(header), input);
                if let Some(texts) = &texts {
                    self.member = Some(Member::new(header, texts)?);
                }
                Ok(texts.map(|_| At::Data))
            }
            At::Descriptor(descriptor) => match descriptor.take(input)? {
                None => Ok(None),
                Some(Follows::Directory) => Ok(Some(At::Entry)),
                Some(Follows::Member) => Err(Error::MoreThanOneFile),
            },
            _ => Ok(None),
        }
    }

    /// Takes from a record of the directory; what comes next, once that is known.
    fn directory(&mut self, input: &mut &[u8]) -> Result<Option<At>> {
        let gather = &mut self.gather;
        let is_taken = match &mut self.at {
            At::Signature => {
                let signature = gather.take(4, input);
                return signature.map(|it| self.after(u32_at(&it, 0))).transpose();
            }
            At::Entry => return Ok(gather.take(member::ENTRY, input).map(At::EntryTexts)),
            At::EntryTexts(fixed) => {
                let texts = gather.take(member::entry_texts(fixed), input);
                let entry = texts.map(|texts| Entry::new(fixed, &texts)).transpose()?;
                if let Some(entry) = &entry {
                    self.note(entry)?;
                }
                entry.is_some()
            }
            At::End64 => {
                let Some(fixed) = gather.take(directory::END64, input) else {
                    return Ok(None);
                };
                let end = self.directory.end64.insert(End64::new(&fixed)?);
                return Ok(Some(At::End64Rest { left: end.rest }));
            }
            At::End64Rest { left } => {
                skip(left, input);
                *left == 0
            }
            At::Locator64 => {
                let locator = gather.take(directory::LOCATOR64, input);
                if let Some(locator) = &locator {
                    self.directory.locate(locator)?;
                }
                locator.is_some()
            }
            At::End => {
                let Some(fixed) = gather.take(directory::END, input) else {
                    return Ok(None);
                };
                let end = End::new(&fixed);
                self.directory.check(&end)?;
                return Ok(Some(At::Comment { left: end.comment }));
            }
            At::Comment { left } => {
                skip(left, input);
                if *left == 0 && !input.is_empty() {
                    return Err(Error::Trailing(Packing::Zip));
                }
                false
            }
            At::Header | At::HeaderTexts(_) | At::Data | At::Descriptor(_) => false,
        };
        Ok(is_taken.then_some(At::Signature))
    }

    /// Takes the entry of the member.
    fn note(&mut self, entry: &Entry) -> Result<()> {
        let facts = self.facts();
        if !self.member.as_ref().is_some_and(|it| it.is(entry, facts)) {
            return Err(damaged("its directory says something else than the file"));
        }
        self.directory.has_entry = true;
        Ok(())
    }

    /// What a signature says of the record that it begins.
    fn after(&self, signature: u32) -> Result<At> {
        let directory = &self.directory;
        match signature {
            MEMBER if !directory.has_entry => Err(Error::MoreThanOneFile),
            ENTRY if directory.has_entry => Err(Error::MoreThanOneFile),
            ENTRY => Ok(At::Entry),
            END64 if directory.has_entry && directory.end64.is_none() => Ok(At::End64),
            LOCATOR64 if directory.end64.is_some() && !directory.is_located => Ok(At::Locator64),
            END if directory.has_entry => Ok(At::End),
            _ => Err(damaged("there is something between its records")),
        }
    }

    fn data(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let Some(member) = &self.member else {
            return Ok(Step::default());
        };
        let (packed, is_deflated) = (member.packed, member.is_deflated);
        let left = packed.map(|packed| packed - self.facts().packed);
        let most = left.map_or(input.len(), |left| {
            usize::try_from(left).map_or(input.len(), |left| left.min(input.len()))
        });
        let (step, is_end) = if is_deflated {
            self.inflate.step(&input[..most], output)?
        } else {
            self.stored.step(&input[..most], output)
        };
        self.offset += step.taken as u64;
        let left = left.map(|left| left - step.taken as u64);
        if is_end || (!is_deflated && left == Some(0)) {
            self.at = self.after_data()?;
        } else if left == Some(0) && step == Step::default() {
            return Err(damaged("its file is longer than its header says"));
        }
        Ok(step)
    }

    fn after_data(&self) -> Result<At> {
        let facts = self.facts();
        match self.member.as_ref().and_then(|it| it.stated) {
            None => Ok(At::Descriptor(Descriptor::new(facts))),
            Some(stated) if stated == facts => Ok(At::Signature),
            Some(stated) if stated.crc == facts.crc => {
                Err(damaged("its file has another length than its header says"))
            }
            Some(_) => Err(damaged("the checksum of its file is another")),
        }
    }
}

impl Decode for Zip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let mut rest = input;
        self.take(&mut rest)?;
        let before = input.len() - rest.len();
        if !matches!(self.at, At::Data) {
            return Ok(Step {
                taken: before,
                given: 0,
            });
        }
        let step = self.data(rest, output)?;
        Ok(Step {
            taken: before + step.taken,
            given: step.given,
        })
    }

    fn is_whole(&mut self) -> bool {
        matches!(self.at, At::Comment { left: 0 })
    }
}

impl Stored {
    /// Copies; it does not know where its end is.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> (Step, bool) {
        let length = input.len().min(output.len());
        output[..length].copy_from_slice(&input[..length]);
        self.crc.update(&input[..length]);
        self.length += length as u64;
        let step = Step {
            taken: length,
            given: length,
        };
        (step, false)
    }
}

fn skip(left: &mut u64, input: &mut &[u8]) {
    let taken = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *input = &input[taken..];
    *left -= taken as u64;
}

fn damaged(reason: &'static str) -> Error {
    Error::Damaged {
        packing: Packing::Zip,
        reason,
    }
}

fn unsupported(reason: &'static str) -> Error {
    Error::Unsupported {
        packing: Packing::Zip,
        reason,
    }
}

/// A field of a record that has it.
fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

/// A field of a record that has it.
fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from(u16_at(record, at)) | u32::from(u16_at(record, at + 2)) << 16
}

/// A field of a record that has it.
fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}
