//! Which disk-image format a stream holds, and whether the image may be kept (contract 2.8, 2.9).
//!
//! [`Inspection`] watches the bytes of an upload as they pass, in slices of any size, and ends in [`Findings`]: the
//! formats that were recognised, the size of the disk inside each, and the safety checks that failed. [`judge`] holds
//! them against the `disk_format` the record claims and gives the record's `virtual_size`, or the [`Refusal`] (415).
//!
//! What the findings say depends on the bytes alone, never on how they were sliced. Nothing here reads a file, keeps an
//! image or runs a foreign tool: unvalidated image data is exactly what must not reach one (OSSA 2024-003). Headers
//! that lead elsewhere (backing files, data files, flat extents: OSSA 2015-014, 2023-002, 2024-001) are recognised
//! whatever the record claims, because what reads the image later may probe instead of believing the record.
//!
//! Each format has one file with one inspector. An inspector names the region of the stream it wants next and is
//! handed exactly that region (`probe.rs`); it never sees more, so the memory of a whole inspection is bounded by
//! [`MEMORY_BOUND_BYTES`].
//!
//! Not here: encrypted content (LUKS is recognised, not opened), the partition tables behind a protective MBR, and what
//! is inside an archive ([`judge_wrapped`]).

mod boot_sector;
mod fields;
mod findings;
mod gpt;
mod inspection;
mod iso;
mod luks;
mod probe;
mod qcow2;
mod qed;
mod vdi;
mod verdict;
mod vhd;
mod vhdx;
mod vmdk;

#[cfg(test)]
mod samples;

use std::fmt;

pub use findings::{Check, Detected, Findings};
pub use inspection::{Inspection, MEMORY_BOUND_BYTES};
pub use verdict::{GptCheck, Refusal, Rules, judge, judge_wrapped};

/// A format the inspection can tell, in the order in which several are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// QEMU copy on write; version 1 as well, which is never safe.
    Qcow2,
    /// QEMU enhanced disk: known in order to be refused.
    Qed,
    /// Virtual PC, dynamic or differencing. A fixed VHD has only a footer and is this for who claims it, else raw.
    Vhd,
    /// Hyper-V.
    Vhdx,
    /// VMware: a sparse extent with its descriptor inside, or a text descriptor alone.
    Vmdk,
    /// VirtualBox.
    Vdi,
    /// ISO 9660 or UDF.
    Iso,
    /// A disk with a master boot record, and so every disk with a GUID partition table.
    Gpt,
    /// LUKS, version 1 or 2.
    Luks,
    /// None of the above.
    Raw,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 10] = [
        Format::Qcow2,
        Format::Qed,
        Format::Vhd,
        Format::Vhdx,
        Format::Vmdk,
        Format::Vdi,
        Format::Iso,
        Format::Gpt,
        Format::Luks,
        Format::Raw,
    ];

    /// The name on the wire, as in `disk_format`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Qcow2 => "qcow2",
            Format::Qed => "qed",
            Format::Vhd => "vhd",
            Format::Vhdx => "vhdx",
            Format::Vmdk => "vmdk",
            Format::Vdi => "vdi",
            Format::Iso => "iso",
            Format::Gpt => "gpt",
            Format::Luks => "luks",
            Format::Raw => "raw",
        }
    }

    /// The format of this name; none for a `disk_format` that cannot be inspected (`ami`, `ploop`, custom names).
    pub fn find(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|f| f.as_str() == name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
