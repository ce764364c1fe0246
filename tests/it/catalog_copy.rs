//! `oriel catalog copy`: records on their way to PostgreSQL and back.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::child::{Output, oriel};
use crate::support::{database, eventually};

async fn copy(from: &str, to: &str) -> Output {
    // A child that another test is just starting holds every lock of this process until it has become its program.
    oriel(&["catalog", "copy", "--from", from, "--to", to]).await
}

async fn copied(from: &str, to: &str) -> String {
    eventually("the catalog is free", async || {
        let output = copy(from, to).await;
        if output.stderr.contains("in use by another process") {
            return None;
        }
        assert!(output.status.success(), "{output:?}");
        Some(output.stdout)
    })
    .await
}

#[tokio::test]
async fn catalog_goes_to_postgresql_and_back_and_is_the_same() {
    let Some(url) = database::own_database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("first.sqlite");
    let file = file.to_str().unwrap();
    let mut app = TestApp::with(Options {
        catalog: Some(format!("path = {file:?}")),
        ..Options::default()
    })
    .await;
    // More than a page of them, and something in each table.
    for n in 0..120 {
        let body = json!({"name": format!("n {n} \u{1f4bf}"), "tags": ["a", "b"], "p": format!("{n}"), "visibility": "shared"});
        app.client.create(&body).await;
    }
    let id = app.client.upload(Bytes::from_static(b"bytes")).await;
    let gone = app.client.create_image().await;
    assert_eq!(
        app.client
            .delete(&format!("/v2/images/{gone}"))
            .await
            .status,
        204
    );
    let members = format!("/v2/images/{id}/members");
    let shared = app.client.create(&json!({"visibility": "shared"})).await;
    let shared = format!("/v2/images/{shared}/members");
    assert!(
        app.client
            .post_json(&shared, &json!({"member": "other"}))
            .await
            .status
            .is_success()
    );
    let namespace = json!({"namespace": "N", "tags": [{"name": "t"}], "resource_type_associations": [{"name": "r"}]});
    let made = app
        .client
        .post_json("/v2/metadefs/namespaces", &namespace)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());

    let refused = copy(file, &url).await;
    assert!(
        !refused.status.success() && refused.stderr.contains("in use by another process"),
        "{refused:?}"
    );
    app.shut_down().await;
    let there = copied(file, &url).await;
    assert!(
        there.contains("images                          123 rows"),
        "{there}"
    );
    let again = copy(file, &url).await;
    assert!(
        !again.status.success() && again.stderr.contains("not empty"),
        "{again:?}"
    );
    let back = dir.path().join("second.sqlite");
    let back = back.to_str().unwrap();
    assert_eq!(copied(&url, back).await, there);

    std::fs::rename(back, file).unwrap();
    for end in ["-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{file}{end}")));
    }
    app.restart().await;
    let bytes = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!((bytes.status, bytes.body), (StatusCode::OK, "bytes".into()));
    let members_of_shared = app.client.get(&shared).await.json();
    assert_eq!(members_of_shared["members"][0]["member_id"], "other");
    assert_eq!(app.client.get(&members).await.status, StatusCode::OK);
    let shown = app.client.get("/v2/metadefs/namespaces/N").await.json();
    assert_eq!(shown["tags"][0]["name"], "t");
    app.finish().await;
}
