//! Downloads while something breaks: the store before and after the head of the answer, the object behind our back, the
//! client. The one thing that must never be seen is a short body that ends cleanly.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::Notify;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Client, full};
use crate::support::proxy::Fault;
use crate::support::{content, eventually};

const MIB: u64 = 1024 * 1024;
const RESUMES: &str = "oriel_download_resumes_total{store=\"main\"}";
const SLOW_DOWN: Fault = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");

/// A proxy before the store, and no retries below the resumes.
async fn start() -> TestApp {
    TestApp::with(Options {
        faults: true,
        store: "retries = 0\nread_timeout = \"1s\"".into(),
        ..Options::default()
    })
    .await
}

fn file(id: &str) -> String {
    format!("/v2/images/{id}/file")
}

/// What came of a download whose head was good.
#[derive(Debug, PartialEq)]
struct Outcome {
    promised: u64,
    body: Vec<u8>,
    broke: bool,
}

impl Outcome {
    /// The stream broke before the promised length; what came before is right.
    fn assert_broken(&self) {
        assert!(self.broke, "a break must be seen as one");
        assert!((self.body.len() as u64) < self.promised);
        assert_eq!(self.body, content::bytes(self.body.len() as u64));
    }
}

async fn download(client: &Client, id: &str) -> Outcome {
    let response = client
        .open(Method::GET, &file(id), &[], full(""))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let length = response.headers()[CONTENT_LENGTH].to_str().unwrap();
    let promised = length.parse().unwrap();
    read(promised, response.into_body()).await
}

async fn read(promised: u64, mut incoming: hyper::body::Incoming) -> Outcome {
    let mut body = Vec::new();
    let mut broke = false;
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => {
                broke = true;
                break;
            }
        }
    }
    Outcome {
        promised,
        body,
        broke,
    }
}

#[tokio::test]
async fn store_trouble_before_the_head_is_503_with_retry_after() {
    let app = start().await;
    let id = app.client.upload(content::bytes(1000)).await;
    for fault in [
        SLOW_DOWN,
        Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Fault::Answer(StatusCode::FORBIDDEN, "AccessDenied"),
        Fault::Answer(StatusCode::NOT_FOUND, "NoSuchBucket"),
        Fault::Refuse,
        Fault::Hang,
        Fault::ResetAfter(0),
        Fault::StallAfter(0),
        Fault::EndAfter(0),
        Fault::EndAfter(500),
    ] {
        let what = format!("{fault:?}");
        app.proxy().fail_operation("get", fault, 0, 1);
        let answer = app.client.get(&file(&id)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{what}");
        assert_eq!(answer.header("content-md5"), None, "{what}");
        assert!(!answer.text().contains("scripted"), "{}", answer.text());
    }
    assert_eq!(app.client.get(&file(&id)).await.status, StatusCode::OK);
    app.finish().await;
}

#[tokio::test]
async fn passing_trouble_of_the_store_is_not_seen_by_the_client() {
    let app = TestApp::with_faults().await;
    let id = app.client.upload(content::bytes(1000)).await;
    app.proxy().fail_operation("get", SLOW_DOWN, 0, 1);
    assert_eq!(app.client.get(&file(&id)).await.body, content::bytes(1000));
    assert_eq!(app.proxy().count("get"), 2);
    app.finish().await;
}

#[tokio::test]
async fn download_that_breaks_in_the_middle_is_resumed_where_it_was() {
    for fault in [Fault::ResetAfter(MIB), Fault::StallAfter(2 * MIB + 17)] {
        let app = start().await;
        let bytes = content::bytes(4 * MIB);
        let id = app.client.upload(bytes.clone()).await;
        app.proxy().fail_operation("get", fault.clone(), 0, 1);
        let outcome = download(&app.client, &id).await;
        assert!(!outcome.broke && outcome.body == bytes, "{fault:?}");
        assert_eq!(app.metric(RESUMES).await, 1.0, "{fault:?}");
        assert_eq!(app.proxy().count("get"), 2, "{fault:?}");
        app.finish().await;
    }
}

#[tokio::test]
async fn range_that_breaks_in_the_middle_is_resumed_within_the_range() {
    let app = start().await;
    let id = app.client.upload(content::bytes(4 * MIB)).await;
    app.proxy()
        .fail_operation("get", Fault::ResetAfter(100_000), 0, 1);
    let range = [("range", "bytes=1000000-2999999")];
    let answer = app.client.get_with(&file(&id), &range).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.body, content::slice(1_000_000, 2_000_000));
    assert_eq!(app.metric(RESUMES).await, 1.0);
    app.finish().await;
}

#[tokio::test]
async fn store_that_breaks_again_and_again_is_borne_while_bytes_come() {
    let app = start().await;
    let bytes = content::bytes(16 * MIB);
    let id = app.client.upload(bytes.clone()).await;
    // More often than the five tries in a row that a store has without progress.
    app.proxy()
        .fail_operation("get", Fault::ResetAfter(2 * MIB), 0, 7);
    let outcome = download(&app.client, &id).await;
    assert!(!outcome.broke && outcome.body == bytes);
    assert_eq!(app.metric(RESUMES).await, 7.0);
    app.finish().await;
}

#[tokio::test]
async fn store_that_never_comes_back_breaks_the_download() {
    let app = start().await;
    let id = app.client.upload(content::bytes(4 * MIB)).await;
    app.proxy()
        .fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    app.proxy().fail_operation("get", SLOW_DOWN, 0, usize::MAX);
    download(&app.client, &id).await.assert_broken();
    // Bounded: the first and five tries.
    assert_eq!(app.proxy().count("get"), 6);
    let failed = app.metric("oriel_downloads_total{end=\"failed\"}").await;
    assert_eq!(failed, 1.0);
    app.finish().await;
}

