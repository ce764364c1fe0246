//! `[policy]`: who may do what.

use std::path::PathBuf;

use super::read::Section;

/// Rules of a site's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// A file of rules in the oslo.policy language, YAML or JSON, read again when it changes. Rules it does not name keep
    /// their defaults. Default: none.
    pub file: Option<PathBuf>,
}

impl Policy {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            file: section.take_optional("file"),
        }
    }
}
