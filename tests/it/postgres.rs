//! A catalog in PostgreSQL that is not as it should be: at the start an error that says what to do, later 503 until it is back.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use oriel::{App, Config};
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::client::patch;
use crate::support::content;
use crate::support::link::Link;
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
async fn database_of_another_program_is_left_as_it_is() {
    let Some((url, pool)) = site().await else {
        return;
    };
    let make = sqlx::raw_sql("CREATE TABLE customers (id INT)");
    make.execute(&pool).await.unwrap();
    let error = error_at_start(&format!("url = {url:?}")).await;
    assert!(
        error.contains("catalog.url") && error.contains("customers"),
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
        error.contains("newer release") && error.contains("999"),
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
    let schema = url.rsplit('=').next().unwrap();
    let make = format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make))
        .execute(&pool)
        .await
        .unwrap();
    let url = url.replacen("//postgres@", &format!("//{role}@"), 1);
    let error = error_at_start(&format!("url = {url:?}")).await;
    assert!(
        error.contains("catalog.url") && error.contains("permission denied"),
        "{error}"
    );
    assert_eq!(tables(&pool).await, Vec::<String>::new());
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
    let (feed, body) = fed();
    let uploading = app.client.put_file(&uploaded, &[], body);
    let trouble = async {
        assert!(feed.send(Bytes::from_static(b"first ")).await);
        until_status(&app.client, &uploaded, "saving").await;
        let file = format!("{path}/file");
        let mut download = app
            .client
            .open(Method::GET, &file, &[], crate::support::client::full(""))
            .await
            .unwrap();
        link.cut();
        for path in [&path, "/v2/images"] {
            let away = app.client.get(path).await;
            assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!(away.header("retry-after").is_some(), "{path}");
        }
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
