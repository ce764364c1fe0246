//! Uploads while the store breaks, on the wire (contract 2.4): what a retry mends is not seen, the rest is 503 or 413,
//! and nothing stays behind.

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::Notify;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, full};
use crate::support::proxy::Fault;
use crate::support::upload::{
    MIB, assert_nothing_is_left, assert_refused, chunked_of, head, make_garbage_due, until_status,
};
use crate::support::{content, eventually};

/// An upload of one request and one of two parts; the second part is a byte.
const SMALL: u64 = MIB;
const LARGE: u64 = 8 * MIB + 1;

/// More often than anything is tried.
const ALWAYS: usize = 1000;

fn slow_down() -> Fault {
    Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")
}

fn internal_error() -> Fault {
    Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
}

async fn without_retries() -> TestApp {
    TestApp::with(Options {
        store: "retries = 0\nread_timeout = \"1s\"\ncomplete_timeout = \"1s\"".into(),
        faults: true,
        ..Options::default()
    })
    .await
}

async fn upload(app: &TestApp, id: &str, size: u64) -> Answer {
    app.client
        .put_file(id, &[], full(content::bytes(size)))
        .await
}

/// The image is active and its bytes are the ones sent.
async fn assert_is_whole(app: &TestApp, id: &str, size: u64) {
    let image = app.client.image(id).await;
    assert_eq!(
        (&image["status"], &image["size"]),
        (&"active".into(), &size.into())
    );
    let back = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(back.status, StatusCode::OK);
    assert!(back.body == content::bytes(size), "other bytes came back");
}

