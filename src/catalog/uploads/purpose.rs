//! What attempts are for, and the way their images go.

use std::str::FromStr;

use crate::image::Status;

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The bytes become the image's data: queued, saving, active.
    Upload,
    /// The bytes wait for an import: queued, uploading, and uploading still when they are whole.
    Stage,
    /// The bytes are fetched for an import, and staged when they are whole: importing.
    Fetch,
    /// The bytes are made of those that are staged, and take their place when they are whole: importing.
    Convert,
    /// The bytes are one more copy of data that the image has or has staged, which stays in its status: importing, active.
    Copy,
}

impl Purpose {
    pub(super) const ALL: [Purpose; 5] = [
        Purpose::Upload,
        Purpose::Stage,
        Purpose::Fetch,
        Purpose::Convert,
        Purpose::Copy,
    ];

    /// The word in the catalog.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Purpose::Upload => "upload",
            Purpose::Stage => "stage",
            Purpose::Fetch => "fetch",
            Purpose::Convert => "convert",
            Purpose::Copy => "copy",
        }
    }

    /// The status that the image is taken to while the bytes come; `None` where it stays in its own.
    pub(crate) fn status(self) -> Option<Status> {
        match self {
            Purpose::Upload => Some(Status::Saving),
            Purpose::Stage => Some(Status::Uploading),
            Purpose::Fetch | Purpose::Convert | Purpose::Copy => None,
        }
    }

    /// Whether the bytes can still be of use to an image in this status.
    pub(super) fn is_wanted(self, status: Status) -> bool {
        match self {
            Purpose::Upload => status == Status::Saving,
            Purpose::Stage => status == Status::Uploading,
            Purpose::Fetch | Purpose::Convert => status == Status::Importing,
            Purpose::Copy => matches!(
                status,
                Status::Importing | Status::Active | Status::Deactivated
            ),
        }
    }

    /// Whether the bytes count as staged.
    pub(crate) fn is_staged(self) -> bool {
        matches!(self, Purpose::Stage | Purpose::Fetch)
    }
}

/// The text names no purpose of this release.
#[derive(Debug, thiserror::Error)]
#[error("unknown purpose of an upload attempt")]
pub(crate) struct UnknownPurpose;

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Purpose::ALL.into_iter();
        all.find(|purpose| purpose.as_str() == text)
            .ok_or(UnknownPurpose)
    }
}
