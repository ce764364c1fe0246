//! Bodies that are no image data: bounded in time and, all together, in memory.

use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Client, Raw, full};
use crate::support::tokens::Tokens;
use crate::support::{DEADLINE, eventually};

const LENGTH: usize = 1024 * 1024;

/// A POST that stops one byte short.
async fn unfinished(client: &Client, token: &str) -> Raw {
    let mut raw = client.raw().await;
    let head = format!(
        "POST /v2/images HTTP/1.1\r\nhost: x\r\nx-auth-token: {token}\r\naccept: application/json\r\n\
         content-length: {LENGTH}\r\n\r\n"
    );
    raw.write(head).await;
    let mut body = br#"{"name":""#.to_vec();
    body.resize(LENGTH - 1, b'a');
    // One that is refused meanwhile does not take all of it.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.0, &body).await;
    raw
}

#[tokio::test]
async fn a_body_that_does_not_end_is_408() {
    let app = TestApp::with(Options {
        server: "json_timeout = \"1s\"".into(),
        ..Options::default()
    })
    .await;
    let mut raw = unfinished(&app.client, "none").await;
    let answer = String::from_utf8(raw.read_to_close().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    assert!(
        answer.contains("\"code\":\"408 Request Timeout\""),
        "{answer}"
    );
    app.finish().await;
}

/// No byte of it comes: the answer follows from the head.
#[tokio::test]
async fn a_body_that_is_announced_too_long_is_413_at_once() {
    let app = TestApp::with(Options {
        server: "json_timeout = \"1h\"".into(),
        ..Options::default()
    })
    .await;
    let id = app.client.create_image().await;
    let patch = format!(
        "PATCH /v2/images/{id} HTTP/1.1\r\ncontent-type: application/openstack-images-v2.1-json-patch\r\n"
    );
    for start in ["POST /v2/images HTTP/1.1\r\n", patch.as_str()] {
        for expect in ["", "expect: 100-continue\r\n"] {
            let mut raw = app.client.raw().await;
            let length = LENGTH + 1;
            raw.write(format!(
                "{start}host: x\r\n{expect}content-length: {length}\r\n\r\n"
            ))
            .await;
            let head = tokio::time::timeout(DEADLINE, raw.read_head()).await;
            let head = head.expect("an answer without the body");
            assert!(head.starts_with("HTTP/1.1 413 "), "{start}{expect}{head}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_body() {
    let mut app = TestApp::start().await;
    let mut raw = unfinished(&app.client, "none").await;
    let begun = Instant::now();
    app.shut_down().await;
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    let answer = String::from_utf8(raw.read_to_close().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    app.restart().await;
    app.finish().await;
}

#[tokio::test]
async fn a_project_that_lets_bodies_lie_keeps_nobody_else_out() {
    let tokens = Tokens::new();
    let mut app = tokens
        .start(Options {
            server: "json_timeout = \"25s\"".into(),
            ..Options::default()
        })
        .await;
    let mut lying = Vec::new();
    for _ in 0..60 {
        lying.push(unfinished(&app.client, "member-token").await);
    }
    let other = app.client.with_token("stranger-token");
    let long = json!({"name": "x", "note": "y".repeat(60_000), "more": "z".repeat(200_000)});
    let begun = Instant::now();
    for _ in 0..5 {
        let answer = other.post_json("/v2/images", &long).await;
        assert!(
            matches!(
                answer.status,
                StatusCode::CREATED | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE
            ),
            "{}",
            answer.text()
        );
    }
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    // Some of the bodies that lie have made room.
    let mut refused = 0;
    for raw in &mut lying {
        let mut first = [0; 12];
        let answered = std::time::Duration::from_millis(10);
        let read = tokio::io::AsyncReadExt::read_exact(&mut raw.0, &mut first);
        if matches!(tokio::time::timeout(answered, read).await, Ok(Ok(_))) {
            assert_eq!(&first[9..], b"503");
            refused += 1;
        }
    }
    assert!(refused > 0);
    drop(lying);
    app.shut_down().await;
}

/// The memory that a process of its own needs for `load` beyond what it has at rest.
async fn growth(load: impl AsyncFnOnce(&Client)) -> u64 {
    let (_dir, config) = super::operation::site("");
    let server = crate::support::child::Server::start(&config).await;
    server.client.create(&json!({"name": "n"})).await;
    let before = server.resident_bytes();
    load(&server.client).await;
    let grown = server.peak_bytes().saturating_sub(before);
    server.kill().await;
    grown
}

/// What they may claim together, and what connections of so many clients take besides.
#[tokio::test]
async fn memory_of_all_bodies_together_is_bounded() {
    let grown = growth(async |client| {
        let mut lying = Vec::new();
        for _ in 0..400 {
            lying.push(unfinished(client, "none").await);
        }
        eventually("the service goes on", async || {
            let answer = client.post_json("/v2/images", &json!({"name": "n"})).await;
            (answer.status == StatusCode::CREATED).then_some(())
        })
        .await;
    })
    .await;
    assert!(grown < 120 * 1024 * 1024, "{grown}");
}

/// A list of zeros is a hundred times as large once it is parsed.
#[tokio::test]
async fn memory_of_what_bodies_are_parsed_into_is_bounded() {
    let zeros = |count: usize| {
        let list = vec!["0"; count].join(",");
        format!("{{\"member\":\"p\",\"more\":[{list}]}}")
    };
    let grown = growth(async |client| {
        let id = client.create_image().await;
        let path = format!("/v2/images/{id}/members");
        let post = async |body: String| {
            let path = path.as_str();
            client.send(Method::POST, path, &[], full(body)).await
        };
        let refused = post(zeros(500_000)).await;
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(refused.text().contains("values"), "{}", refused.text());
        let many = (0..60).map(|_| post(zeros(70_000)));
        let mut made = 0;
        for answer in futures_util::future::join_all(many).await {
            match answer.status {
                StatusCode::OK => made += 1,
                StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => {}
                other => panic!("{other} {}", answer.text()),
            }
        }
        assert_eq!(made, 1);
    })
    .await;
    assert!(grown < 120 * 1024 * 1024, "{grown}");
}
