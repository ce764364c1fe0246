//! Which database a test's catalog is in: an SQLite file of its own, or a schema of its own in the PostgreSQL server that a
//! variable names.

use std::path::Path;

use super::pooler::through;

/// The URL of a server whose user may make schemas.
const SERVER: &str = "ORIEL_TEST_POSTGRES";

/// `postgres` for the second run of the tests, with their catalogs there.
const CATALOG: &str = "ORIEL_TEST_CATALOG";

/// `HOST:PORT` of a pooler before that server, for a run of the tests of several servers through it. It does not pass the
/// schema on, so that their catalogs are databases of their own then.
const POOLER: &str = "ORIEL_TEST_POOLER";

/// The key of `[catalog]` that names a new database; a file would be in `dir`.
pub async fn setting(dir: &Path) -> String {
    if variable(CATALOG).as_deref() == Some("postgres") {
        return shared_setting()
            .await
            .expect("ORIEL_TEST_POSTGRES names no server");
    }
    format!("path = \"{}\"", dir.join("catalog.sqlite").display())
}

/// The same for a catalog of several servers; where there is no PostgreSQL, says so.
pub async fn shared_setting() -> Option<String> {
    if let Some(pooler) = variable(POOLER) {
        let url = through(&pooler, &own_database().await?);
        return Some(format!("url = \"{url}\""));
    }
    Some(format!("url = \"{}\"", new_schema(&server()?).await))
}

/// The URL of a database of the test's own, in which no other test has a schema.
pub async fn own_database() -> Option<String> {
    let server = server()?;
    let name = format!("d{}", uuid::Uuid::new_v4().simple());
    run(&server, format!("CREATE DATABASE {name}")).await;
    let (base, _) = server.rsplit_once('/').unwrap();
    Some(format!("{base}/{name}"))
}

fn server() -> Option<String> {
    let server = variable(SERVER);
    if server.is_none() {
        #[expect(
            clippy::print_stdout,
            reason = "the runner of the tests counts this line"
        )]
        {
            println!("SKIPPED: needs a PostgreSQL ({SERVER})");
        }
    }
    server
}

/// A setting of the tests.
pub fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a setting of the test, not of the service"
    )]
    std::env::var(name).ok()
}

async fn new_schema(server: &str) -> String {
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    run(server, format!("CREATE SCHEMA {name}")).await;
    format!("{server}?options[search_path]={name}")
}

async fn run(server: &str, statement: String) {
    let pool = sqlx::PgPool::connect(server).await.unwrap();
    let statement = sqlx::AssertSqlSafe(statement);
    sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    pool.close().await;
}
