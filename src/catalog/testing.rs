//! Databases for the tests of this folder: each runs on every one that is there.

use std::sync::Arc;

use super::Catalog;
use crate::config::{Database, Secret};
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
        databases.push(Database::Postgres(new_schema(&server).await));
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

/// Makes a schema on the server; gives its URL.
async fn new_schema(server: &str) -> Secret {
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    pool.close().await;
    Secret::new(format!("{server}?options[search_path]={name}"))
}
