//! What a project has answered to a share.

use std::fmt;
use std::str::FromStr;

/// The answer of a project an image is shared with (contract 1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MemberStatus {
    /// No answer yet: the project sees the image by its id, and not in its list.
    Pending,
    /// The image stands in the project's list.
    Accepted,
    /// The project does not want it in its list.
    Rejected,
}

impl MemberStatus {
    /// Every status, in the order of the member schema.
    pub(crate) const ALL: [MemberStatus; 3] = [
        MemberStatus::Pending,
        MemberStatus::Accepted,
        MemberStatus::Rejected,
    ];

    /// The word on the wire and in the catalog.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            MemberStatus::Pending => "pending",
            MemberStatus::Accepted => "accepted",
            MemberStatus::Rejected => "rejected",
        }
    }
}

impl fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no member status.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown member status")]
pub(crate) struct UnknownMemberStatus;

impl FromStr for MemberStatus {
    type Err = UnknownMemberStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        MemberStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownMemberStatus)
    }
}
