//! The status machine of contract 4.7, as a table.

use std::fmt;
use std::str::FromStr;

/// Where an image stands in its life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    /// A record without data.
    Queued,
    /// An upload is under way.
    Saving,
    /// Data is being staged for an import.
    Uploading,
    /// An import task is at work.
    Importing,
    /// The data is whole and may be downloaded.
    Active,
    /// Data present, download only by administrators.
    Deactivated,
    /// Deleted, the data waits for the scrubber.
    PendingDelete,
    /// Gone; the row only keeps the id taken.
    Deleted,
    /// Never produced by v2; rows adopted from elsewhere may carry it.
    Killed,
}

/// The status table does not allow this step; shown as 409.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Image status transition from {from} to {to} is not allowed")]
pub(crate) struct InvalidTransition {
    /// The present status.
    pub from: Status,
    /// The one asked for.
    pub to: Status,
}

impl Status {
    /// Every status, in the order of the image schema.
    pub(crate) const ALL: [Status; 9] = [
        Status::Queued,
        Status::Saving,
        Status::Active,
        Status::Killed,
        Status::Deleted,
        Status::Uploading,
        Status::Importing,
        Status::PendingDelete,
        Status::Deactivated,
    ];

    /// The word on the wire and in the catalog.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Saving => "saving",
            Status::Uploading => "uploading",
            Status::Importing => "importing",
            Status::Active => "active",
            Status::Deactivated => "deactivated",
            Status::PendingDelete => "pending_delete",
            Status::Deleted => "deleted",
            Status::Killed => "killed",
        }
    }

    fn successors(self) -> &'static [Status] {
        match self {
            Status::Queued => &[
                Status::Saving,
                Status::Uploading,
                Status::Importing,
                Status::Active,
                Status::Deleted,
            ],
            Status::Saving => &[
                Status::Active,
                Status::Killed,
                Status::Deleted,
                Status::Queued,
            ],
            Status::Uploading => &[Status::Importing, Status::Queued, Status::Deleted],
            Status::Importing => &[Status::Active, Status::Deleted, Status::Queued],
            Status::Active => &[Status::PendingDelete, Status::Deleted, Status::Deactivated],
            Status::Killed => &[Status::Deleted],
            Status::PendingDelete => &[Status::Deleted, Status::Active],
            Status::Deactivated => &[Status::Active, Status::Deleted],
            Status::Deleted => &[],
        }
    }

    /// Checks a step against the table.
    ///
    /// # Errors
    /// [`InvalidTransition`] when the table does not list it.
    pub(crate) fn check_transition(self, to: Status) -> Result<(), InvalidTransition> {
        if self.successors().contains(&to) {
            Ok(())
        } else {
            Err(InvalidTransition { from: self, to })
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no status.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown image status")]
pub(crate) struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Status::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("QUEUED".parse::<Status>(), Err(UnknownStatus));
    }

    #[test]
    fn only_a_queued_image_may_start_saving() {
        for status in Status::ALL {
            assert_eq!(
                status.check_transition(Status::Saving).is_ok(),
                status == Status::Queued,
                "{status}"
            );
        }
    }

    #[test]
    fn refusals_read_as_the_contract_has_them() {
        let refusal = Status::Active.check_transition(Status::Saving).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Image status transition from active to saving is not allowed"
        );
    }
}
