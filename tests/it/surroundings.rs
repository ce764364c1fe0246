//! The disk, the clock and their kin change under a running service.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_async::time::StaticTimeSource;
use http::StatusCode;
use serde_json::json;

use crate::operation::site;
use crate::support::app::{Options, TestApp};
use crate::support::child::Server;
use crate::support::client::full;
use crate::support::store::{Bucket, Embedded};
use crate::support::upload::{fed, until_status};
use crate::support::{content, eventually};

#[tokio::test]
async fn a_catalog_that_was_full_once_takes_writes_again() {
    let (dir, config) = site("");
    let server = Server::start(&config).await;
    let client = &server.client;
    let id = client.upload(content::bytes(100)).await;
    let log = dir.path().join("catalog.sqlite-wal");
    server.limit_files(Some(std::fs::metadata(&log).unwrap().len() + 64 * 1024));
    let body = json!({"name": "n", "some": "y".repeat(20_000)});
    eventually("the catalog is full", async || {
        let answer = client.post_json("/v2/images", &body).await;
        if answer.status == StatusCode::CREATED {
            return None;
        }
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        Some(())
    })
    .await;
    assert_eq!(
        client.get("/healthcheck").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let kept = client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(kept.body, content::bytes(100), "reads go on");

    server.limit_files(None);
    eventually("health says that writes succeed", async || {
        (client.get("/healthcheck").await.status == StatusCode::OK).then_some(())
    })
    .await;
    let made = client.create(&body).await;
    let answer = client.put_file(&made, &[], full("x")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "it has no formats");
    client.upload(content::bytes(200)).await;
    let gone = client.delete(&format!("/v2/images/{id}")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    server.terminate().await;
    assert!(server.ended().await.0.success());
}

#[tokio::test]
async fn files_of_the_catalog_are_the_services_alone() {
    let (dir, config) = site("");
    let old = dir.path().join("catalog.sqlite");
    std::fs::write(&old, b"").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = Server::start(&config).await;
    server.client.create_image().await;
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("catalog.sqlite") {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name} has {mode:o}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4, "the file, its log, its index and its lock");
    server.terminate().await;
    assert!(server.ended().await.0.success());
}

#[tokio::test]
async fn an_id_in_capitals_is_the_same_id() {
    let (_dir, config) = site("");
    let server = Server::start(&config).await;
    let client = &server.client;
    let id = client.upload(content::bytes(300)).await;
    let capitals = id.to_uppercase();
    let answer = client
        .post_json("/v2/images", &json!({"id": capitals}))
        .await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    let data = client.get(&format!("/v2/images/{capitals}/file")).await;
    assert_eq!(data.body, content::bytes(300));
    assert_eq!(client.image(&capitals).await["id"], id.as_str());
    let gone = client.delete(&format!("/v2/images/{capitals}")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let answer = client.post_json("/v2/images", &json!({"id": id})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    let made = client
        .post_json(
            "/v2/images",
            &json!({"id": "ABCDEF00-0000-4000-8000-00000000ABCD"}),
        )
        .await;
    assert_eq!(made.json()["id"], "abcdef00-0000-4000-8000-00000000abcd");
    server.terminate().await;
    assert!(server.ended().await.0.success());
}

/// A clock that is set forward makes the leases in the rows old, those of uploads under way too.
#[tokio::test]
async fn uploads_under_way_outlive_a_clock_that_is_set() {
    let app = TestApp::with(Options {
        tables: "[transfer]\nlease = \"3s\"".into(),
        ..Options::default()
    })
    .await;
    let (id, left) = (
        app.client.create_image().await,
        app.client.create_image().await,
    );
    let (feed, body) = fed();
    let steps = async {
        feed.send(content::slice(0, 1000)).await;
        until_status(&app.client, &id, "saving").await;
        let database = app.database().await;
        let mut clock_is_set = database.begin().await.unwrap();
        for sql in [
            "UPDATE uploads SET lease_until = 0",
            // What another process left shows when recovery has looked.
            "INSERT INTO uploads (attempt_id, image_id, owner, node, store, object_key, lease_until, reserved_bytes) \
             VALUES ('left', $1, NULL, 'another', 'main', 'images/left', 1, 0)",
        ] {
            let statement = sqlx::query(sql).bind(&left);
            statement.execute(&mut *clock_is_set).await.unwrap();
        }
        clock_is_set.commit().await.unwrap();
        eventually("recovery has looked", async || {
            let left = sqlx::query("SELECT 1 FROM uploads WHERE attempt_id = 'left'");
            let row = left.fetch_optional(&database).await.unwrap();
            row.is_none().then_some(())
        })
        .await;
        database.close().await;
        feed.send(content::slice(1000, 1000)).await;
        drop(feed);
    };
    let (answer, ()) = tokio::join!(app.client.put_file(&id, &[], body), steps);
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    app.finish().await;
}

/// As after somebody has set the clock: the client of the store corrects it by answers from before.
#[tokio::test]
async fn the_embedded_store_takes_requests_of_any_time() {
    let store = Embedded::start().await;
    let bucket = Bucket::new(&store.endpoint(), "images");
    let now = SystemTime::now();
    let hours = Duration::from_secs(5 * 3600);
    for time in [now, now - hours, now + hours] {
        let config = bucket.s3.config().to_builder();
        let wrong = config
            .time_source(StaticTimeSource::new(time))
            // A second try would be made with the store's time.
            .retry_config(RetryConfig::disabled())
            .build();
        let s3 = aws_sdk_s3::Client::from_conf(wrong);
        let put = s3.put_object().bucket("images").key("k");
        if time == now {
            s3.create_bucket().bucket("images").send().await.unwrap();
        }
        put.body(content::bytes(10).into()).send().await.unwrap();
    }
    assert_eq!(bucket.keys().await.len(), 1);
}

/// A catalog from before ids in capitals were the same.
#[tokio::test]
async fn ids_that_were_kept_in_capitals_are_found() {
    let mut app = TestApp::start().await;
    let one = app.client.upload(content::bytes(100)).await;
    let two = app.client.upload(content::bytes(200)).await;
    let database = app.database().await;
    app.shut_down().await;
    let mut old = database.acquire().await.unwrap();
    for sql in [
        "PRAGMA foreign_keys = OFF",
        "UPDATE images SET id = upper(id) WHERE id = $1",
        "UPDATE image_locations SET image_id = upper($1) WHERE image_id = $1",
        "DELETE FROM _sqlx_migrations WHERE version = 6",
    ] {
        let statement = sqlx::query(sql).bind(&one);
        statement.execute(&mut *old).await.unwrap();
    }
    drop(old);
    database.close().await;
    app.restart().await;
    for (id, size) in [(one, 100), (two, 200)] {
        let data = app.client.get(&format!("/v2/images/{id}/file")).await;
        assert_eq!(data.body, content::bytes(size));
    }
    app.finish().await;
}
