//! `oriel rebuild`: the catalog is lost, the bucket is there.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use oriel::Database;
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::full;
use crate::support::content;
use crate::support::proxy::Fault;
use crate::support::told::{Told, told};

/// An attempt that no catalog knows.
const ATTEMPT: &str = "00112233445566778899aabbccddeeff";
const IMAGE: &str = "0a1b2c3d-0000-4000-8000-00000000abcd";

/// Attributes that are found in the bytes.
const FACTS: [&str; 5] = [
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
];

async fn lose_catalog(app: &mut TestApp) {
    app.shut_down().await;
    if let Database::Sqlite(path) = &app.config().catalog.database {
        for end in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(end);
            let removed = std::fs::remove_file(file);
            assert!(removed.is_ok() || !end.is_empty());
        }
        return;
    }
    let database = app.database().await;
    for table in ["images", "uploads", "garbage", "project_usage", "changes"] {
        let lose = sqlx::AssertSqlSafe(format!("TRUNCATE {table} CASCADE"));
        sqlx::query(lose).execute(&database).await.unwrap();
    }
    database.close().await;
}

async fn rebuild(app: &TestApp, more: &[&str]) -> Told {
    told(&app.config_file(), "rebuild", more).await
}

async fn assert_sound(app: &TestApp) {
    let told = told(&app.config_file(), "fsck", &["--verify", "--min-age", "0s"]).await;
    told.assert_sound();
}

