//! Identifiers as types of their own, so that the compiler refuses swapped arguments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub(crate) struct $name(String);

        impl $name {
            /// The identifier as text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// Id of an image: 8-4-4-4-12 hex digits. Capitals mean the same, as in RFC 9562, and become small.
    ImageId
}
text_id! {
    /// A project (tenant) of the identity service; opaque text.
    ProjectId
}
text_id! {
    /// Name of a configured store.
    #[derive(Deserialize)]
    StoreId
}
text_id! {
    /// One attempt to upload. It is part of the object's key, so that a late writer never overwrites a newer attempt.
    AttemptId
}

impl ImageId {
    /// Makes a new random id.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }
}

impl AttemptId {
    /// Makes a new random id.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }
}

/// The text is no 8-4-4-4-12 hex UUID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a UUID of the form 8-4-4-4-12")]
pub(crate) struct InvalidImageId;

impl FromStr for ImageId {
    type Err = InvalidImageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Of the forms that the parser takes only this one has 36 bytes.
        if text.len() == 36 && Uuid::try_parse(text).is_ok() {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidImageId)
        }
    }
}

impl From<&str> for ProjectId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&str> for StoreId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&str> for AttemptId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_ids_are_uuids_in_any_case_kept_in_small_letters() {
        let text = "0A1b2c3d-0000-4000-8000-00000000ABCD";
        let id: ImageId = text.parse().unwrap();
        assert_eq!(id.as_str(), "0a1b2c3d-0000-4000-8000-00000000abcd");
        for bad in [
            "",
            "x",
            "0a1b2c3d00004000800000000000abcd",
            "0a1b2c3d-0000-4000-8000-00000000abcg",
            "{0a1b2c3d-0000-4000-8000-00000000abcd}",
        ] {
            assert!(bad.parse::<ImageId>().is_err(), "{bad}");
        }
    }
}
