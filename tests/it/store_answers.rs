//! A store is not believed: whatever an S3 server answers, an image that is active can be read, an upload that failed
//! leaves nothing, and a download gives the bytes that were asked for or none.
//!
//! Every operation in every mood of a server that answers as the test says. What the tables below expect is what the
//! client sees; what must hold in each case besides is in [`upload_in`] and [`download_in`].

use http::StatusCode;
use tokio::time::Instant;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, full};
use crate::support::scripted::Mood::{self, *};
use crate::support::scripted::ScriptedS3;
use crate::support::upload::MIB;
use crate::support::{content, eventually};

/// An upload of one request and one of two parts.
const SMALL: u64 = 2048;
const LARGE: u64 = 5 * MIB + 1;

const ALWAYS: usize = usize::MAX;

const OK: StatusCode = StatusCode::NO_CONTENT;
const AWAY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
const FULL: StatusCode = StatusCode::PAYLOAD_TOO_LARGE;

async fn start(keys: &str) -> (ScriptedS3, TestApp) {
    let s3 = ScriptedS3::start().await;
    let app = TestApp::with(Options {
        store: format!("part_size = \"5MiB\"\n{keys}"),
        endpoint: Some(s3.endpoint()),
        ..Options::default()
    })
    .await;
    (s3, app)
}

/// No retries below, so that a mood is met once; short limits.
const STRICT: &str = "retries = 0\nread_timeout = \"1s\"\ncomplete_timeout = \"1s\"";

async fn put(app: &TestApp, id: &str, size: u64) -> Answer {
    let body = full(content::bytes(size));
    app.client.put_file(id, &[], body).await
}

/// Time passes: what is to be removed is due.
async fn make_garbage_due(app: &TestApp) {
    let database = app.database().await;
    let due = sqlx::query("UPDATE garbage SET due_at = 0");
    due.execute(&database).await.unwrap();
    database.close().await;
}

/// An upload while the server is in a mood, and what has to be true afterwards however it went.
async fn upload_in(
    s3: &ScriptedS3,
    app: &mut TestApp,
    size: u64,
    what: &str,
    expected: StatusCode,
) {
    let id = app.client.create_image().await;
    let answer = put(app, &id, size).await;
    assert_eq!(answer.status, expected, "{what}: {}", answer.text());
    s3.heal();
    let image = app.client.image(&id).await;
    let path = format!("/v2/images/{id}/file");
    if expected == OK {
        assert_eq!(image["status"], "active", "{what}");
        let back = app.client.get(&path).await;
        assert_eq!(back.status, StatusCode::OK, "{what}: {}", back.text());
        assert!(back.body == content::bytes(size), "{what}: other bytes");
    } else {
        assert_eq!(image["status"], "queued", "{what}");
        assert!(
            image["size"].is_null() && image["checksum"].is_null(),
            "{what}"
        );
        assert_eq!(answer.header("retry-after").is_some(), expected == AWAY);
        // What could not be removed at once goes by the list.
        app.shut_down().await;
        make_garbage_due(app).await;
        app.restart().await;
        eventually(what, async || {
            let left = s3.holds();
            (!left.iter().any(|key| key.contains(&id))).then_some(())
        })
        .await;
        let again = put(app, &id, SMALL).await;
        assert_eq!(again.status, OK, "{what}, tried again");
    }
}

/// Moods of an operation, and what the client sees when the work was done, and when it was not.
async fn upload_moods(operation: &'static str, size: u64, rows: &[(Mood, StatusCode, StatusCode)]) {
    let (s3, mut app) = start(STRICT).await;
    for (mood, done, undone) in rows {
        s3.answer(operation, *mood, ALWAYS);
        let what = format!("{operation} done, answered {mood:?}");
        upload_in(&s3, &mut app, size, &what, *done).await;
        s3.answer_undone(operation, *mood, ALWAYS);
        let what = format!("{operation} not done, answered {mood:?}");
        upload_in(&s3, &mut app, size, &what, *undone).await;
    }
    app.finish().await;
}