fn assert_is_unavailable(answer: &Answer) {
    assert_refused(answer, StatusCode::SERVICE_UNAVAILABLE, "not available now");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[tokio::test]
async fn request_that_fails_in_passing_is_sent_again_from_memory() {
    let app = TestApp::with_faults().await;
    let proxy = app.proxy();
    for fault in [internal_error(), slow_down(), Fault::Refuse] {
        for (operation, size, requests) in [
            ("put", SMALL, 1),
            ("create_upload", LARGE, 1),
            ("part", LARGE, 2),
            ("complete", LARGE, 1),
        ] {
            let before = proxy.count(operation);
            proxy.fail_operation(operation, fault.clone(), 0, 2);
            let id = app.client.create_image().await;
            let answer = upload(&app, &id, size).await;
            assert_eq!(
                answer.status,
                StatusCode::NO_CONTENT,
                "{operation} {fault:?}: {}",
                answer.text()
            );
            assert_eq!(
                proxy.count(operation) - before,
                requests + 2,
                "{operation} {fault:?}"
            );
            assert_is_whole(&app, &id, size).await;
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn store_that_fails_longer_than_the_retries_is_503_with_retry_after() {
    let app = TestApp::with_faults().await;
    let proxy = app.proxy();
    for (operation, size) in [
        ("put", SMALL),
        ("create_upload", LARGE),
        ("part", LARGE),
        ("complete", LARGE),
    ] {
        proxy.fail_operation(operation, slow_down(), 0, ALWAYS);
        let id = app.client.create_image().await;
        let answer = upload(&app, &id, size).await;
        assert_is_unavailable(&answer);
        proxy.heal();
        assert_nothing_is_left(&app, &id).await;
    }
    app.finish().await;
}

/// The store did the work and nobody heard: the object itself tells.
#[tokio::test]
async fn upload_whose_last_answer_is_lost_is_found_by_looking() {
    let app = without_retries().await;
    let proxy = app.proxy();
    for (operation, size) in [("put", SMALL), ("complete", LARGE)] {
        proxy.fail_operation(operation, Fault::LoseAnswer, 0, 1);
        let looked = proxy.count("head");
        let id = app.client.create_image().await;
        let answer = upload(&app, &id, size).await;
        assert_eq!(
            answer.status,
            StatusCode::NO_CONTENT,
            "{operation}: {}",
            answer.text()
        );
        assert_eq!(proxy.count("head") - looked, 1, "{operation}");
        assert_is_whole(&app, &id, size).await;
    }
    app.finish().await;
}

/// The second CompleteMultipartUpload finds no upload any more, since the first has done it.
#[tokio::test]
async fn retry_of_a_completion_that_was_done_is_no_failure() {
    let app = TestApp::with_faults().await;
    let proxy = app.proxy();
    let unknown = Fault::Answer(StatusCode::NOT_FOUND, "NoSuchUpload");
    proxy.fail_operation("complete", Fault::LoseAnswer, 0, 1);
    proxy.fail_operation("complete", unknown, 0, 1);
    let id = app.client.create_image().await;
    let answer = upload(&app, &id, LARGE).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    assert_eq!(proxy.count("complete"), 2);
    assert_is_whole(&app, &id, LARGE).await;
    app.finish().await;
}

/// Nobody can say whether the object is there: the upload fails, and what may be there is removed later.
#[tokio::test]
async fn upload_whose_outcome_cannot_be_found_out_is_503_and_removed() {
    let app = without_retries().await;
    let proxy = app.proxy();
    for (operation, size) in [("put", SMALL), ("complete", LARGE)] {
        proxy.fail_operation(operation, Fault::LoseAnswer, 0, 1);
        proxy.fail_operation("head", slow_down(), 0, ALWAYS);
        let id = app.client.create_image().await;
        let answer = upload(&app, &id, size).await;
        assert_is_unavailable(&answer);
        proxy.heal();
        assert_nothing_is_left(&app, &id).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn full_store_is_413() {
    let app = TestApp::with_faults().await;
    let proxy = app.proxy();
    for (status, code) in [
        (StatusCode::INSUFFICIENT_STORAGE, "XMinioStorageFull"),
        (StatusCode::INSUFFICIENT_STORAGE, "Anything"),
        (StatusCode::FORBIDDEN, "QuotaExceeded"),
    ] {
        for (operation, size) in [
            ("put", SMALL),
            ("create_upload", LARGE),
            ("part", LARGE),
            ("complete", LARGE),
        ] {
            proxy.fail_operation(operation, Fault::Answer(status, code), 0, ALWAYS);
            let id = app.client.create_image().await;
            let answer = upload(&app, &id, size).await;
            assert_refused(
                &answer,
                StatusCode::PAYLOAD_TOO_LARGE,
                "Image storage media is full",
            );
            proxy.heal();
            assert_nothing_is_left(&app, &id).await;
        }
    }
    app.finish().await;
}

/// The client may be right and can do nothing about it: not its 403.
#[tokio::test]
async fn store_that_denies_access_is_503() {
    let app = TestApp::with_faults().await;
    let proxy = app.proxy();
    for (operation, size) in [("put", SMALL), ("create_upload", LARGE), ("part", LARGE)] {
        let denied = Fault::Answer(StatusCode::FORBIDDEN, "AccessDenied");
        proxy.fail_operation(operation, denied, 0, ALWAYS);
        let id = app.client.create_image().await;
        let answer = upload(&app, &id, size).await;
        assert_is_unavailable(&answer);
        proxy.heal();
        assert_nothing_is_left(&app, &id).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn store_that_hangs_is_503_after_the_time_limit() {
    let app = without_retries().await;
    let proxy = app.proxy();
    for (operation, size) in [
        ("put", 10),
        ("create_upload", LARGE),
        ("second part", LARGE),
        ("complete", LARGE),
    ] {
        match operation {
            // A part's limit grows with its size, and this one is a byte.
            "second part" => {
                proxy.fail(
                    |_, path| path.contains("partNumber=2"),
                    Fault::Hang,
                    0,
                    ALWAYS,
                );
            }
            operation => proxy.fail_operation(operation, Fault::Hang, 0, ALWAYS),
        }
        let id = app.client.create_image().await;
        let answer = upload(&app, &id, size).await;
        assert_is_unavailable(&answer);
        proxy.heal();
        assert_nothing_is_left(&app, &id).await;
    }
    app.finish().await;
}

/// A client that still sends learns of the store's failure at once.
#[tokio::test]
async fn failure_of_the_store_ends_the_upload_before_the_body_does() {
    let app = without_retries().await;
    app.proxy().fail_operation("part", slow_down(), 0, ALWAYS);
    let id = app.client.create_image().await;
    let (feed, body) = crate::support::upload::fed();
    let (answer, ()) = tokio::join!(app.client.put_file(&id, &[], body), async {
        for at in 0..9 {
            assert!(feed.send(content::slice(at * MIB, MIB)).await);
        }
    });
    assert_is_unavailable(&answer);
    drop(feed);
    app.proxy().heal();
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn bytes_that_could_not_be_removed_are_removed_later() {
    let mut app = without_retries().await;
    let id = app.client.create_image().await;
    app.proxy()
        .fail_operation("complete", slow_down(), 0, ALWAYS);
    app.proxy().fail_operation("abort", slow_down(), 0, ALWAYS);
    assert_is_unavailable(&upload(&app, &id, LARGE).await);
    until_status(&app.client, &id, "queued").await;
    eventually("the removal was tried", async || {
        (app.proxy().count("abort") > 0).then_some(())
    })
    .await;
    assert_eq!(app.bucket.open_uploads().await.len(), 1);
    app.shut_down().await;
    app.proxy().heal();
    make_garbage_due(&app).await;
    app.restart().await;
    eventually("the parts are gone", async || {
        app.bucket.open_uploads().await.is_empty().then_some(())
    })
    .await;
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

/// The client leaves while the store opens a multipart upload, so the roll-back cannot find it yet.
#[tokio::test]
async fn multipart_upload_that_is_opened_after_the_roll_back_is_aborted() {
    let app = TestApp::with_faults().await;
    let release = Arc::new(Notify::new());
    app.proxy()
        .fail_operation("create_upload", Fault::Hold(Arc::clone(&release)), 0, 1);
    let id = app.client.create_image().await;
    let mut raw = app.client.raw().await;
    raw.write(head(&id, &["Content-Length: 20971520"])).await;
    raw.write(content::bytes(9 * MIB)).await;
    eventually("the store is asked for an upload", async || {
        (app.proxy().count("create_upload") == 1).then_some(())
    })
    .await;
    drop(raw);
    until_status(&app.client, &id, "queued").await;
    eventually("what may be there is removed", async || {
        (app.proxy().count("delete") == 1).then_some(())
    })
    .await;
    release.notify_one();
    eventually("the late upload is aborted", async || {
        (app.proxy().count("abort") == 1).then_some(())
    })
    .await;
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

/// The store took the bytes, did not answer in time, and stores the object when the attempt has long been given up.
#[tokio::test]
async fn object_that_appears_after_the_roll_back_is_removed_too() {
    let mut app = without_retries().await;
    let id = app.client.create_image().await;
    app.proxy().fail_operation("put", Fault::Hang, 0, 1);
    assert_is_unavailable(&upload(&app, &id, SMALL).await);
    eventually("what may be there is removed", async || {
        (app.proxy().count("delete") > 0).then_some(())
    })
    .await;
    let seen = app.proxy().seen();
    let key = seen
        .iter()
        .filter_map(|line| line.strip_prefix("PUT /images/")?.split('?').next())
        .find(|key| key.starts_with(&id))
        .unwrap();
    let late = app.bucket.s3.put_object().bucket("images").key(key);
    late.body(content::bytes(SMALL).into())
        .send()
        .await
        .unwrap();
    app.shut_down().await;
    make_garbage_due(&app).await;
    app.restart().await;
    eventually("the late object is gone", async || {
        app.bucket.keys().await.is_empty().then_some(())
    })
    .await;
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

/// Eight uploads want eight parts and more; the budget holds four.
#[tokio::test]
async fn uploads_into_a_slow_store_stay_within_the_memory_budget() {
    let app = TestApp::with(Options {
        tables: "[images]\nsize_cap = \"1GiB\"\n[transfer]\nmemory_budget = \"20MiB\"\n".into(),
        store: "part_size = \"5MiB\"".into(),
        faults: true,
        ..Options::default()
    })
    .await;
    let release = Arc::new(Notify::new());
    app.proxy()
        .fail_operation("part", Fault::Hold(Arc::clone(&release)), 0, ALWAYS);
    let budget = app.metric("oriel_memory_budget_bytes").await;
    assert_eq!(budget, 20.0 * 1024.0 * 1024.0);

    let size = 11 * MIB;
    let one = async || {
        let id = app.client.create_image().await;
        let answer = app.client.put_file(&id, &[], chunked_of(size)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
        id
    };
    let uploads = futures_util::future::join_all((0..8).map(|_| one()));
    let watched = async {
        let mut full = 0;
        eventually(
            "the budget is used up while the store holds back",
            async || {
                let used = app.metric("oriel_memory_in_use_bytes").await;
                assert!(used <= budget, "{used} of {budget} bytes");
                // Seen again and again, so that an upload without a claim had the time to show. Less than a part may stay
                // unused: what is left of the reserve is for a whole one.
                full += usize::from(used > budget - (5 * MIB) as f64);
                (full > 20).then_some(())
            },
        )
        .await;
        app.proxy().heal();
        eventually("every upload has ended", async || {
            release.notify_waiters();
            let used = app.metric("oriel_memory_in_use_bytes").await;
            assert!(used <= budget, "{used} of {budget} bytes");
            (app.metric("oriel_uploads_total{outcome=\"active\"}").await == 8.0).then_some(())
        })
        .await;
    };
    let (ids, ()) = tokio::join!(uploads, watched);
    for id in ids {
        assert_is_whole(&app, &id, size).await;
    }
    app.finish().await;
}
