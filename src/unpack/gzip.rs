//! gzip (RFC 1952): members behind each other, and zeros behind the last, as tapes have them.

use flate2::Crc;

use super::decode::{Decode, Gather, Step};
use super::inflate::Inflate;
use super::{Error, Packing, Result};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

const HAS_CHECK: u8 = 0x02;
const HAS_EXTRA: u8 = 0x04;
const HAS_NAME: u8 = 0x08;
const HAS_COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

pub(super) struct Gzip {
    at: At,
    gather: Gather,
    header: Header,
    inflate: Inflate,
    is_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a member, of which some bytes may have come.
    Header,
    Data,
    Trailer,
    Zeros,
}

/// The header of a member so far. Nothing in it says anything about the data.
#[derive(Default)]
struct Header {
    next: Field,
    flags: u8,
    crc: Crc,
}

/// Fields in the order in which they stand.
#[derive(Debug, Clone, Copy, Default)]
enum Field {
    #[default]
    Fixed,
    ExtraLength,
    Extra {
        left: usize,
    },
    Name,
    Comment,
    Check,
    End,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            at: At::Header,
            gather: Gather::default(),
            header: Header::default(),
            inflate: Inflate::new(Packing::Gzip),
            is_first: true,
        }
    }

    /// Takes what is not data off the front of the input.
    fn take(&mut self, input: &mut &[u8]) -> Result<()> {
        while !input.is_empty() && self.at != At::Data {
            match self.at {
                At::Header if !self.is_first && self.is_between() && input[0] == 0 => {
                    self.at = At::Zeros;
                }
                At::Header => {
                    let first = self.is_first;
                    if self.header.take(&mut self.gather, input, first)? {
                        self.header = Header::default();
                        self.inflate.reset();
                        self.at = At::Data;
                    }
                }
                At::Trailer => {
                    if let Some(trailer) = self.gather.take(8, input) {
                        self.check(&trailer)?;
                        self.is_first = false;
                        self.at = At::Header;
                    }
                }
                At::Zeros => {
                    let zeros = input.iter().take_while(|byte| **byte == 0).count();
                    *input = &input[zeros..];
                    if !input.is_empty() {
                        return Err(Error::Trailing(Packing::Gzip));
                    }
                }
                At::Data => {}
            }
        }
        Ok(())
    }

    fn check(&self, trailer: &[u8]) -> Result<()> {
        let word = |at: usize| {
            u32::from_le_bytes([
                trailer[at],
                trailer[at + 1],
                trailer[at + 2],
                trailer[at + 3],
            ])
        };
        if word(0) != self.inflate.crc() {
            return Err(damaged("its checksum is another"));
        }
        // The field holds the length modulo 2^32.
        if word(4) != self.inflate.given() as u32 {
            return Err(damaged("its length is another"));
        }
        Ok(())
    }

    fn is_between(&self) -> bool {
        self.gather.is_empty() && matches!(self.header.next, Field::Fixed)
    }
}

impl Decode for Gzip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let mut rest = input;
        self.take(&mut rest)?;
        let before = input.len() - rest.len();
        if self.at != At::Data {
            return Ok(Step {
                taken: before,
                given: 0,
            });
        }
        let (step, is_end) = self.inflate.step(rest, output)?;
        if is_end {
            self.at = At::Trailer;
        }
        Ok(Step {
            taken: before + step.taken,
            given: step.given,
        })
    }

    fn is_whole(&mut self) -> bool {
        match self.at {
            At::Header => !self.is_first && self.is_between(),
            At::Zeros => true,
            At::Data | At::Trailer => false,
        }
    }
}

impl Header {
    /// Takes fields off the front of the input; true once the last has come.
    fn take(&mut self, gather: &mut Gather, input: &mut &[u8], is_first: bool) -> Result<bool> {
        while let Some(next) = self.field(gather, input, is_first)? {
            self.next = next;
            if matches!(next, Field::End) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a field; the next one, unless something of it is missing.
    fn field(
        &mut self,
        gather: &mut Gather,
        input: &mut &[u8],
        is_first: bool,
    ) -> Result<Option<Field>> {
        let next = match self.next {
            Field::Fixed => {
                let Some(fixed) = gather.take(10, input) else {
                    return Ok(None);
                };
                self.fixed(&fixed, is_first)?;
                Field::ExtraLength
            }
            Field::ExtraLength if self.flags & HAS_EXTRA == 0 => Field::Name,
            Field::ExtraLength => {
                let Some(length) = gather.take(2, input) else {
                    return Ok(None);
                };
                self.crc.update(&length);
                Field::Extra {
                    left: usize::from(u16::from_le_bytes([length[0], length[1]])),
                }
            }
            Field::Extra { left: 0 } => Field::Name,
            Field::Extra { .. } if input.is_empty() => return Ok(None),
            Field::Extra { left } => {
                let taken = left.min(input.len());
                self.skip(taken, input);
                Field::Extra { left: left - taken }
            }
            Field::Name => match self.text(HAS_NAME, input) {
                true => Field::Comment,
                false => return Ok(None),
            },
            Field::Comment => match self.text(HAS_COMMENT, input) {
                true => Field::Check,
                false => return Ok(None),
            },
            Field::Check if self.flags & HAS_CHECK == 0 => Field::End,
            Field::Check => {
                let Some(check) = gather.take(2, input) else {
                    return Ok(None);
                };
                // The field holds the lower half.
                if check != self.crc.sum().to_le_bytes()[..2] {
                    return Err(damaged("its header does not fit its checksum"));
                }
                Field::End
            }
            Field::End => return Ok(None),
        };
        Ok(Some(next))
    }

    fn fixed(&mut self, fixed: &[u8], is_first: bool) -> Result<()> {
        if !fixed.starts_with(&MAGIC) {
            return Err(if is_first {
                damaged("it does not begin as gzip does")
            } else {
                Error::Trailing(Packing::Gzip)
            });
        }
        self.flags = fixed[3];
        if self.flags & RESERVED != 0 {
            return Err(Error::Unsupported {
                packing: Packing::Gzip,
                reason: "its header has flags that nobody has defined",
            });
        }
        self.crc.update(fixed);
        Ok(())
    }

    /// Takes a text up to the zero behind it, if there is one; true when none of it is missing.
    fn text(&mut self, flag: u8, input: &mut &[u8]) -> bool {
        if self.flags & flag == 0 {
            return true;
        }
        let zero = input.iter().position(|byte| *byte == 0);
        self.skip(zero.map_or(input.len(), |at| at + 1), input);
        zero.is_some()
    }

    fn skip(&mut self, length: usize, input: &mut &[u8]) {
        let (taken, rest) = input.split_at(length);
        self.crc.update(taken);
        *input = rest;
    }
}

fn damaged(reason: &'static str) -> Error {
    Error::Damaged {
        packing: Packing::Gzip,
        reason,
    }
}
