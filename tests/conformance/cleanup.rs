//! What does not become an image leaves nothing in the store: no object and no open multipart upload.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Notify;

use crate::stores::{PART, Subject, assert_holds};
use crate::support::app::TestApp;
use crate::support::client::{Raw, chunked, full};
use crate::support::proxy::Fault;
use crate::support::{content, eventually};

/// A chunked body of these lengths.
fn frames(total: u64) -> Vec<Bytes> {
    content::bytes(total)
        .chunks(1_000_000)
        .map(Bytes::copy_from_slice)
        .collect()
}

async fn until_queued(app: &TestApp, id: &str) {
    eventually("the image is queued again", async || {
        (app.client.status(id).await == "queued").then_some(())
    })
    .await;
}

/// A client that has sent the first of four parts, when the store has seen `operation`.
async fn half_an_upload(app: &TestApp, id: &str, operation: &str) -> Raw {
    let mut raw = app.client.raw().await;
    let head = format!(
        "PUT /v2/images/{id}/file HTTP/1.1\r\nHost: t\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {}\r\n\r\n",
        4 * PART
    );
    raw.write(head).await;
    raw.write(content::bytes(PART + 1)).await;
    eventually(operation, async || {
        (app.proxy().count(operation) > 0).then_some(())
    })
    .await;
    raw
}

pub async fn client_that_leaves_leaves_nothing(subject: &Subject) {
    let app = subject.app_with_faults().await;
    let id = app.client.create_image().await;
    let raw = half_an_upload(&app, &id, "part").await;
    drop(raw);
    until_queued(&app, &id).await;
    subject.finish(app).await;
}

pub async fn deletion_removes_the_object(subject: &Subject) {
    let app = subject.app().await;
    for size in [10, PART + 1] {
        let id = app.client.upload(content::bytes(size)).await;
        assert_eq!(app.bucket.keys().await.len(), 1);
        let deleted = app.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        eventually("the object is gone", async || {
            app.bucket.keys().await.is_empty().then_some(())
        })
        .await;
        let gone = app.client.get(&format!("/v2/images/{id}/file")).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }
    subject.finish(app).await;
}

/// Uploads `sent` bytes after promising `promised`; the image must be queued again, and a second try must work.
async fn mismatch(subject: &Subject, promised: u64, sent: u64) {
    let app = subject.app_with_faults().await;
    let id = app.client.create_image().await;
    let promise = promised.to_string();
    let headers = [("x-openstack-image-size", promise.as_str())];
    let refused = app
        .client
        .put_file(&id, &headers, chunked(frames(sent)))
        .await;
    assert_eq!(
        refused.status,
        StatusCode::BAD_REQUEST,
        "{}",
        refused.text()
    );
    until_queued(&app, &id).await;
    assert_eq!(app.proxy().count("complete"), 0);

    let bytes = content::bytes(10);
    let second = app.client.put_file(&id, &[], full(bytes.clone())).await;
    assert_eq!(second.status, StatusCode::NO_CONTENT, "{}", second.text());
    assert_holds(&app, &id, &bytes).await;
    subject.finish(app).await;
}

pub async fn body_that_is_too_short_is_rolled_back(subject: &Subject) {
    mismatch(subject, 2 * PART, 2 * PART - 1).await;
}

pub async fn body_that_is_too_long_is_rolled_back(subject: &Subject) {
    mismatch(subject, 2 * PART, 2 * PART + 1).await;
}

/// The upload fails while the store is asked to open it, and the store does so afterwards.
pub async fn upload_that_opens_too_late_is_aborted(subject: &Subject) {
    let app = subject.app_with_faults().await;
    let release = Arc::new(Notify::new());
    let held = Fault::Hold(Arc::clone(&release));
    app.proxy().fail_operation("create_upload", held, 0, 1);
    let id = app.client.create_image().await;
    let raw = half_an_upload(&app, &id, "create_upload").await;
    drop(raw);
    until_queued(&app, &id).await;
    eventually("the attempt's remains are looked for", async || {
        (app.proxy().count("delete") > 0).then_some(())
    })
    .await;
    release.notify_one();
    eventually(
        "the store has opened the upload, and it is aborted",
        async || (app.proxy().count("abort") > 0).then_some(()),
    )
    .await;
    subject.finish(app).await;
}

pub async fn race_has_one_winner(subject: &Subject) {
    let app = subject.app().await;
    let id = app.client.create_image().await;
    let contents = [content::bytes(PART + 1), content::slice(1, PART + 1)];
    let (a, b) = tokio::join!(
        app.client.put_file(&id, &[], full(contents[0].clone())),
        app.client.put_file(&id, &[], full(contents[1].clone())),
    );
    let winner = match (a.status, b.status) {
        (StatusCode::NO_CONTENT, StatusCode::CONFLICT) => 0,
        (StatusCode::CONFLICT, StatusCode::NO_CONTENT) => 1,
        other => panic!("{other:?}: {} {}", a.text(), b.text()),
    };
    assert_holds(&app, &id, &contents[winner]).await;
    subject.finish(app).await;
}
