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
}

impl Purpose {
    const ALL: [Purpose; 2] = [Purpose::Upload, Purpose::Stage];

    /// The word in the catalog.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Purpose::Upload => "upload",
            Purpose::Stage => "stage",
        }
    }

    /// The status of the image while the bytes come.
    pub(crate) fn status(self) -> Status {
        match self {
            Purpose::Upload => Status::Saving,
            Purpose::Stage => Status::Uploading,
        }
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
