//! Uploads at once: none of them holds what the others need, be it memory or quota.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use tokio::sync::Notify;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Raw, full};
use crate::support::proxy::Fault;
use crate::support::tokens::Tokens;
use crate::support::upload::{MIB, assert_is_clean, chunked_of, fed, head, until_status};
use crate::support::{content, eventually};

const ALWAYS: usize = 1000;

/// A socket that takes nothing for so long is full.
const SILENCE: Duration = Duration::from_millis(500);

/// Tokens of two projects, where there are tokens.
const BUSY: &str = "member-token";
const IDLE: &str = "stranger-token";

/// Memory for four parts.
fn four_parts(transfer: &str, server: &str) -> Options {
    Options {
        tables: format!(
            "[images]\nsize_cap = \"1GiB\"\n[transfer]\nmemory_budget = \"20MiB\"\n{transfer}\n"
        ),
        store: "part_size = \"5MiB\"".into(),
        server: server.into(),
        faults: true,
        ..Options::default()
    }
}

async fn in_use(app: &TestApp) -> f64 {
    app.metric("oriel_memory_in_use_bytes").await
}

/// Begins an upload of so many bytes and sends the first of them.
async fn begun(app: &TestApp, id: &str, declared: u64, sent: u64) -> Raw {
    let mut raw = app.client.raw().await;
    let length = format!("Content-Length: {declared}");
    let token = format!("X-Auth-Token: {BUSY}");
    raw.write(head(id, &[&length, &token])).await;
    raw.write(content::slice(0, sent)).await;
    raw
}

#[tokio::test]
async fn a_trickle_holds_next_to_nothing_and_ends_with_408() {
    let app = TestApp::with(four_parts(
        "",
        "body_idle_timeout = \"3s\"\nmin_upload_rate = \"64KiB\"",
    ))
    .await;
    let mut slow = Vec::new();
    for _ in 0..32 {
        let id = app.client.create_image().await;
        slow.push((begun(&app, &id, 512 * MIB, 1).await, id));
    }
    for (_, id) in &slow {
        until_status(&app.client, id, "saving").await;
    }
    assert!(in_use(&app).await <= 32.0 * 64.0 * 1024.0);
    let id = app.client.create_image().await;
    let answer = app.client.put_file(&id, &[], chunked_of(11 * MIB)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());

    // A byte each quarter of a second never pauses for long, and is too slow all the same.
    let ends = slow.into_iter().map(async |(mut raw, id)| {
        let mut every = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                ready = raw.0.readable() => break ready.unwrap(),
                _ = every.tick() => raw.write(b"x").await,
            }
        }
        let answer = raw.read_head().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        until_status(&app.client, &id, "queued").await;
    });
    join_all(ends).await;
    assert_eq!(in_use(&app).await, 0.0);
    app.finish().await;
}

#[tokio::test]
async fn a_part_that_is_not_filled_while_others_wait_ends_with_408() {
    let tokens = Tokens::new();
    let app = tokens
        .start(four_parts("memory_timeout = \"4s\"", ""))
        .await;
    // They fill the memory with halves of parts and fall silent.
    let mut slow = Vec::new();
    let busy = app.client.with_token(BUSY);
    for _ in 0..5 {
        let id = busy.create_image().await;
        slow.push((begun(&app, &id, 512 * MIB, 4 * MIB).await, id));
    }
    eventually("memory is short", async || {
        (in_use(&app).await >= 15.0 * MIB as f64).then_some(())
    })
    .await;
    let idle = app.client.with_token(IDLE);
    let uploads = (0..3).map(async |_| {
        let id = idle.create_image().await;
        let answer = idle.put_file(&id, &[], chunked_of(11 * MIB)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    });
    join_all(uploads).await;
    let mut ended = 0;
    for (mut raw, id) in slow {
        if app.client.status(&id).await == "queued" {
            let answer = raw.read_head().await;
            assert!(
                answer.starts_with("HTTP/1.1 408 ") || answer.starts_with("HTTP/1.1 503 "),
                "{answer}"
            );
            ended += 1;
        }
    }
    assert!(ended > 0, "nobody gave way");
    app.finish().await;
}

#[tokio::test]
async fn who_waits_for_memory_is_told_to_come_again() {
    let app = TestApp::with(four_parts("memory_timeout = \"2s\"", "")).await;
    let release = Arc::new(Notify::new());
    app.proxy()
        .fail_operation("part", Fault::Hold(Arc::clone(&release)), 0, ALWAYS);
    let uploads = (0..8).map(async |_| {
        let id = app.client.create_image().await;
        (
            app.client.put_file(&id, &[], chunked_of(11 * MIB)).await,
            id,
        )
    });
    let watched = async {
        eventually("some were told", async || {
            (app.metric("oriel_uploads_total{outcome=\"failed\"}").await >= 4.0).then_some(())
        })
        .await;
        app.proxy().heal();
        eventually("the others go on", async || {
            release.notify_waiters();
            (app.metric("oriel_uploads_in_flight").await == 0.0).then_some(())
        })
        .await;
    };
    let (answers, ()) = tokio::join!(join_all(uploads), watched);
    let mut passed = 0;
    for (answer, id) in answers {
        if answer.status == StatusCode::NO_CONTENT {
            passed += 1;
            continue;
        }
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.header("retry-after").is_some());
        assert_is_clean(&app, &id).await;
    }
    assert!(passed > 0, "none passed");
    assert_eq!(in_use(&app).await, 0.0);
    app.finish().await;
}

