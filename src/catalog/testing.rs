//! Databases for the tests of this folder: each runs on every one that is there.

use std::sync::Arc;

use super::{Catalog, db};
use crate::config::Database;
use crate::telemetry::metrics::Metrics;

/// The variable with the URL of a PostgreSQL server whose user may make schemas.
const SERVER: &str = "ORIEL_TEST_POSTGRES";

/// A catalog of its own in each database, with a small memory.
pub(super) async fn catalogs() -> Vec<(Catalog, tempfile::TempDir)> {
    let mut catalogs = Vec::new();
    let dir = tempfile::tempdir().unwrap();
    let mut databases = vec![Database::Sqlite(dir.path().join("catalog.sqlite"))];
    #[expect(
        clippy::disallowed_methods,
        reason = "a setting of the test, not of the service"
    )]
    let server = std::env::var(SERVER);
    if let Ok(server) = server {
        databases.push(Database::Postgres(db::new_schema(&server).await));
    }
    let mut dir = Some(dir);
    for database in databases {
        let catalog = Catalog::open(&database, 100, 1 << 20, Arc::new(Metrics::new()))
            .await
            .unwrap();
        let dir = dir.take().unwrap_or_else(|| tempfile::tempdir().unwrap());
        catalogs.push((catalog, dir));
    }
    catalogs
}
