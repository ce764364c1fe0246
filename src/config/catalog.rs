//! `[catalog]`: where image records are kept.

use std::path::PathBuf;

use super::read::Section;
use super::units::ByteSize;

/// The database of image records and its cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// The SQLite database. Default `/var/lib/oriel/catalog.sqlite`; made when it is missing. Keep it on a local disk:
    /// its locks do not work on network file systems.
    pub path: PathBuf,
    /// How many image records are kept in memory, at a few KiB each. Default 10000; 0 keeps none. Lower it on small
    /// machines, raise it when `oriel_cache_misses_total` keeps growing.
    pub cache_entries: usize,
    /// How many bytes those records may take together. Default `"64MiB"`; a record that would take more than an eighth of it
    /// is not kept.
    pub cache_size: ByteSize,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/lib/oriel/catalog.sqlite"),
            cache_entries: 10_000,
            cache_size: ByteSize::mib(64),
        }
    }
}

impl Catalog {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            path: section.take("path", default.path),
            cache_entries: section.take("cache_entries", default.cache_entries),
            cache_size: section.take("cache_size", default.cache_size),
        }
    }
}
