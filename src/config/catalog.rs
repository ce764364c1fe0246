//! `[catalog]`: where image records are kept.

use std::path::PathBuf;

use super::read::Section;
use super::units::{ByteSize, Secret};

/// Where the records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// `path`: an SQLite file, for one process. Default `/var/lib/oriel/catalog.sqlite`; made when it is missing. Keep it on a
    /// local disk: its locks do not work on network file systems.
    Sqlite(PathBuf),
    /// `url`: a PostgreSQL database for any number of processes, as `postgres://user:password@host/name`.
    Postgres(Secret),
}

/// The database of image records and its cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// `path` or `url`.
    pub database: Database,
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
            database: Database::Sqlite(PathBuf::from("/var/lib/oriel/catalog.sqlite")),
            cache_entries: 10_000,
            cache_size: ByteSize::mib(64),
        }
    }
}

impl Catalog {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            database: read_database(section).unwrap_or(default.database),
            cache_entries: section.take("cache_entries", default.cache_entries),
            cache_size: section.take("cache_size", default.cache_size),
        }
    }
}

fn read_database(section: &mut Section<'_>) -> Option<Database> {
    let path: Option<PathBuf> = section.take_optional("path");
    let url: Option<Secret> = section.take_optional("url");
    if let Some(url) = &url {
        let schemes = ["postgres://", "postgresql://"];
        if !schemes
            .iter()
            .any(|scheme| url.expose().starts_with(scheme))
        {
            section.fault("url", "must begin with postgres:// or postgresql://");
        }
        if path.is_some() {
            section.fault(
                "url",
                "cannot stand beside catalog.path: the records are in one place",
            );
        }
    }
    url.map(Database::Postgres).or(path.map(Database::Sqlite))
}
