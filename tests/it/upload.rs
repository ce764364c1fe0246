//! `PUT /v2/images/{id}/file` that goes well (contract 2.1, 2.3, 2.6).

use http::StatusCode;

use crate::support::app::TestApp;
use crate::support::client::{chunked, full};
use crate::support::content;

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn image_of_several_parts_comes_back_whole_and_by_range() {
    let app = TestApp::start().await;
    let size = 20 * MIB + 5;
    let id = app.client.upload(content::bytes(size)).await;
    let path = format!("/v2/images/{id}/file");
    let whole = app.client.get(&path).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.body, content::bytes(size));
    let range = app
        .client
        .get_with(&path, &[("range", "bytes=8388600-8388620")])
        .await;
    assert_eq!(range.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(range.body, content::slice(8_388_600, 21));
    app.finish().await;
}

#[tokio::test]
async fn chunked_upload_of_unknown_size_is_measured() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let chunks = (0..9).map(|n| content::slice(n * MIB, MIB)).collect();
    assert_eq!(
        app.client.put_file(&id, &[], chunked(chunks)).await.status,
        StatusCode::NO_CONTENT
    );
    let image = app.client.image(&id).await;
    assert_eq!(image["size"], 9 * MIB);
    assert_eq!(image["status"], "active");
    app.finish().await;
}

#[tokio::test]
async fn second_upload_of_an_active_image_is_a_conflict() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(10)).await;
    let again = app
        .client
        .put_file(&id, &[], full(content::bytes(MIB)))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(
        again.json()["message"],
        "Image status transition from active to saving is not allowed"
    );
    app.finish().await;
}