/// What writes and is looked at afterwards: done is done, whatever is said of it.
const WRITTEN: &[(Mood, StatusCode, StatusCode)] = &[
    (StallInHead, OK, AWAY),
    (WeakEtag, OK, AWAY),
    (OtherEtag, OK, AWAY),
    (NoEtag, OK, AWAY),
    (EmptyEtag, OK, AWAY),
    (Undone, AWAY, AWAY),
    (Status(200, "InternalError"), OK, AWAY),
    (Status(307, "TemporaryRedirect"), OK, AWAY),
    (Status(400, "InvalidRequest"), OK, AWAY),
    (Status(403, "AccessDenied"), OK, AWAY),
    (Status(404, ""), OK, AWAY),
    (Status(429, ""), OK, AWAY),
    (Status(500, "InternalError"), OK, AWAY),
    (Status(503, "SlowDown"), OK, AWAY),
    (Status(507, ""), OK, FULL),
];

#[tokio::test]
async fn answer_of_put_object_is_not_believed() {
    upload_moods("put", SMALL, WRITTEN).await;
}

#[tokio::test]
async fn answer_of_a_completion_is_not_believed() {
    upload_moods("complete", LARGE, WRITTEN).await;
}

#[tokio::test]
async fn document_of_a_completion_is_not_believed() {
    let moods = [
        (Blanks, OK, AWAY),
        (Page, OK, AWAY),
        (ErrorUnder200, OK, AWAY),
        (Half, OK, AWAY),
        (Shorter, OK, AWAY),
        (StallInBody, OK, AWAY),
        (Trickle, OK, AWAY),
        (Status(404, "NoSuchUpload"), OK, AWAY),
    ];
    upload_moods("complete", LARGE, &moods).await;
}

