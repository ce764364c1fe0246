//! `auth`, `[noauth]` and `[tokens]`: how callers are recognised.

use std::path::PathBuf;

use super::choice::choice;
use super::read::Section;

choice! {
    /// How callers are recognised.
    AuthMode {
        /// Every caller is the administrator of `[noauth]`; for development and closed networks.
        None = "none",
        /// Callers show a token that stands in the file of `[tokens]`.
        Tokens = "tokens",
        /// Callers show a token of the identity service of `[keystone]`.
        Keystone = "keystone",
    }
}

/// The identity of every caller while `auth = "none"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAuth {
    /// Project of every caller, the owner of what they make. Default `"admin"`. Set it to own images that a later
    /// identity service will know.
    pub project_id: String,
    /// User of every caller, for the log. Default `"admin"`.
    pub user_id: String,
}

impl Default for NoAuth {
    fn default() -> Self {
        Self {
            project_id: "admin".to_owned(),
            user_id: "admin".to_owned(),
        }
    }
}

impl NoAuth {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            project_id: section.take_word("project_id", default.project_id),
            user_id: section.take_word("user_id", default.user_id),
        }
    }
}

/// The tokens of `auth = "tokens"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The file of hashed tokens, read again when it changes. Default `/etc/oriel/tokens.toml`.
    pub file: PathBuf,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            file: PathBuf::from("/etc/oriel/tokens.toml"),
        }
    }
}

impl Tokens {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            file: section.take("file", Self::default().file),
        }
    }
}
