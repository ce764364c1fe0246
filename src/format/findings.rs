//! What an inspection learnt: the formats, the sizes of their disks, the checks they failed.

use std::fmt;

use super::Format;

/// A safety check of a format (contract 2.9). Clients are told only that one failed; logs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// The format is not allowed at all.
    Banned,
    /// The header is recognised but ends before what has to be checked.
    Truncated,
    /// The header is recognised and what it leads to is not there.
    Malformed,
    /// A qcow2 that reads from another file below it.
    BackingFile,
    /// A qcow2 whose data is in another file.
    DataFile,
    /// A qcow2 with a version or a feature that nobody has judged yet.
    UnknownFeatures,
    /// A qcow2 with extended L2 entries, which a site may allow.
    ExtendedL2,
    /// A VMDK header or descriptor that says more, or other things, than a single sparse file needs.
    Descriptor,
    /// A VMDK, VHD, VHDX or VDI that reads from a parent below it.
    Parent,
    /// A VMDK whose footer, which overrules the header, says something else.
    Footer,
    /// A master boot record with an impossible partition entry, or with none.
    Mbr,
    /// A protective master boot record that is not as the GUID partition table demands.
    GptMbr,
    /// A LUKS version that cannot be judged.
    Version,
}

impl Check {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Check::Banned => "banned",
            Check::Truncated => "truncated",
            Check::Malformed => "malformed",
            Check::BackingFile => "backing_file",
            Check::DataFile => "data_file",
            Check::UnknownFeatures => "unknown_features",
            Check::ExtendedL2 => "extended_l2",
            Check::Descriptor => "descriptor",
            Check::Parent => "parent",
            Check::Footer => "footer",
            Check::Mbr => "mbr",
            Check::GptMbr => "gptmbr",
            Check::Version => "version",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How large the disk inside is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VirtualSize {
    Unknown,
    /// As the header says, bytes.
    Stated(u64),
    /// All bytes of the stream but the first so many.
    StreamAfter(u64),
}

/// One format that the stream was recognised as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    pub(super) format: Format,
    pub(super) size: VirtualSize,
    pub(super) failures: Vec<Check>,
}

impl Detected {
    pub(super) fn new(format: Format, size: VirtualSize) -> Self {
        Detected {
            format,
            size,
            failures: Vec::new(),
        }
    }

    pub(super) fn failing(mut self, check: Check) -> Self {
        self.failures.push(check);
        self
    }

    /// Recognised by its magic alone: the stream ended before the header did.
    pub(super) fn truncated(format: Format) -> Self {
        Detected::new(format, VirtualSize::Unknown).failing(Check::Truncated)
    }

    pub(super) fn failing_if(self, fails: bool, check: Check) -> Self {
        if fails { self.failing(check) } else { self }
    }

    /// A disc image of UDF alone, which states no size.
    pub(super) fn is_udf(&self) -> bool {
        self.format == Format::Iso && self.size == VirtualSize::Unknown
    }

    /// The format; never raw.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The safety checks the stream failed as this format.
    pub fn failures(&self) -> &[Check] {
        &self.failures
    }
}

/// All that is known of a stream after its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    bytes: u64,
    /// In the order of [`Format`].
    detected: Vec<Detected>,
    /// Size of the disk before the footer of a fixed VHD, bytes. Not a format of its own: to whoever does not look for
    /// the footer the stream is the disk.
    fixed_vhd: Option<u64>,
}

impl Findings {
    pub(super) fn new(bytes: u64, mut detected: Vec<Detected>, fixed_vhd: Option<u64>) -> Self {
        detected.sort_by_key(|d| d.format);
        Findings {
            bytes,
            detected,
            fixed_vhd,
        }
    }

    /// Length of the stream, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The formats recognised, each once, in a fixed order; empty when the stream is raw.
    pub fn detected(&self) -> &[Detected] {
        &self.detected
    }

    /// Names of the formats recognised, `raw` if none: what logs should say of the stream.
    pub fn formats(&self) -> Vec<Format> {
        match self.detected.as_slice() {
            [] => vec![Format::Raw],
            several => several.iter().map(Detected::format).collect(),
        }
    }

    /// Size of the disk inside this one of the formats, bytes.
    pub(super) fn virtual_size(&self, detected: &Detected) -> Option<u64> {
        known_size(match detected.size {
            VirtualSize::Unknown => 0,
            VirtualSize::Stated(bytes) => bytes,
            VirtualSize::StreamAfter(skipped) => self.bytes.saturating_sub(skipped),
        })
    }

    /// Size of the disk when the stream is a fixed VHD, bytes; none if it is not.
    pub(super) fn fixed_vhd_size(&self) -> Option<u64> {
        self.fixed_vhd.and_then(known_size)
    }

    /// Size of the disk when the stream is the disk, bytes.
    pub(super) fn stream_size(&self) -> Option<u64> {
        known_size(self.bytes)
    }
}

/// Zero counts as unknown; so does what a signed 64-bit number cannot hold, because neither catalog nor clients can.
fn known_size(bytes: u64) -> Option<u64> {
    (1..=i64::MAX as u64).contains(&bytes).then_some(bytes)
}
