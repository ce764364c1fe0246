//! `PUT /v2/images/{id}/stage` (contract 6.2): data that waits for an import.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::client::{chunked, full};
use crate::support::proxy::Fault;
use crate::support::told::told;
use crate::support::upload::{
    MIB, assert_is_clean, assert_refused, chunked_of, fed, stage, until_status,
};
use crate::support::{content, eventually};

const ALWAYS: usize = usize::MAX;

/// What of a record tells of its data.
const FACTS: [&str; 4] = ["checksum", "os_hash_algo", "os_hash_value", "virtual_size"];

#[tokio::test]
async fn staged_data_waits_and_shows_its_size_alone() {
    let app = TestApp::start().await;
    for (size, body) in [
        (0, full("")),
        (MIB, full(content::bytes(MIB))),
        (20 * MIB, chunked_of(20 * MIB)),
    ] {
        let id = app.client.create_image().await;
        let staged = stage(&app.client, &id, &[], body).await;
        assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
        let image = app.client.image(&id).await;
        assert_eq!(image["status"], "uploading", "{image}");
        assert_eq!(image["size"], size, "{image}");
        for fact in FACTS {
            assert!(image[fact].is_null(), "{fact}: {image}");
        }
        assert!(image.get("stores").is_none(), "{image}");
        let file = format!("/v2/images/{id}/file");
        let data = app.client.get(&file).await;
        assert_eq!(data.status, StatusCode::NO_CONTENT, "no data to download");
        assert_eq!(app.bucket.keys().await.len(), 1);
        for again in [
            stage(&app.client, &id, &[], full("more")).await,
            app.client.put_file(&id, &[], full("more")).await,
        ] {
            assert_refused(&again, StatusCode::CONFLICT, "from uploading to");
        }
        let deleted = app.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        eventually("the staged bytes are gone", async || {
            app.bucket.keys().await.is_empty().then_some(())
        })
        .await;
    }
    app.finish().await;
}

/// An image's id, headers, and the answer with what it tells.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], StatusCode, &'a str);

/// Each request has what the check before it asks for, and not what its own does.
#[tokio::test]
async fn staging_is_refused_in_the_order_of_the_contract() {
    let app = TestApp::start().await;
    let bytes = ("content-type", "application/octet-stream");
    let absent = "00000000-0000-4000-8000-000000000000";
    let bare = app.client.create(&json!({})).await;
    let active = app.client.upload(content::bytes(10)).await;
    let json = ("accept", "application/json");
    let refused: [Refused; 6] = [
        (
            absent,
            &[json, ("x-openstack-image-size", "x")],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type",
        ),
        (
            absent,
            &[json, bytes, ("x-openstack-image-size", "-1")],
            StatusCode::BAD_REQUEST,
            "X-OpenStack-Image-Size",
        ),
        (
            absent,
            &[json, bytes, ("x-image-meta-store", "nowhere")],
            StatusCode::BAD_REQUEST,
            "X-Image-Meta-Store",
        ),
        (absent, &[json, bytes], StatusCode::NOT_FOUND, absent),
        (
            &active,
            &[json, bytes],
            StatusCode::CONFLICT,
            "active to uploading",
        ),
        (
            &bare,
            &[json, bytes],
            StatusCode::BAD_REQUEST,
            "disk_format",
        ),
    ];
    for (id, headers, status, about) in refused {
        let path = format!("/v2/images/{id}/stage");
        let answer = app
            .client
            .send(Method::PUT, &path, headers, full("data"))
            .await;
        assert_refused(&answer, status, about);
    }
    app.finish().await;
}

#[tokio::test]
async fn site_without_the_method_has_no_staging() {
    let app = TestApp::with(Options {
        tables: "[import]\nmethods = []\n".into(),
        ..Options::default()
    })
    .await;
    let id = app.client.create_image().await;
    let path = format!("/v2/images/{id}/stage");
    // Before the content type.
    let json = [("accept", "application/json")];
    let answer = app
        .client
        .send(Method::PUT, &path, &json, full("data"))
        .await;
    assert_refused(&answer, StatusCode::NOT_FOUND, "'glance-direct' method");
    app.finish().await;
}