#[tokio::test]
async fn answer_without_a_length_in_the_middle_is_asked_for_again() {
    let app = start().await;
    let bytes = content::bytes(4 * MIB);
    let id = app.client.upload(bytes.clone()).await;
    app.proxy()
        .fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    app.proxy()
        .fail_operation("get", Fault::EndAfter(MIB), 0, 1);
    let outcome = download(&app.client, &id).await;
    assert!(!outcome.broke && outcome.body == bytes);
    app.finish().await;
}

#[tokio::test]
async fn answer_that_claims_another_length_is_never_passed_on() {
    let app = start().await;
    let id = app.client.upload(content::bytes(4 * MIB)).await;
    app.proxy().fail_operation("get", Fault::Shorten(MIB), 0, 1);
    let answer = app.client.get(&file(&id)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    app.proxy()
        .fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    app.proxy()
        .fail_operation("get", Fault::Shorten(MIB), 0, usize::MAX);
    download(&app.client, &id).await.assert_broken();
    app.finish().await;
}

#[tokio::test]
async fn object_that_is_gone_is_404_and_not_an_empty_image() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(1000)).await;
    let key = app.bucket.keys().await.pop_first().unwrap();
    let s3 = &app.bucket.s3;
    let delete = s3.delete_object().bucket(&app.bucket.name).key(&key);
    delete.send().await.unwrap();
    for headers in [&[][..], &[("range", "bytes=0-9")]] {
        let answer = app.client.get_with(&file(&id), headers).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{headers:?}");
        assert!(answer.text().contains("could not be found in any store"));
    }
    assert_eq!(
        app.client.status(&id).await,
        "active",
        "an operator may bring it back"
    );
    app.client.delete(&format!("/v2/images/{id}")).await;
    app.finish().await;
}

#[tokio::test]
async fn image_in_a_store_that_is_no_longer_configured_is_503() {
    let mut app = TestApp::start().await;
    let id = app.client.upload(content::bytes(1000)).await;
    let moved = async |app: &TestApp, store: &str| {
        let database = app.database().await;
        let update = sqlx::query("UPDATE image_locations SET store = $1");
        let done = update.bind(store).execute(&database).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
        database.close().await;
    };
    app.shut_down().await;
    moved(&app, "gone").await;
    app.restart().await;
    let answer = app.client.get(&file(&id)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    app.shut_down().await;
    moved(&app, "main").await;
    app.restart().await;
    assert_eq!(app.client.get(&file(&id)).await.status, StatusCode::OK);
    app.finish().await;
}

/// Puts other bytes of the same length in the place of the only object.
async fn replace_object(app: &TestApp, length: u64) {
    let key = app.bucket.keys().await.pop_first().unwrap();
    let other = Bytes::from(vec![b'!'; usize::try_from(length).unwrap()]);
    let put = app.bucket.s3.put_object().bucket(&app.bucket.name);
    put.key(&key).body(other.into()).send().await.unwrap();
}

#[tokio::test]
async fn object_that_was_replaced_is_not_given_out_as_the_image() {
    let app = start().await;
    let id = app.client.upload(content::bytes(1000)).await;
    replace_object(&app, 1000).await;
    for headers in [&[][..], &[("range", "bytes=0-9")]] {
        let answer = app.client.get_with(&file(&id), headers).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{headers:?}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn object_that_is_replaced_in_the_middle_breaks_the_download() {
    let app = start().await;
    let id = app.client.upload(content::bytes(4 * MIB)).await;
    let release = Arc::new(Notify::new());
    app.proxy()
        .fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    app.proxy()
        .fail_operation("get", Fault::Hold(Arc::clone(&release)), 0, 1);
    let replacing = async {
        eventually("the download is about to resume", async || {
            (app.proxy().count("get") == 2).then_some(())
        })
        .await;
        replace_object(&app, 4 * MIB).await;
        release.notify_one();
    };
    let (outcome, ()) = tokio::join!(download(&app.client, &id), replacing);
    outcome.assert_broken();
    app.finish().await;
}

#[tokio::test]
async fn client_that_goes_away_leaves_nothing_running() {
    let app = TestApp::start().await;
    let size = 32 * MIB;
    let bytes = Bytes::from(vec![b'o'; usize::try_from(size).unwrap()]);
    let id = app.client.upload(bytes).await;
    let mut raw = app.client.raw().await;
    raw.write(format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", file(&id)))
        .await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(app.metric("oriel_downloads_in_flight").await, 1.0);
    drop(raw);
    eventually("the download is given up", async || {
        let cancelled = app.metric("oriel_downloads_total{end=\"cancelled\"}").await;
        (cancelled == 1.0).then_some(())
    })
    .await;
    assert_eq!(app.metric("oriel_downloads_in_flight").await, 0.0);
    app.finish().await;
}

#[tokio::test]
async fn client_that_takes_no_bytes_is_cut() {
    let app = TestApp::with(Options {
        server: "write_idle_timeout = \"1s\"".into(),
        ..Options::default()
    })
    .await;
    let size = 32 * MIB;
    let bytes = Bytes::from(vec![b'o'; usize::try_from(size).unwrap()]);
    let id = app.client.upload(bytes).await;
    let mut raw = app.client.raw().await;
    raw.write(format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", file(&id)))
        .await;
    raw.read_head().await;
    eventually("the client is cut", async || {
        (app.metric("oriel_downloads_in_flight").await == 0.0).then_some(())
    })
    .await;
    assert!((raw.read_to_close().await.len() as u64) < size);
    app.finish().await;
}
