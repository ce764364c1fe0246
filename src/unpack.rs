//! Packed image data, unpacked as it streams: gzip, xz, zstd, bzip2, and zip with one member.
//!
//! It knows bytes and nothing of images. [`Unpacked`] wraps a body, looks at its first bytes ([`Packing::of`]) and gives the
//! body out unpacked, or as it comes where they say nothing. What is packed twice is unpacked once.
//!
//! ```text
//! body ─▶ ahead (async, bounded) ─▶ worker (a blocking thread, a piece at a time) ─▶ frames
//! ```
//! A worker is a decoder with its input. It goes to a blocking thread, comes back with a piece of bounded size, and goes
//! again: 64 KiB that stand for gigabytes are gigabytes of pieces, and none is made before somebody takes the one before it.
//! So a stream needs about a MiB, and what its decoder remembers: the window, which [`UnpackBounds`] limits.
//!
//! The end is clean only where the format says so: members and streams behind each other are unpacked whole, as the command
//! line tools do it; data that breaks off, does not fit its checksum or is followed by something else is an error. Frames that
//! were given out before that are the reader's to throw away.
//!
//! Bombs end at the size cap, and what no image does ends earlier, at the ratio; see [`UnpackBounds`].

mod ahead;
mod body;
mod bzip2;
mod decode;
mod gzip;
mod inflate;
mod worker;
mod xz;
mod zip;
mod zstd;

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;

pub(crate) use body::Unpacked;

const MIB: u64 = 1024 * 1024;

/// How data is packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// RFC 1952.
    Gzip,
    /// The .xz format, not the older .lzma, which cannot be told by its first bytes.
    Xz,
    /// RFC 8878.
    Zstd,
    /// bzip2, but not what came before it.
    Bzip2,
    /// A zip archive, which must have one member.
    Zip,
}

impl Packing {
    /// First bytes that are needed to tell, where there are as many.
    pub(crate) const HEAD: usize = 16;

    /// The packing that data begins with; none for all else.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(&[0x1f, 0x8b, 0x08]) {
            Some(Self::Gzip)
        } else if head.starts_with(b"\xfd7zXZ\0") {
            Some(Self::Xz)
        } else if zstd::is_start(head) {
            Some(Self::Zstd)
        } else if bzip2::is_start(head) {
            Some(Self::Bzip2)
        } else if head.starts_with(b"PK\x03\x04") {
            Some(Self::Zip)
        } else {
            None
        }
    }

    /// The name that people know it by.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Zip => "zip",
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What unpacking may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnpackBounds {
    /// Most bytes that come out. What goes in is held to the same, and a little more: endless data that unpacks to nothing
    /// ends as well.
    pub(crate) most_bytes: u64,
    /// Most bytes out for each byte in, once more than [`UnpackBounds::RATIO_FROM`] came out.
    pub(crate) most_ratio: u64,
    /// Most bytes that a decoder looks back: the window of zstd, the dictionary of xz. The others have 4 MiB at most.
    pub(crate) most_window: u64,
}

impl UnpackBounds {
    /// Less than this comes out whatever the ratio, bytes.
    pub(crate) const RATIO_FROM: u64 = 64 * MIB;
    /// A disk of 100 GiB with 10 MiB on it stays below, in any packing: of nothing but zeros gzip makes a 1,032nd and xz a
    /// 7,000th, and zstd a 32,000th. So gzip and xz end at the size cap alone, as an image that is empty must be let through;
    /// what it stops is bzip2, with a ratio of a million, and zstd that holds nothing.
    pub(crate) const MOST_RATIO: u64 = 10_000;
    /// What `xz -9` needs, and more than any level of zstd does without `--long`. As many imports as run at once may need it each.
    pub(crate) const MOST_WINDOW: u64 = 64 * MIB;

    /// The usual bounds with a size cap.
    pub(crate) fn within(most_bytes: u64) -> Self {
        Self {
            most_bytes,
            most_ratio: Self::MOST_RATIO,
            most_window: Self::MOST_WINDOW,
        }
    }
}

/// Why data could not be unpacked. The messages are for whoever sent it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The body itself failed.
    #[error(transparent)]
    Body(Box<dyn StdError + Send + Sync>),
    /// It ends before the format says so.
    #[error("the {0} data ends too early")]
    Truncated(Packing),
    /// It is not what its format, its checksum or its lengths say.
    #[error("the {packing} data is damaged: {reason}")]
    Damaged {
        /// How it is packed.
        packing: Packing,
        /// What does not fit.
        reason: &'static str,
    },
    /// Something else follows the packed data.
    #[error("the {0} data is followed by something else")]
    Trailing(Packing),
    /// It is of a kind that is not unpacked here.
    #[error("the {packing} data cannot be unpacked: {reason}")]
    Unsupported {
        /// How it is packed.
        packing: Packing,
        /// What it would need.
        reason: &'static str,
    },
    /// A password would be needed.
    #[error("the zip archive is encrypted")]
    Encrypted,
    /// Which of the members would be the image?
    #[error("the zip archive has more than one file")]
    MoreThanOneFile,
    /// Unpacking needs more memory than there may be.
    #[error("the {packing} data needs a window of more than {most_window} bytes to be unpacked")]
    Window {
        /// How it is packed.
        packing: Packing,
        /// The most there may be.
        most_window: u64,
    },
    /// More comes out than may.
    #[error("the {packing} data is larger than {most_bytes} bytes when it is unpacked")]
    TooLarge {
        /// How it is packed.
        packing: Packing,
        /// The most there may be.
        most_bytes: u64,
    },
    /// More comes out of what went in than of any image.
    #[error(
        "the {packing} data unpacks to more than {most_ratio} times its size, as no image does"
    )]
    Ratio {
        /// How it is packed.
        packing: Packing,
        /// The most there may be.
        most_ratio: u64,
    },
    /// This machine has no memory for the window.
    #[error("there is no memory to unpack {0} data")]
    NoMemory(Packing),
    /// The decoder broke, or this process is stopping.
    #[error("unpacking was broken off")]
    Broken(#[from] tokio::task::JoinError),
}

type Result<T, E = Error> = std::result::Result<T, E>;