#[tokio::test]
async fn object_that_is_not_what_was_sent_never_becomes_active() {
    let (s3, mut app) = start(STRICT).await;
    for (operation, size, mood) in [
        ("put", SMALL, Truncated),
        ("put", SMALL, Corrupted),
        ("complete", LARGE, Truncated),
    ] {
        s3.answer(operation, mood, ALWAYS);
        let what = format!("{operation} {mood:?}");
        upload_in(&s3, &mut app, size, &what, AWAY).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn answer_of_opening_an_upload_is_not_believed() {
    let moods = [
        Blanks,
        Page,
        ErrorUnder200,
        Half,
        StallInHead,
        StallInBody,
        Trickle,
        Status(307, "TemporaryRedirect"),
        Status(403, "AccessDenied"),
        Status(404, ""),
        Status(429, ""),
        Status(500, "InternalError"),
        Status(503, "SlowDown"),
    ]
    .map(|mood| (mood, AWAY, AWAY));
    upload_moods("create_upload", LARGE, &moods).await;
    upload_moods("create_upload", LARGE, &[(Status(507, ""), FULL, FULL)]).await;
}

#[tokio::test]
async fn answer_of_a_part_is_not_believed() {
    let moods = [
        NoEtag,
        EmptyEtag,
        StallInHead,
        Status(307, "TemporaryRedirect"),
        Status(404, ""),
        Status(429, ""),
        Status(500, "InternalError"),
        Status(503, "SlowDown"),
    ]
    .map(|mood| (mood, AWAY, AWAY));
    upload_moods("second_part", LARGE, &moods).await;
    upload_moods("second_part", LARGE, &[(Status(507, ""), FULL, FULL)]).await;
}

/// What is seen in passing is looked at again; what stays is not believed.
#[tokio::test]
async fn answer_of_the_look_before_active_is_not_believed() {
    let (s3, mut app) = start(STRICT).await;
    for (operation, size) in [("put", SMALL), ("complete", LARGE)] {
        for (mood, once, always) in [
            (WeakEtag, OK, OK),
            (NoEtag, OK, OK),
            (Longer, OK, AWAY),
            (Shorter, OK, AWAY),
            (Anonymous, OK, AWAY),
            (NoLength, OK, AWAY),
            (Status(404, ""), OK, AWAY),
            (Status(503, ""), AWAY, AWAY),
            (Status(403, ""), AWAY, AWAY),
            (Status(507, ""), AWAY, AWAY),
            (Status(307, ""), AWAY, AWAY),
            (StallInHead, AWAY, AWAY),
        ] {
            s3.answer("head", mood, 1);
            let what = format!("look after {operation} answered {mood:?} once");
            upload_in(&s3, &mut app, size, &what, once).await;
            s3.answer("head", mood, ALWAYS);
            let what = format!("look after {operation} answered {mood:?} always");
            upload_in(&s3, &mut app, size, &what, always).await;
        }
        s3.answer("head", OtherEtag, 1);
        let what = format!("look after {operation} answered OtherEtag once");
        upload_in(&s3, &mut app, size, &what, OK).await;
    }
    app.finish().await;
}

/// An abort or a removal that was not done stays on the list until the store has said so in its own words.
#[tokio::test]
async fn answer_of_a_removal_is_not_believed() {
    let (s3, mut app) = start(STRICT).await;
    for operation in ["abort", "delete"] {
        // No stall in the body: 204 has none.
        for mood in [
            StallInHead,
            Status(307, "TemporaryRedirect"),
            Status(403, "AccessDenied"),
            Status(404, ""),
            Status(429, ""),
            Status(500, "InternalError"),
            Status(503, "SlowDown"),
            Status(507, ""),
        ] {
            let what = format!("{operation} answered {mood:?}");
            let id = app.client.create_image().await;
            let before = s3.count(operation);
            s3.answer_undone(operation, mood, ALWAYS);
            // An upload that broke off, or an image that is deleted.
            if operation == "abort" {
                s3.answer_undone("second_part", Status(500, "InternalError"), ALWAYS);
                assert_eq!(put(&app, &id, LARGE).await.status, AWAY, "{what}");
            } else {
                assert_eq!(put(&app, &id, SMALL).await.status, OK, "{what}");
                let deleted = app.client.delete(&format!("/v2/images/{id}")).await;
                assert_eq!(deleted.status, OK, "{what}");
            }
            eventually("the removal was tried", async || {
                (s3.count(operation) > before).then_some(())
            })
            .await;
            app.shut_down().await;
            assert!(s3.holds().iter().any(|key| key.contains(&id)), "{what}");
            s3.heal();
            make_garbage_due(&app).await;
            app.restart().await;
            eventually(&what, async || {
                let left = s3.holds();
                (!left.iter().any(|key| key.contains(&id))).then_some(())
            })
            .await;
        }
    }
    app.finish().await;
}

/// A download while the server is in a mood once: the bytes that were asked for, or 503; never 404, 413 or others.
async fn download_in(
    s3: &ScriptedS3,
    app: &TestApp,
    id: &str,
    range: &str,
    mood: Mood,
    works: bool,
) {
    let path = format!("/v2/images/{id}/file");
    let what = format!("get {range:?} answered {mood:?}");
    s3.answer("get", mood, ALWAYS);
    let headers: &[(&str, &str)] = if range.is_empty() {
        &[]
    } else {
        &[("range", range)]
    };
    let answer = app.client.get_with(&path, headers).await;
    s3.heal();
    if works {
        assert!(answer.status.is_success(), "{what}: {}", answer.text());
        let bytes = match range {
            "" => content::bytes(SMALL),
            _ => content::slice(100, 100),
        };
        assert!(answer.body == bytes, "{what}: other bytes");
    } else {
        assert_eq!(answer.status, AWAY, "{what}: {}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{what}");
    }
    assert_eq!(app.client.status(id).await, "active", "{what}");
}

#[tokio::test]
async fn answer_of_a_download_is_not_believed() {
    let (s3, app) = start(STRICT).await;
    let id = app.client.upload(content::bytes(SMALL)).await;
    for (mood, range, whole) in [
        (ShiftedRange, false, true),
        (OtherTotal, false, true),
        (RangeUntold, false, true),
        (RangeIgnored, true, true),
        (Shorter, false, false),
        (Longer, false, false),
        (NoLength, false, false),
        (WeakEtag, true, true),
        (OtherEtag, false, false),
        (NoEtag, true, true),
        (EmptyEtag, true, true),
        (Gzip, false, false),
        (Page, false, false),
        (ErrorUnder200, false, false),
        (StallInHead, false, false),
        (Status(204, ""), false, false),
        (Status(304, ""), false, false),
        (Status(307, "TemporaryRedirect"), false, false),
        (Status(403, "AccessDenied"), false, false),
        (Status(403, "QuotaExceeded"), false, false),
        (Status(404, ""), false, false),
        (Status(404, "NoSuchBucket"), false, false),
        (Status(412, "PreconditionFailed"), false, false),
        (Status(416, "InvalidRange"), false, false),
        (Status(429, ""), false, false),
        (Status(500, "InternalError"), false, false),
        (Status(503, "SlowDown"), false, false),
        (Status(507, ""), false, false),
    ] {
        download_in(&s3, &app, &id, "bytes=100-199", mood, range).await;
        download_in(&s3, &app, &id, "", mood, whole).await;
    }
    // The one 404 that is one.
    s3.answer("get", Status(404, "NoSuchKey"), 1);
    let answer = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    app.finish().await;
}

/// The first answer breaks in the middle, and the answer to the resume is another than was asked for.
#[tokio::test]
async fn answer_of_a_resume_is_not_believed() {
    let (s3, app) = start(STRICT).await;
    let size = 2 * MIB;
    let id = app.client.upload(content::bytes(size)).await;
    for mood in [
        ShiftedRange,
        OtherTotal,
        RangeUntold,
        RangeIgnored,
        Shorter,
        Longer,
        NoLength,
        WeakEtag,
        OtherEtag,
        NoEtag,
        Gzip,
        Page,
        StallInHead,
        Status(404, ""),
        Status(429, ""),
        Status(507, ""),
    ] {
        s3.answer("get", Half, 1);
        s3.answer("get", mood, 1);
        let answer = app.client.get(&format!("/v2/images/{id}/file")).await;
        assert_eq!(answer.status, StatusCode::OK, "{mood:?}");
        assert!(answer.body == content::bytes(size), "{mood:?}: other bytes");
        s3.heal();
    }
    app.finish().await;
}

/// A weak ETag of the store, in every answer, at the upload and afterwards.
#[tokio::test]
async fn image_of_a_store_with_weak_etags_can_be_read() {
    let (s3, app) = start(STRICT).await;
    for operation in ["put", "complete", "head", "get"] {
        s3.answer(operation, WeakEtag, ALWAYS);
    }
    for size in [SMALL, LARGE] {
        let id = app.client.upload(content::bytes(size)).await;
        let path = format!("/v2/images/{id}/file");
        let range = [("range", "bytes=100-199")];
        assert!(app.client.get(&path).await.body == content::bytes(size));
        let part = app.client.get_with(&path, &range).await;
        assert_eq!(part.body, content::slice(100, 100));
    }
    app.finish().await;
}

#[tokio::test]
async fn answer_that_says_later_is_tried_again_and_not_before() {
    let (s3, app) = start("retries = 2").await;
    for status in [429, 503] {
        for (operation, size) in [
            ("put", SMALL),
            ("create_upload", LARGE),
            ("second_part", LARGE),
            ("complete", LARGE),
            ("head", SMALL),
        ] {
            s3.answer_undone(operation, RetryAfter(status), 1);
            let begun = Instant::now();
            app.client.upload(content::bytes(size)).await;
            let waited = begun.elapsed().as_secs_f64();
            assert!(waited >= 1.0, "{operation} {status} after {waited} s");
        }
    }
    app.finish().await;
}

/// Every try and all of them together have a limit, whatever of the answer came: here three of a second each.
#[tokio::test]
async fn silence_of_the_store_ends_in_bounded_time() {
    let limits = "retries = 2\nread_timeout = \"1s\"\ncomplete_timeout = \"1s\"";
    let (s3, mut app) = start(limits).await;
    for mood in [StallInHead, StallInBody, Trickle] {
        for (operation, tries) in [("create_upload", 3), ("complete", 3)] {
            s3.answer_undone(operation, mood, ALWAYS);
            let (begun, before) = (Instant::now(), s3.count(operation));
            let id = app.client.create_image().await;
            let answer = put(&app, &id, LARGE).await;
            assert_eq!(answer.status, AWAY, "{operation} {mood:?}");
            assert_eq!(s3.count(operation) - before, tries, "{operation} {mood:?}");
            let took = begun.elapsed().as_secs_f64();
            // Three tries, two pauses, and a machine that is busy.
            assert!(took < 20.0, "{operation} {mood:?}: {took} s");
            s3.heal();
        }
    }
    app.shut_down().await;
    make_garbage_due(&app).await;
    app.restart().await;
    app.finish().await;
}
