//! Findings against claim: what the record may say of the stream, or why it is refused (contract 2.8).

use std::str::FromStr;

use super::Format;
use super::findings::{Check, Detected, Findings};

/// What the operator has decided, from the section `image_format` of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Refuse a stream that is not what its record claims. Without it such a stream is kept, with an unknown virtual
    /// size; unsafe content is refused all the same.
    pub require_match: bool,
    /// Checks of partitioned disks that do not refuse an image.
    pub gpt_safety_checks_nonfatal: &'a [GptCheck],
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
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            GptCheck::Mbr => "mbr",
            GptCheck::GptMbr => "gptmbr",
        }
    }

    fn waives(self, failure: Check) -> bool {
        match self {
            GptCheck::Mbr => matches!(failure, Check::Mbr | Check::GptMbr),
            GptCheck::GptMbr => failure == Check::GptMbr,
        }
    }
}

/// The text names no check of partitioned disks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown GPT safety check, expected mbr or gptmbr")]
pub struct UnknownGptCheck;

impl FromStr for GptCheck {
    type Err = UnknownGptCheck;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [GptCheck::Mbr, GptCheck::GptMbr]
            .into_iter()
            .find(|check| check.as_str() == text)
            .ok_or(UnknownGptCheck)
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
    rules: &Rules<'_>,
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
    match Identity::of(findings) {
        Identity::Raw if claims_raw => Ok(findings.stream_size()),
        Identity::Raw if Format::find(claimed).is_none() => Ok(None),
        Identity::Raw => mismatch(Format::Raw),
        Identity::Single(found) | Identity::HybridIso(found)
            if claimed == found.format().as_str() =>
        {
            Ok(findings.virtual_size(found))
        }
        Identity::Single(_) if claims_raw => Ok(findings.stream_size()),
        Identity::HybridIso(_) if claims_raw => several(),
        Identity::Single(found) | Identity::HybridIso(found) => mismatch(found.format()),
        Identity::Several => several(),
    }
}

/// Holds for every format found, also when the claim does not match and need not. The boot record of a hybrid disc
/// image is excused: what writes them rarely keeps to the rules of disks.
fn check_safety(findings: &Findings, rules: &Rules<'_>) -> Result<(), Refusal> {
    let relevant = match Identity::of(findings) {
        Identity::HybridIso(iso) => std::slice::from_ref(iso),
        Identity::Raw | Identity::Single(_) | Identity::Several => findings.detected(),
    };
    for found in relevant {
        let is_waived = |failure| {
            rules
                .gpt_safety_checks_nonfatal
                .iter()
                .any(|check| check.waives(failure))
        };
        if let Some(&check) = found
            .failures()
            .iter()
            .find(|&&failure| !is_waived(failure))
        {
            return Err(Refusal::Unsafe {
                format: found.format(),
                check,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
