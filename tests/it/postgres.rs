//! A catalog in PostgreSQL that is not as it should be: at the start an error that says what to do, later 503 until it is back.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use oriel::{App, Config};
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::child::{Server, oriel};
use crate::support::client::{full, patch};
use crate::support::content;
use crate::support::link::Link;
use crate::support::pooler::{Mode, Pooler};
use crate::support::upload::{fed, until_status};
use crate::support::{database, eventually};

/// The setting of a new schema, and a look into it; `None` without a PostgreSQL, which is said.
async fn site() -> Option<(String, sqlx::PgPool)> {
    let setting = database::shared_setting().await?;
    let url = setting.split('"').nth(1).unwrap().to_owned();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    Some((url, pool))
}

/// The error of a start with these keys of `[catalog]`.
async fn error_at_start(catalog: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n[catalog]\n{catalog}\n\
         [embedded]\ndata_dir = {:?}\n[store.main]\nendpoint = \"embedded\"\n",
        dir.path()
    );
    match Config::from_parts(&text, []) {
        Err(faults) => faults.to_string(),
        Ok(config) => match App::build(config).await {
            Ok(_) => panic!("it starts with {catalog}"),
            Err(e) => format!("{e:#}"),
        },
    }
}

async fn tables(pool: &sqlx::PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema() \
         ORDER BY table_name",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn wrong_url_is_an_error_that_names_the_key_and_hides_the_password() {
    for (catalog, word) in [
        (
            "url = \"mysql://u:hunter2@h/d\"",
            "must begin with postgres://",
        ),
        (
            "path = \"/tmp/c\"\nurl = \"postgres://u:hunter2@h/d\"",
            "cannot stand beside catalog.path",
        ),
        (
            "url = \"postgres://u:hunter2@127.0.0.1:1/d\"",
            "cannot connect",
        ),
        (
            "url = \"postgres://u:hunter2@127.0.0.1:x/d\"",
            "is not the URL",
        ),
    ] {
        let error = error_at_start(catalog).await;
        assert!(
            error.contains("catalog.url") && error.contains(word),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn database_that_is_not_to_be_had_is_an_error_with_a_remedy() {
    let Some((url, _pool)) = site().await else {
        return;
    };
    let (server, options) = url.rsplit_once('/').unwrap();
    let (_, options) = options.split_once('?').unwrap();
    let other_role = url.replacen("//postgres@", "//nobody_of_this_name@", 1);
    let address = server.rsplit_once('@').unwrap().1;
    for (url, cause, remedy) in [
        (
            format!("{server}/not_there?{options}"),
            "\"not_there\" does not exist",
            "CREATE DATABASE",
        ),
        (other_role, "nobody_of_this_name", "see user and password"),
        (
            url.replacen(address, "127.0.0.1:1", 1),
            "cannot connect",
            "does it listen",
        ),
        (
            format!("{server}/postgres?options[search_path]=not_there"),
            "no schema",
            "make the schema",
        ),
    ] {
        let error = error_at_start(&format!("url = {url:?}")).await;
        for word in ["catalog.url", cause, remedy] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}

#[tokio::test]
async fn database_of_another_encoding_is_left_as_it_is() {
    let Some(url) = database::own_database().await else {
        return;
    };
    let (server, name) = url.rsplit_once('/').unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let make =
        format!("CREATE DATABASE {name}_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    let make = sqlx::raw_sql(sqlx::AssertSqlSafe(make));
    make.execute(&pool).await.unwrap();
    let error = error_at_start(&format!("url = \"{server}/{name}_latin1\"")).await;
    assert!(
        error.contains("catalog.url") && error.contains("LATIN1") && error.contains("'UTF8'"),
        "{error}"
    );
}

/// A URL of the same schema whose database has its clock so far ahead.
async fn with_clock(url: &str, pool: &sqlx::PgPool, ahead: &str) -> String {
    let make = format!(
        "CREATE OR REPLACE FUNCTION clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE SQL VOLATILE \
         AS $$ SELECT pg_catalog.clock_timestamp() + INTERVAL '{ahead}' $$"
    );
    let make = sqlx::raw_sql(sqlx::AssertSqlSafe(make));
    make.execute(pool).await.unwrap();
    format!("{url},pg_catalog")
}

#[tokio::test]
async fn a_clock_far_off_ends_the_start_before_anything_is_made() {
    let Some((url, pool)) = site().await else {
        return;
    };
    for (ahead, words) in [("1 hour", "ahead of"), ("-16 minutes", "behind")] {
        let url = with_clock(&url, &pool, ahead).await;
        let error = error_at_start(&format!("url = {url:?}")).await;
        for word in ["catalog.url", "clock", words, "NTP"] {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert_eq!(tables(&pool).await, Vec::<String>::new());
    }
}

/// A configuration file with this catalog and everything else inside.
fn site_with(url: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let (dir, config) = super::operation::site("");
    let text = std::fs::read_to_string(&config).unwrap();
    let path = text.lines().find(|line| line.starts_with("path = "));
    let text = text.replacen(path.unwrap(), &format!("url = {url:?}"), 1);
    std::fs::write(&config, text).unwrap();
    (dir, config)
}

async fn check(config: &std::path::Path) -> crate::support::child::Output {
    oriel(&["check", "--config", config.to_str().unwrap()]).await
}

#[tokio::test]
async fn check_tells_version_latency_clock_and_connections_of_the_database() {
    let Some((url, pool)) = site().await else {
        return;
    };
    let (_dir, config) = site_with(&url);
    let output = check(&config).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let version: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&pool)
        .await
        .unwrap();
    for word in [
        &format!("catalog: PostgreSQL {version} answers in "),
        " ms; its clock is 0.",
        "the role of the URL may use every table",
        "each connection is a session of its own",
        "ok    catalog",
    ] {
        assert!(output.stdout.contains(word), "{word}: {}", output.stdout);
    }
    assert!(!output.stdout.contains("NTP"), "{}", output.stdout);
}

#[tokio::test]
async fn a_clock_that_is_a_little_off_is_told_and_the_service_starts() {
    let Some((url, pool)) = site().await else {
        return;
    };
    let url = with_clock(&url, &pool, "-5 minutes").await;
    let (_dir, config) = site_with(&url);
    let output = check(&config).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = "the clock of the database is 300.0 s behind this machine's";
    assert!(output.stdout.contains(told), "{}", output.stdout);
    let server = Server::start(&config).await;
    assert!(server.log().contains(told), "{}", server.log());
    server.client.create_image().await;
    server.kill().await;
}

#[tokio::test]
async fn a_pooler_that_forgets_what_was_prepared_ends_the_start() {
    let Some(url) = database::own_database().await else {
        return;
    };
    let Some(pooler) = Pooler::start(&url, Mode::ForgetfulTransaction).await else {
        return;
    };
    let error = error_at_start(&format!("url = {:?}", pooler.url(&url))).await;
    for word in ["catalog.url", "PgBouncer", "pool_mode = session"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    assert_eq!(tables(&pool).await, Vec::<String>::new());
}

/// Writes at once, so that connections are shared.
async fn serves_through(mode: Mode, told: &str) {
    let Some(url) = database::own_database().await else {
        return;
    };
    let Some(pooler) = Pooler::start(&url, mode).await else {
        return;
    };
    let url = pooler.url(&url);
    let (_dir, config) = site_with(&url);
    let output = check(&config).await;
    assert!(output.stdout.contains(told), "{}", output.stdout);
    for _ in 0..2 {
        let app = TestApp::with(Options {
            catalog: Some(format!("url = {url:?}")),
            ..Options::default()
        })
        .await;
        let images = (0..40).map(async |_| {
            let id = app.client.upload(content::bytes(1000)).await;
            let path = format!("/v2/images/{id}");
            let change = json!([{"op": "replace", "path": "/name", "value": "new"}]);
            assert_eq!(patch(&app.client, &path, change).await.status, 200);
            assert_eq!(app.client.image(&id).await["name"], "new");
            assert_eq!(app.client.delete(&path).await.status, 204);
        });
        futures_util::future::join_all(images).await;
        app.finish().await;
    }
}

#[tokio::test]
async fn a_pooler_of_sessions_serves() {
    serves_through(Mode::Session, "each connection is a session of its own").await;
}

#[tokio::test]
async fn a_pooler_of_transactions_serves_when_it_keeps_what_is_prepared() {
    serves_through(Mode::Transaction, "a pooler gives each transaction").await;
}

#[tokio::test]
async fn database_of_another_program_is_left_as_it_is() {
    let Some((url, pool)) = site().await else {
        return;
    };
    let make = sqlx::raw_sql("CREATE TABLE customers (id INT)");
    make.execute(&pool).await.unwrap();
    let error = error_at_start(&format!("url = {url:?}")).await;
    assert!(
        error.contains("catalog.url")
            && error.contains("customers")
            && error.contains("name another database"),
        "{error}"
    );
    assert_eq!(tables(&pool).await, ["customers"]);
}

#[tokio::test]
async fn tables_of_a_newer_release_end_the_start_and_stay_as_they_are() {
    let Some((url, pool)) = site().await else {
        return;
    };
    let config = format!("url = {url:?}");
    let app = TestApp::with(Options {
        catalog: Some(config.clone()),
        ..Options::default()
    })
    .await;
    app.finish().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (999, 'from the future', TRUE, '', 0)";
    sqlx::raw_sql(newer).execute(&pool).await.unwrap();
    let before = tables(&pool).await;
    let error = error_at_start(&config).await;
    assert!(
        error.contains("catalog.url")
            && error.contains("newer release")
            && error.contains("999")
            && error.contains("run that release"),
        "{error}"
    );
    assert_eq!(tables(&pool).await, before);
}

#[tokio::test]
async fn role_without_rights_is_an_error_of_the_key() {
    let Some((url, pool)) = site().await else {
        return;
    };
    let role = format!("r{}", uuid::Uuid::new_v4().simple());
    let schema = url.rsplit('=').next().unwrap().to_owned();
    let make = format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make))
        .execute(&pool)
        .await
        .unwrap();
    let url = url.replacen("//postgres@", &format!("//{role}@"), 1);
    let config = format!("url = {url:?}");
    let error = error_at_start(&config).await;
    for word in ["catalog.url", "permission denied", "GRANT CREATE"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert_eq!(tables(&pool).await, Vec::<String>::new());

    // Tables that another role has made, and of which it may use some.
    let owner = format!("url = {:?}", url.replacen(&role, "postgres", 1));
    let app = TestApp::with(Options {
        catalog: Some(owner),
        ..Options::default()
    })
    .await;
    app.finish().await;
    let grant = format!(
        "GRANT CREATE ON SCHEMA {schema} TO {role}; GRANT ALL ON _sqlx_migrations, images TO {role}; \
         GRANT SELECT, INSERT, UPDATE ON uploads TO {role}"
    );
    let grant = sqlx::raw_sql(sqlx::AssertSqlSafe(grant));
    grant.execute(&pool).await.unwrap();
    let before = tables(&pool).await;
    let error = error_at_start(&config).await;
    for word in ["catalog.url", "uploads", "image_tags", "GRANT SELECT"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert!(!error.contains("images,"), "{error}");
    assert_eq!(tables(&pool).await, before);
}

#[tokio::test]
async fn while_the_database_is_away_answers_are_503_and_transfers_go_on() {
    let Some((url, _pool)) = site().await else {
        return;
    };
    let (before, rest) = url.split_once('@').unwrap();
    let (server, rest) = rest.split_once('/').unwrap();
    let link = Link::start(server.to_owned()).await;
    let app = TestApp::with(Options {
        catalog: Some(format!("url = \"{before}@{}/{rest}\"", link.address())),
        ..Options::default()
    })
    .await;
    let bytes = content::bytes(40_000_000);
    let id = app.client.upload(bytes.clone()).await;
    let path = format!("/v2/images/{id}");
    assert_eq!(app.client.get(&path).await.status, StatusCode::OK);
    let uploaded = app.client.create_image().await;
    let queued = app.client.create_image().await;
    let (feed, body) = fed();
    let uploading = app.client.put_file(&uploaded, &[], body);
    let trouble = async {
        assert!(feed.send(Bytes::from_static(b"first ")).await);
        until_status(&app.client, &uploaded, "saving").await;
        let file = format!("{path}/file");
        let mut download = app
            .client
            .open(Method::GET, &file, &[], full(""))
            .await
            .unwrap();
        link.cut();
        for path in [&path, "/v2/images", &file] {
            let away = app.client.get(path).await;
            assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!(away.header("retry-after").is_some(), "{path}");
        }
        let refused = app.client.put_file(&queued, &[], full("data")).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        let change = json!([{"op": "replace", "path": "/name", "value": "new"}]);
        assert_eq!(patch(&app.client, &path, change).await.status, 503);
        assert_eq!(app.client.get("/healthcheck").await.status, 503);
        let mut read = Vec::new();
        while let Some(frame) = download.body_mut().frame().await {
            read.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        assert!(read == bytes, "{} bytes", read.len());
        link.heal();
        eventually("it is back", async || {
            (app.client.get(&path).await.status == StatusCode::OK).then_some(())
        })
        .await;
        assert!(feed.send(Bytes::from_static(b"second")).await);
        drop(feed);
    };
    let (answer, ()) = tokio::join!(uploading, trouble);
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let back = app.client.get(&format!("/v2/images/{uploaded}/file")).await;
    assert_eq!(back.body, "first second");
    app.finish().await;
}

/// A server that stopped in the middle of a transaction keeps a row; others wait for it, but not for ever.
#[tokio::test]
async fn row_that_another_keeps_is_503_after_a_while_and_changes_nothing() {
    let Some((url, pool)) = site().await else {
        return;
    };
    let app = TestApp::with(Options {
        catalog: Some(format!("url = {url:?}")),
        ..Options::default()
    })
    .await;
    let id = app.client.create_image().await;
    let path = format!("/v2/images/{id}");
    let mut kept = pool.begin().await.unwrap();
    let keep = sqlx::query("SELECT id FROM images WHERE id = $1 FOR UPDATE").bind(&id);
    keep.fetch_one(&mut *kept).await.unwrap();
    let change = json!([{"op": "replace", "path": "/name", "value": "new"}]);
    let answer = patch(&app.client, &path, change.clone()).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(app.client.image(&id).await["name"], "t");
    kept.rollback().await.unwrap();
    assert_eq!(patch(&app.client, &path, change).await.status, 200);
    app.finish().await;
}
