//! Findings against claim: what the record may say of the stream, or why it is refused (contract 2.8).

use super::Format;
use super::findings::{Check, Detected, Findings};

/// What the operator has decided, from the section `images` of the configuration.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Refuse a stream that is not what its record claims. Without it such a stream is kept, with an unknown virtual
    /// size; unsafe content is refused all the same.
    pub require_match: bool,
    /// Checks of partitioned disks that do not refuse an image.
    pub gpt_safety_checks_nonfatal: Vec<GptCheck>,
    /// Keep a qcow2 with extended L2 entries.
    pub allow_extended_l2: bool,
}

impl Rules {
    /// Nothing waived, nothing allowed beyond what every reader reads.
    pub const STRICT: Rules = Rules {
        require_match: true,
        gpt_safety_checks_nonfatal: Vec::new(),
        allow_extended_l2: false,
    };

    fn waives(&self, failure: Check) -> bool {
        let waived = &self.gpt_safety_checks_nonfatal;
        waived.iter().any(|check| check.waives(failure))
            || (self.allow_extended_l2 && failure == Check::ExtendedL2)
    }
}

/// A check of partitioned disks that an operator may waive. Loosely made boot records are common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GptCheck {
    /// All that is checked of a master boot record, protective ones included.
    Mbr,
    /// What a protective master boot record has to be beyond a valid one.
    GptMbr,
}

impl GptCheck {
    fn waives(self, failure: Check) -> bool {
        match self {
            GptCheck::Mbr => matches!(failure, Check::Mbr | Check::GptMbr),
            GptCheck::GptMbr => failure == Check::GptMbr,
        }
    }
}

/// Why a stream is refused; shown as 415. The sentences are Glance's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stream is something else than the record claims.
    #[error("Image disk_format {claimed} does not match stream data {detected}")]
    Mismatch {
        /// The record's `disk_format`.
        claimed: String,
        /// What the stream is.
        detected: Format,
    },
    /// The stream is several things at once, and readers would disagree on what.
    #[error("Multiple formats detected: {}", names(formats))]
    Several {
        /// All of them, in the order of [`Format`].
        formats: Vec<Format>,
    },
    /// The stream is recognised and could harm whoever opens it. The check is for logs, not for clients.
    #[error("Image failed safety checks")]
    Unsafe {
        /// What the stream is.
        format: Format,
        /// The first check it failed.
        check: Check,
    },
}

fn names(formats: &[Format]) -> String {
    let names: Vec<_> = formats.iter().map(|format| format.as_str()).collect();
    names.join(",")
}

/// Decides on a stream after its last byte: the record's `virtual_size` in bytes, none if unknown.
///
/// A record that claims `raw` may hold any single format that is safe; its size is then that of the stream, since the
/// disk inside is nobody's business. A stream without a byte is kept whatever the record claims: clients create
/// records that way without meaning to (contract 2.3).
///
/// # Errors
/// [`Refusal`] when the image must not become active (415).
pub fn judge(
    findings: &Findings,
    claimed_disk_format: &str,
    rules: &Rules,
) -> Result<Option<u64>, Refusal> {
    if findings.bytes() == 0 {
        return Ok(None);
    }
    let virtual_size = match match_claim(findings, claimed_disk_format) {
        Err(refusal) if rules.require_match => return Err(refusal),
        matched => matched.unwrap_or(None),
    };
    check_safety(findings, rules)?;
    Ok(virtual_size)
}

/// Decides on a stream whose record claims a container around the disk image. It may be of any format, or of several,
/// and nothing is known of the disk; but what leads to another file is refused here as well, since whoever reads the
/// image later may probe and never look at the claim. Boot records lead nowhere, and are let be. What is inside an
/// archive is not looked at: nobody opens it without unpacking it first.
///
/// # Errors
/// [`Refusal::Unsafe`] when the image must not become active (415).
pub fn judge_wrapped(findings: &Findings, rules: &Rules) -> Result<(), Refusal> {
    let is_let_be = |failure| GptCheck::Mbr.waives(failure) || rules.waives(failure);
    first_failure(findings.detected(), is_let_be)
}

/// What the findings amount to.
enum Identity<'a> {
    Raw,
    Single(&'a Detected),
    /// A disc image that also boots as a disk: legitimate, and common.
    HybridIso(&'a Detected),
    Several,
}

impl Identity<'_> {
    fn of(findings: &Findings) -> Identity<'_> {
        match findings.detected() {
            [] => Identity::Raw,
            [single] => Identity::Single(single),
            [iso, gpt] if iso.format() == Format::Iso && gpt.format() == Format::Gpt => {
                Identity::HybridIso(iso)
            }
            _ => Identity::Several,
        }
    }
}

/// The virtual size under this claim, if the claim holds.
fn match_claim(findings: &Findings, claimed: &str) -> Result<Option<u64>, Refusal> {
    let claims_raw = claimed == Format::Raw.as_str();
    let mismatch = |detected| {
        Err(Refusal::Mismatch {
            claimed: claimed.to_owned(),
            detected,
        })
    };
    let several = || {
        Err(Refusal::Several {
            formats: findings.formats(),
        })
    };
    let fixed_vhd = findings.fixed_vhd_size();
    match Identity::of(findings) {
        // What the disk holds at its beginning is then the guest's business, if it is safe.
        Identity::Raw if claimed == Format::Vhd.as_str() && fixed_vhd.is_some() => Ok(fixed_vhd),
        Identity::Single(found)
            if claimed == Format::Vhd.as_str()
                && found.format() == Format::Gpt
                && fixed_vhd.is_some() =>
        {
            Ok(fixed_vhd)
        }
        Identity::Raw if claims_raw => Ok(findings.stream_size()),
        Identity::Raw if Format::find(claimed).is_none() => Ok(None),
        Identity::Raw => mismatch(Format::Raw),
        Identity::Single(found) | Identity::HybridIso(found)
            if claimed == found.format().as_str() =>
        {
            Ok(findings.virtual_size(found))
        }
        Identity::Single(_) if claims_raw => Ok(findings.stream_size()),
        // UDF alone is the file system of disks as well as of discs.
        Identity::HybridIso(found) if claims_raw && found.is_udf() => Ok(findings.stream_size()),
        Identity::HybridIso(_) if claims_raw => several(),
        Identity::Single(found) | Identity::HybridIso(found) => mismatch(found.format()),
        Identity::Several => several(),
    }
}

/// Holds for every format found, also when the claim does not match and need not. The boot record of a hybrid disc
/// image is excused: what writes them rarely keeps to the rules of disks.
fn check_safety(findings: &Findings, rules: &Rules) -> Result<(), Refusal> {
    let relevant = match Identity::of(findings) {
        Identity::HybridIso(iso) => std::slice::from_ref(iso),
        Identity::Raw | Identity::Single(_) | Identity::Several => findings.detected(),
    };
    first_failure(relevant, |failure| rules.waives(failure))
}

fn first_failure(found: &[Detected], is_waived: impl Fn(Check) -> bool) -> Result<(), Refusal> {
    let unsafe_one = found.iter().find_map(|found| {
        let mut failures = found.failures().iter();
        let check = *failures.find(|&&failure| !is_waived(failure))?;
        Some(Refusal::Unsafe {
            format: found.format(),
            check,
        })
    });
    unsafe_one.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