#[tokio::test]
async fn images_of_a_lost_catalog_are_there_again_with_their_data() {
    let mut app = TestApp::start().await;
    let named = json!({"name": "n", "disk_format": "qcow2", "container_format": "bare", "visibility": "public", "p": "q"});
    let disk = app.client.create(&named).await;
    let answer = app
        .client
        .put_file(&disk, &[], full(content::qcow2(0)))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let empty = app.client.upload(content::bytes(0)).await;
    // More than a part.
    let large = app.client.upload(content::bytes(9 << 20)).await;
    let ids = [&disk, &empty, &large];
    let mut before = BTreeMap::new();
    for id in ids {
        before.insert(id, app.client.image(id).await);
    }
    lose_catalog(&mut app).await;

    let told = rebuild(&app, &[]).await;
    assert_eq!((told.code, told.errors.as_str()), (0, ""), "{told:?}");
    assert_eq!(told.of_type("recovered").len(), 3, "{told:?}");
    let summary = told.summary();
    assert_eq!(
        (&summary["objects"], &summary["recovered"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(summary["recovered_bytes"], (64 << 10) + (9 << 20));
    assert_sound(&app).await;

    // Once more there is nothing to do.
    let again = rebuild(&app, &["--rate", "1MiB"]).await;
    assert_eq!((again.code, again.lines.len()), (0, 1), "{again:?}");
    assert_eq!(again.summary()["recorded"], 3);

    app.restart().await;
    for id in ids {
        let image = app.client.image(id).await;
        for fact in FACTS {
            assert_eq!(image[fact], before[id][fact], "{fact} of {id}");
        }
        assert_eq!(image["status"], "active");
        assert_eq!(
            (&image["visibility"], &image["owner"]),
            (&json!("private"), &Value::Null)
        );
        assert_eq!(image["tags"], json!(["recovered"]));
        assert_eq!(image["container_format"], "bare");
        let is_disk = *id == disk;
        assert_eq!(image["disk_format"], if is_disk { "qcow2" } else { "raw" });
    }
    let data = app.client.get(&format!("/v2/images/{large}/file")).await;
    assert_eq!(data.body, content::bytes(9 << 20));
    // They are images like others.
    assert_eq!(
        app.client
            .delete(&format!("/v2/images/{empty}"))
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    app.finish().await;
}

#[tokio::test]
async fn data_that_would_be_refused_comes_back_deactivated() {
    let mut app = TestApp::start().await;
    app.shut_down().await;
    app.bucket
        .put(&format!("{IMAGE}/{ATTEMPT}"), content::qcow2(512))
        .await;
    let told = rebuild(&app, &[]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let recovered = told.of_type("recovered");
    assert_eq!(
        recovered[0]["deactivated_because"],
        "Image failed safety checks"
    );
    app.restart().await;
    assert_eq!(app.client.status(IMAGE).await, "deactivated");
    assert_eq!(app.client.image(IMAGE).await["disk_format"], "raw");
}

#[tokio::test]
async fn of_several_objects_of_an_image_the_newest_counts_and_what_has_a_record_stays_as_it_is() {
    let mut app = TestApp::start().await;
    let active = app.client.upload(content::bytes(1000)).await;
    let queued = app.client.create_image().await;
    let deleted = app.client.upload(content::bytes(10)).await;
    app.client.delete(&format!("/v2/images/{deleted}")).await;
    app.shut_down().await;
    let bucket = &app.bucket;
    for image in [&active, &queued, &deleted] {
        bucket
            .put(&format!("{image}/{ATTEMPT}"), content::bytes(5))
            .await;
    }
    bucket.put("backup.tar", content::bytes(5)).await;
    let older = format!("{IMAGE}/{}", "f".repeat(32));
    bucket.put(&older, content::bytes(6)).await;
    // Stores tell the time to the second.
    let is_newer = async || {
        let newer = format!("{IMAGE}/{ATTEMPT}");
        bucket.put(&newer, content::bytes(7)).await;
        let list = bucket
            .s3
            .list_objects_v2()
            .bucket(&bucket.name)
            .prefix(IMAGE)
            .send()
            .await
            .unwrap();
        let time = |key: &str| {
            list.contents()
                .iter()
                .find(|o| o.key() == Some(key))
                .unwrap()
                .last_modified()
                .unwrap()
                .secs()
        };
        (time(&newer) > time(&older)).then_some(())
    };
    crate::support::eventually("one is newer", is_newer).await;

    let told = rebuild(&app, &[]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let recovered = told.of_type("recovered");
    assert_eq!(recovered.len(), 1, "{told:?}");
    assert_eq!(
        (&recovered[0]["image"], &recovered[0]["size"]),
        (&json!(IMAGE), &json!(7))
    );
    let mut left: Vec<_> = told
        .of_type("left")
        .iter()
        .map(|line| {
            (
                line["key"].as_str().unwrap(),
                line["reason"].as_str().unwrap(),
            )
        })
        .collect();
    left.sort_by_key(|(_, reason)| *reason);
    assert_eq!(left.len(), 4, "{told:?}");
    assert!(
        left[..3]
            .iter()
            .all(|(_, reason)| *reason == "its image has or had a record without it")
    );
    assert_eq!(
        left[3],
        (older.as_str(), "there is newer data of its image")
    );
    let summary = told.summary();
    assert_eq!(
        (&summary["foreign"], &summary["recorded"]),
        (&json!(1), &json!(1))
    );
    app.restart().await;
    assert_eq!(app.client.image(&active).await["size"], 1000);
    assert_eq!(app.client.status(&queued).await, "queued");
    assert_eq!(
        app.client
            .get(&format!("/v2/images/{deleted}"))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn object_whose_metadata_names_another_image_is_left() {
    let mut app = TestApp::start().await;
    app.shut_down().await;
    let bucket = &app.bucket;
    let put = bucket
        .s3
        .put_object()
        .bucket(&bucket.name)
        .key(format!("{IMAGE}/{ATTEMPT}"));
    let put = put
        .metadata("oriel-image-id", "another")
        .body(content::bytes(5).into());
    put.send().await.unwrap();
    let told = rebuild(&app, &[]).await;
    assert_eq!(
        (told.code, told.left()),
        (0, vec!["its metadata names another image"])
    );
}

#[tokio::test]
async fn what_a_store_does_not_give_is_told_and_done_the_next_time() {
    let mut app = TestApp::with_faults().await;
    let mut ids = [
        app.client.upload(content::bytes(1000)).await,
        app.client.upload(content::bytes(2000)).await,
    ];
    ids.sort();
    lose_catalog(&mut app).await;
    let bad = ids[0].clone();
    app.proxy().fail(
        move |method, path| method == "GET" && path.contains(&bad) && !path.contains("list-type"),
        Fault::Answer(StatusCode::FORBIDDEN, "AccessDenied"),
        0,
        usize::MAX,
    );
    let told = rebuild(&app, &[]).await;
    assert_eq!(told.code, 2, "{told:?}");
    assert_eq!(told.of_type("incomplete").len(), 1, "{told:?}");
    assert_eq!(told.of_type("recovered")[0]["image"], ids[1]);
    app.proxy().heal();
    let told = rebuild(&app, &["--store", "main"]).await;
    assert_eq!(
        (told.code, told.of_type("recovered")[0]["image"].as_str()),
        (0, Some(ids[0].as_str()))
    );
    assert_sound(&app).await;
    app.restart().await;
    app.finish().await;
}

/// An upload of a server that runs has its place in the catalog, so it stays as it is; and the file is that server's own.
#[tokio::test]
async fn catalog_in_a_file_that_a_server_holds_is_a_clear_error() {
    let app = TestApp::with(Options::default()).await;
    if !app.is_sqlite() {
        return;
    }
    let config = app.config_file();
    let output =
        crate::support::child::oriel(&["rebuild", "--config", config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        output.stderr.contains("in use by another process"),
        "{output:?}"
    );
    app.finish().await;
}
