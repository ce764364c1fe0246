//! zstd (RFC 8878): frames behind each other, some of which may be there to be skipped, by libzstd.

use zstd_safe::zstd_sys::ZSTD_ErrorCode as Code;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name, is_error_kind};

use super::decode::{Decode, Step};
use super::{Error, Packing, Result};

const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// The first of sixteen, which differ in the lowest four bits.
const SKIPPABLE: u32 = 0x184d_2a50;

/// The smallest window that libzstd can be held to, as a power of two.
const SMALLEST_WINDOW: u32 = 10;
/// The largest it takes on 64 bits.
const LARGEST_WINDOW: u32 = 31;

pub(super) struct Zstd {
    context: DCtx<'static>,
    most_window: u64,
    /// True between frames.
    is_between: bool,
    /// True once a frame was unpacked or skipped.
    has_frame: bool,
}

/// True where data begins with a frame, or with a short one to be skipped and then a frame: pzstd writes the length of each
/// frame in one before it. LZ4 has the same frames to be skipped, so the first alone says nothing.
pub(super) fn is_start(head: &[u8]) -> bool {
    if head.starts_with(&MAGIC) {
        return true;
    }
    let word = |at: usize| {
        let bytes = head.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let is_skippable = word(0).is_some_and(|magic| magic & !0xf == SKIPPABLE);
    let next = word(4).and_then(|length| usize::try_from(length).ok()?.checked_add(8));
    is_skippable && next.and_then(word) == Some(u32::from_le_bytes(MAGIC))
}

impl Zstd {
    pub(super) fn new(most_window: u64) -> Result<Self> {
        let no_memory = || Error::NoMemory(Packing::Zstd);
        let mut context = DCtx::try_create().ok_or_else(no_memory)?;
        let power = most_window
            .max(1)
            .ilog2()
            .clamp(SMALLEST_WINDOW, LARGEST_WINDOW);
        context
            .set_parameter(DParameter::WindowLogMax(power))
            .map_err(|_| no_memory())?;
        Ok(Self {
            context,
            most_window,
            is_between: true,
            has_frame: false,
        })
    }

    fn error(&self, code: usize) -> Error {
        let packing = Packing::Zstd;
        let is = |kind| is_error_kind(code, kind);
        if is(Code::ZSTD_error_frameParameter_windowTooLarge) {
            Error::Window {
                packing,
                most_window: self.most_window,
            }
        } else if is(Code::ZSTD_error_memory_allocation) {
            Error::NoMemory(packing)
        } else if is(Code::ZSTD_error_prefix_unknown) && self.has_frame {
            Error::Trailing(packing)
        } else if is(Code::ZSTD_error_dictionary_wrong) {
            Error::Unsupported {
                packing,
                reason: "it needs a dictionary",
            }
        } else {
            Error::Damaged {
                packing,
                reason: get_error_name(code),
            }
        }
    }
}

impl Decode for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        // A call begins the next frame, even one without input.
        if self.is_between && input.is_empty() {
            return Ok(Step::default());
        }
        let mut source = InBuffer::around(input);
        let mut sink = OutBuffer::around(output);
        let hint = self
            .context
            .decompress_stream(&mut sink, &mut source)
            .map_err(|code| self.error(code))?;
        self.is_between = hint == 0;
        self.has_frame |= self.is_between;
        Ok(Step {
            taken: source.pos(),
            given: sink.pos(),
        })
    }

    fn is_whole(&mut self) -> bool {
        self.is_between && self.has_frame
    }
}
