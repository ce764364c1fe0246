//! Bodies that are no image data: bounded in time and, all together, in memory.

use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Client, Raw};
use crate::support::eventually;
use crate::support::tokens::Tokens;

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

#[tokio::test]
async fn memory_of_all_bodies_together_is_bounded() {
    let (_dir, config) = super::operation::site("");
    let server = crate::support::child::Server::start(&config).await;
    let before = server.resident_bytes();
    let mut lying = Vec::new();
    for _ in 0..200 {
        lying.push(unfinished(&server.client, "none").await);
    }
    eventually("the service goes on", async || {
        let answer = server
            .client
            .post_json("/v2/images", &json!({"name": "n"}))
            .await;
        (answer.status == StatusCode::CREATED).then_some(())
    })
    .await;
    let grown = server.peak_bytes().saturating_sub(before);
    assert!(grown < 120 * 1024 * 1024, "{grown}");
    server.kill().await;
}
