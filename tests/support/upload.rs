//! What tests of uploads need: a body under the test's control, the head of a request for a raw socket, and what a
//! failed upload must leave behind.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::app::TestApp;
use super::client::{Answer, Body, Client, full};
use super::{content, eventually};

pub const MIB: u64 = 1024 * 1024;

/// The other end of a body from [`fed`]. Dropping it ends the body.
pub struct Feed(mpsc::Sender<Bytes>);

impl Feed {
    /// Hands over a piece; false when nobody reads the body any more.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.0.send(bytes).await.is_ok()
    }
}

/// A chunked body that grows as the test says.
pub fn fed() -> (Feed, Body) {
    let (feed, pieces) = mpsc::channel(1);
    let frames = futures_util::stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((Ok(Frame::data(piece)), pieces))
    });
    (Feed(feed), StreamBody::new(frames).boxed_unsync())
}

/// A chunked body of so many bytes, a MiB a frame.
pub fn chunked_of(length: u64) -> Body {
    let starts = (0..length).step_by(usize::try_from(MIB).unwrap());
    super::client::chunked(
        starts
            .map(|at| content::slice(at, MIB.min(length - at)))
            .collect(),
    )
}

/// Stages image data.
pub async fn stage(client: &Client, id: &str, headers: &[(&str, &str)], body: Body) -> Answer {
    let mut all = vec![
        ("content-type", "application/octet-stream"),
        ("accept", "application/json"),
    ];
    all.extend_from_slice(headers);
    let path = format!("/v2/images/{id}/stage");
    client.send(http::Method::PUT, &path, &all, body).await
}

/// The head of an upload request as it stands on the wire; `headers` are whole lines without their ends.
pub fn head(id: &str, headers: &[&str]) -> String {
    let mut text = format!(
        "PUT /v2/images/{id}/file HTTP/1.1\r\nHost: t\r\nContent-Type: application/octet-stream\r\n"
    );
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text + "\r\n"
}

/// Waits until the image has this status.
pub async fn until_status(client: &Client, id: &str, status: &str) {
    eventually(status, async || {
        (client.status(id).await == status).then_some(())
    })
    .await;
}

/// What every failed upload leaves: a queued image without data, nothing in the store, and a second try that works.
pub async fn assert_nothing_is_left(app: &TestApp, id: &str) {
    assert_is_clean(app, id).await;
    let bytes = content::bytes(300);
    let answer = app.client.put_file(id, &[], full(bytes.clone())).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let back = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!((back.status, back.body), (StatusCode::OK, bytes));
}

/// The same without the second try, for images that nothing acceptable can be uploaded to.
pub async fn assert_is_clean(app: &TestApp, id: &str) {
    let image = app.client.image(id).await;
    assert_eq!(image["status"], "queued", "{image}");
    for field in [
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
    ] {
        assert!(image[field].is_null(), "{field}: {image}");
    }
    let data = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(data.status, StatusCode::NO_CONTENT);
    // The bytes go after the answer.
    eventually("nothing of the image is in the store", async || {
        let open = app.bucket.open_uploads().await;
        let keys = app.bucket.keys().await;
        let mut left = keys.iter().chain(&open);
        left.all(|key| !key.contains(id)).then_some(())
    })
    .await;
}

/// Asserts a refusal: its code, and a message that says `about`.
pub fn assert_refused(answer: &Answer, status: StatusCode, about: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains(about),
        "{message:?} does not say {about:?}"
    );
}

/// Time passes: what waits for another removal is due.
pub async fn make_garbage_due(app: &TestApp) {
    let catalog = app.database().await;
    let waiting = sqlx::query("UPDATE garbage SET due_at = 0")
        .execute(&catalog)
        .await
        .unwrap();
    assert_eq!(waiting.rows_affected(), 1, "nothing waits for its removal");
    catalog.close().await;
}
