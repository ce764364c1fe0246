//! The disk, the clock and their kin change under a running service.

use std::os::unix::fs::PermissionsExt;

use http::StatusCode;
use serde_json::json;

use crate::operation::site;
use crate::support::child::Server;
use crate::support::client::full;
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
