//! Ranges of every form, and bytes that must never be those of another object.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::Notify;

use std::sync::Arc;

use crate::stores::{PART, Subject};
use crate::support::app::TestApp;
use crate::support::client::full;
use crate::support::proxy::Fault;
use crate::support::{content, eventually};

pub async fn ranges_cross_the_borders_of_parts(subject: &Subject) {
    let app = subject.app().await;
    let size = 2 * PART + 3;
    let id = app.client.upload(content::bytes(size)).await;
    let path = format!("/v2/images/{id}/file");
    for (range, first, last) in [
        (
            format!("bytes={}-{}", PART - 10, PART + 9),
            PART - 10,
            PART + 9,
        ),
        (
            format!("bytes={}-{}", PART - 1, PART - 1),
            PART - 1,
            PART - 1,
        ),
        (format!("bytes={PART}-{PART}"), PART, PART),
        (format!("bytes={PART}-{}", 2 * PART - 1), PART, 2 * PART - 1),
        (format!("bytes=1-{}", 2 * PART), 1, 2 * PART),
        ("bytes=0-0".to_owned(), 0, 0),
        (format!("bytes={}-", 2 * PART - 1), 2 * PART - 1, size - 1),
        (
            format!("bytes={}-{}", size - 1, size + 1000),
            size - 1,
            size - 1,
        ),
        ("bytes=-5".to_owned(), size - 5, size - 1),
        (format!("bytes=-{}", size + 5), 0, size - 1),
        ("bytes=0-".to_owned(), 0, size - 1),
    ] {
        let part = app.client.get_with(&path, &[("range", &range)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(
            part.header("content-range"),
            Some(format!("bytes {first}-{last}/{size}").as_str())
        );
        assert!(
            part.body == content::slice(first, last - first + 1),
            "{range}: other bytes"
        );
    }
    let beyond = format!("bytes={size}-");
    let refused = app.client.get_with(&path, &[("range", &beyond)]).await;
    assert_eq!(refused.status, StatusCode::RANGE_NOT_SATISFIABLE);
    subject.finish(app).await;
}

/// Puts other bytes of the same length where the image's object is.
async fn replace_object(app: &TestApp, size: u64) {
    let keys = app.bucket.keys().await;
    assert_eq!(keys.len(), 1, "{keys:?}");
    for key in keys {
        app.bucket.put(&key, content::slice(1, size)).await;
    }
}

pub async fn object_replaced_before_the_download_is_not_served(subject: &Subject) {
    let app = subject.app().await;
    let size = PART + 7;
    let id = app.client.upload(content::bytes(size)).await;
    replace_object(&app, size).await;
    let path = format!("/v2/images/{id}/file");
    for headers in [&[][..], &[("range", "bytes=0-9")]] {
        let refused = app.client.get_with(&path, headers).await;
        assert_eq!(
            refused.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{}",
            refused.text()
        );
    }
    subject.finish(app).await;
}

pub async fn object_replaced_during_the_download_is_not_mixed_in(subject: &Subject) {
    let app = subject.app_with_faults().await;
    let size = 2 * PART;
    let id = app.client.upload(content::bytes(size)).await;
    let proxy = app.proxy();
    let resume = Arc::new(Notify::new());
    proxy.fail_operation("get", Fault::ResetAfter(PART), 0, 1);
    proxy.fail_operation("get", Fault::Hold(Arc::clone(&resume)), 0, 1);

    let path = format!("/v2/images/{id}/file");
    let opened = app.client.open(Method::GET, &path, &[], full("")).await;
    let opened = opened.unwrap();
    assert_eq!(opened.status(), StatusCode::OK);
    let replacing = async {
        eventually("the download is resumed", async || {
            (proxy.count("get") == 2).then_some(())
        })
        .await;
        replace_object(&app, size).await;
        resume.notify_one();
    };
    let ((received, ended), ()) = tokio::join!(read_all(opened.into_body()), replacing);
    assert!(ended.is_err(), "the body ended as if it were whole");
    assert!(received.len() < 2 * PART as usize);
    assert!(
        received == content::bytes(received.len() as u64),
        "bytes of the other object were mixed in"
    );
    subject.finish(app).await;
}

/// The bytes that came, and how the body ended.
async fn read_all(mut body: hyper::body::Incoming) -> (Bytes, Result<(), hyper::Error>) {
    let mut received = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => received.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(e) => return (received.into(), Err(e)),
        }
    }
    (received.into(), Ok(()))
}