#[tokio::test]
async fn staging_that_fails_leaves_a_queued_image_and_nothing_else() {
    let app = TestApp::with(Options {
        tables: format!("[images]\nsize_cap = {}\n", 12 * MIB),
        store: "retries = 0".into(),
        faults: true,
        ..Options::default()
    })
    .await;
    let id = app.client.create_image().await;
    let size = ("x-openstack-image-size", "5");
    let short = stage(&app.client, &id, &[size], chunked(vec!["four".into()])).await;
    assert_refused(&short, StatusCode::BAD_REQUEST, "Size mismatch");
    assert_is_clean(&app, &id).await;
    let large = stage(&app.client, &id, &[], chunked_of(13 * MIB)).await;
    assert_refused(&large, StatusCode::PAYLOAD_TOO_LARGE, "image_size_cap");
    assert_is_clean(&app, &id).await;
    for (operation, size) in [("put", MIB), ("part", 9 * MIB), ("complete", 9 * MIB)] {
        let away = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
        app.proxy().fail_operation(operation, away, 0, ALWAYS);
        let failed = stage(&app.client, &id, &[], chunked_of(size)).await;
        assert_eq!(
            failed.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{operation}"
        );
        app.proxy().heal();
        assert_is_clean(&app, &id).await;
    }
    let again = stage(&app.client, &id, &[], full("again")).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text());
    app.finish().await;
}

#[tokio::test]
async fn image_deleted_while_data_is_staged_is_410_and_leaves_nothing() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let (feed, body) = fed();
    let staging = stage(&app.client, &id, &[], body);
    let deleting = async {
        assert!(feed.send(content::bytes(MIB)).await);
        until_status(&app.client, &id, "uploading").await;
        let deleted = app.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        drop(feed);
    };
    let (staged, ()) = tokio::join!(staging, deleting);
    assert_eq!(staged.status, StatusCode::GONE, "{}", staged.text());
    app.finish().await;
}

#[tokio::test]
async fn staged_bytes_count_as_the_owners_until_they_are_deleted() {
    let app = TestApp::with(Options {
        tables: format!("[images]\nuser_storage_quota = {}\n", 2 * MIB),
        ..Options::default()
    })
    .await;
    let first = app.client.create_image().await;
    let staged = stage(&app.client, &first, &[], chunked_of(MIB)).await;
    assert_eq!(staged.status, StatusCode::NO_CONTENT);
    let second = app.client.create_image().await;
    for body in [full(content::bytes(MIB + 1)), chunked_of(2 * MIB)] {
        let over = stage(&app.client, &second, &[], body).await;
        assert_refused(&over, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
        assert_is_clean(&app, &second).await;
    }
    let deleted = app.client.delete(&format!("/v2/images/{first}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let fits = stage(&app.client, &second, &[], chunked_of(2 * MIB)).await;
    assert_eq!(fits.status, StatusCode::NO_CONTENT, "{}", fits.text());
    app.finish().await;
}

#[tokio::test]
async fn fsck_knows_what_is_staged_and_what_hangs_without_it() {
    let mut app = TestApp::start().await;
    let (staged, stuck) = (
        app.client.create_image().await,
        app.client.create_image().await,
    );
    let answer = stage(&app.client, &staged, &[], full(content::bytes(1000))).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let database = app.database().await;
    let hang = sqlx::query("UPDATE images SET status = 'uploading' WHERE id = $1");
    hang.bind(&stuck).execute(&database).await.unwrap();
    database.close().await;
    app.shut_down().await;
    let config = app.config_file();
    let found = told(&config, "fsck", &["--min-age", "0s"]).await;
    let finding = found.finding("stuck_image");
    assert_eq!(finding["image"], stuck);
    assert_eq!(finding["image_status"], "uploading");
    assert_eq!(found.left(), ["staged"], "{found:?}");
    let repaired = told(&config, "fsck", &["--min-age", "0s", "--repair", "--yes"]).await;
    assert_eq!(repaired.of_type("finding").len(), 1, "{repaired:?}");
    app.restart().await;
    assert_eq!(app.client.status(&stuck).await, "queued");
    assert_eq!(app.client.status(&staged).await, "uploading");
    app.finish().await;
}

#[tokio::test]
async fn image_in_importing_without_a_task_is_queued_again_and_gives_its_data_up() {
    let mut app = TestApp::start().await;
    let id = app.client.create_image().await;
    let answer = stage(&app.client, &id, &[], full(content::bytes(1000))).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    app.shut_down().await;
    let database = app.database().await;
    let hang = sqlx::query("UPDATE images SET status = 'importing' WHERE id = $1");
    hang.bind(&id).execute(&database).await.unwrap();
    database.close().await;
    let config = app.config_file();
    let repaired = told(&config, "fsck", &["--min-age", "0s", "--repair", "--yes"]).await;
    assert_eq!(repaired.finding("stuck_image")["image"], id);
    app.restart().await;
    assert_is_clean(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn rebuild_makes_no_record_of_what_is_staged() {
    let mut app = TestApp::start().await;
    let id = app.client.create_image().await;
    let answer = stage(&app.client, &id, &[], full(content::bytes(1000))).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    app.shut_down().await;
    let told = told(&app.config_file(), "rebuild", &[]).await;
    assert_eq!(told.left(), ["it waits for an import"], "{told:?}");
    app.restart().await;
    assert_eq!(app.client.status(&id).await, "uploading");
    app.finish().await;
}