/// Lets uploads into a store that takes nothing hold all memory while `waiting` goes on; then nothing is left of them.
async fn while_memory_is_short(app: TestApp, waiting: impl AsyncFnOnce(&TestApp)) {
    let release = Arc::new(Notify::new());
    app.proxy()
        .fail_operation("part", Fault::Hold(Arc::clone(&release)), 0, ALWAYS);
    let enough = Notify::new();
    let uploads = (0..6).map(async |_| {
        let id = app.client.create_image().await;
        tokio::select! {
            _ = app.client.put_file(&id, &[], chunked_of(11 * MIB)) => panic!("the store holds it"),
            () = enough.notified() => {}
        }
    });
    let watched = async {
        eventually("memory is short", async || {
            (in_use(&app).await >= 15.0 * MIB as f64).then_some(())
        })
        .await;
        waiting(&app).await;
        enough.notify_waiters();
    };
    tokio::join!(join_all(uploads), watched);
    app.proxy().heal();
    eventually("all have ended", async || {
        release.notify_waiters();
        (app.metric("oriel_uploads_in_flight").await == 0.0).then_some(())
    })
    .await;
    assert_eq!(in_use(&app).await, 0.0);
    app.finish().await;
}

#[tokio::test]
async fn who_leaves_while_it_waits_for_memory_is_noticed() {
    let app = TestApp::with(four_parts("", "")).await;
    while_memory_is_short(app, async |app| {
        let id = app.client.create_image().await;
        let raw = begun(app, &id, 100_000, 1000).await;
        until_status(&app.client, &id, "saving").await;
        drop(raw);
        until_status(&app.client, &id, "queued").await;
    })
    .await;
}

/// What a client has sent hides from the service, which does not read it then, that the connection is broken.
#[tokio::test]
async fn who_resets_its_connection_while_it_waits_for_memory_is_noticed() {
    let app = TestApp::with(four_parts("", "")).await;
    while_memory_is_short(app, async |app| {
        let id = app.client.create_image().await;
        let raw = begun(app, &id, 100 * MIB, 0).await;
        // As much as the sockets take: the service reads no more.
        let more = content::slice(0, MIB);
        while tokio::time::timeout(SILENCE, raw.0.writable())
            .await
            .is_ok()
        {
            let _ = raw.0.try_write(&more);
        }
        until_status(&app.client, &id, "saving").await;
        raw.0.set_zero_linger().unwrap();
        drop(raw);
        let noticed = until_status(&app.client, &id, "queued");
        let noticed = tokio::time::timeout(Duration::from_secs(5), noticed).await;
        noticed.expect("the memory of a client that has gone is waited for");
    })
    .await;
}

/// Six fit, whatever the thirty reserve on their way.
#[tokio::test]
async fn as_many_uploads_of_unknown_size_pass_as_fit_the_quota() {
    let app = TestApp::with(Options {
        tables: "[images]\nuser_storage_quota = \"20MiB\"".into(),
        ..Options::default()
    })
    .await;
    let uploads = (0..30).map(async |_| {
        let id = app.client.create_image().await;
        let (feed, body) = fed();
        let feeding = async {
            for at in 0..48 {
                feed.send(content::slice(at * 64 * 1024, 64 * 1024)).await;
            }
            drop(feed);
        };
        let (answer, ()) = tokio::join!(app.client.put_file(&id, &[], body), feeding);
        (answer.status, id)
    });
    let mut passed = 0;
    for (status, id) in join_all(uploads).await {
        if status == StatusCode::NO_CONTENT {
            passed += 1;
        } else {
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_is_clean(&app, &id).await;
        }
    }
    assert_eq!(passed, 6);
    // What is left is not lost to anybody.
    let id = app.client.create_image().await;
    let rest = app
        .client
        .put_file(&id, &[], full(content::bytes(2 * MIB)))
        .await;
    assert_eq!(rest.status, StatusCode::NO_CONTENT, "{}", rest.text());
    let id = app.client.create_image().await;
    let more = app
        .client
        .put_file(&id, &[], full(Bytes::from_static(b"x")))
        .await;
    assert_eq!(more.status, StatusCode::PAYLOAD_TOO_LARGE);
    app.finish().await;
}
