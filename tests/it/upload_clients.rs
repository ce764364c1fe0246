//! Clients that vanish, lie, stall, or do not look for an early answer (contract 2.3, 2.5).

use std::process::Stdio;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::app::{Options, TestApp};
use crate::support::client::Raw;
use crate::support::content;
use crate::support::upload::{
    MIB, assert_nothing_is_left, assert_refused, fed, head, until_status,
};

#[derive(Debug, Clone, Copy)]
enum Goodbye {
    /// An ordinary close.
    Fin,
    /// A broken connection.
    Rst,
    /// The client sends no more but would still read an answer.
    HalfClose,
}

/// Begins an upload of `sent` bytes out of `length` (`None` is chunked) and ends the connection.
async fn send_and_leave(app: &TestApp, id: &str, length: Option<u64>, sent: u64, goodbye: Goodbye) {
    let mut raw = app.client.raw().await;
    match length {
        Some(length) => {
            raw.write(head(id, &[&format!("Content-Length: {length}")]))
                .await;
            raw.write(content::bytes(sent)).await;
        }
        None => {
            raw.write(head(id, &["Transfer-Encoding: chunked"])).await;
            write_chunk(&mut raw, &content::bytes(sent)).await;
        }
    }
    until_status(&app.client, id, "saving").await;
    match goodbye {
        Goodbye::Fin => {}
        Goodbye::Rst => raw.0.set_zero_linger().unwrap(),
        Goodbye::HalfClose => {
            raw.0.shutdown().await.unwrap();
            raw.read_to_close().await;
        }
    }
}

async fn write_chunk(raw: &mut Raw, bytes: &[u8]) {
    raw.write(format!("{:x}\r\n", bytes.len())).await;
    raw.write(bytes).await;
    raw.write("\r\n").await;
}

#[tokio::test]
async fn client_that_leaves_in_the_middle_leaves_a_queued_image_and_no_bytes() {
    let app = TestApp::start().await;
    for goodbye in [Goodbye::Fin, Goodbye::Rst, Goodbye::HalfClose] {
        for length in [Some(20 * MIB), None] {
            // Before the first part is full, and with parts in the store.
            for sent in [0, 10, 17 * MIB] {
                if (length, sent) == (None, 0) {
                    continue; // An empty chunk ends the body.
                }
                let id = app.client.create_image().await;
                send_and_leave(&app, &id, length, sent, goodbye).await;
                until_status(&app.client, &id, "queued").await;
                assert_nothing_is_left(&app, &id).await;
            }
        }
    }
    app.finish().await;
}

/// All bytes are there, but nothing says that they are all.
#[tokio::test]
async fn chunked_body_without_its_last_chunk_is_no_image() {
    let app = TestApp::start().await;
    for size in [MIB, 8 * MIB, 9 * MIB] {
        let id = app.client.create_image().await;
        send_and_leave(&app, &id, None, size, Goodbye::Fin).await;
        until_status(&app.client, &id, "queued").await;
        assert_nothing_is_left(&app, &id).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn chunked_body_with_broken_framing_is_no_image() {
    let app = TestApp::start().await;
    for garbage in [
        "zz\r\n",
        "\r\n",
        "fffffffffffffffffffff\r\n",
        "5\r\nabcdefg\r\n",
    ] {
        let id = app.client.create_image().await;
        let mut raw = app.client.raw().await;
        raw.write(head(&id, &["Transfer-Encoding: chunked"])).await;
        write_chunk(&mut raw, b"good").await;
        until_status(&app.client, &id, "saving").await;
        raw.write(garbage).await;
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{garbage:?}: {answer}"
        );
        until_status(&app.client, &id, "queued").await;
        assert_nothing_is_left(&app, &id).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn body_that_stalls_is_408_after_the_idle_limit() {
    let app = TestApp::with(Options {
        server: "body_idle_timeout = \"1s\"".into(),
        ..Options::default()
    })
    .await;
    for sent in [0, 1, 9] {
        let id = app.client.create_image().await;
        let (feed, body) = fed();
        let (answer, ()) = tokio::join!(app.client.put_file(&id, &[], body), async {
            for at in 0..sent {
                assert!(feed.send(content::slice(at * MIB, MIB)).await);
            }
        });
        assert_refused(
            &answer,
            StatusCode::REQUEST_TIMEOUT,
            "no image data came for 1s",
        );
        drop(feed);
        assert_nothing_is_left(&app, &id).await;
    }
    app.finish().await;
}

/// The heads of uploads that are refused early on `active`, each with its code.
fn refused_heads(active: &str, queued: &str, length: u64) -> [(String, u16); 4] {
    let length = format!("Content-Length: {length}");
    let wrong_type = head(queued, &[&length]).replace("application/octet-stream", "text/plain");
    [
        (head(active, &[&length]), 409),
        (head(queued, &[&length]), 413),
        (wrong_type, 415),
        (head("no-image", &[&length]), 404),
    ]
}

async fn capped() -> TestApp {
    TestApp::with(Options {
        tables: "[images]\nsize_cap = \"64MiB\"\n".into(),
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn client_that_expects_100_gets_a_refusal_in_its_place() {
    let app = capped().await;
    let active = app.client.upload(content::bytes(5)).await;
    let queued = app.client.create_image().await;
    for (head, code) in refused_heads(&active, &queued, 100 * MIB) {
        let mut raw = app.client.raw().await;
        let head = head.replacen("\r\n", "\r\nExpect: 100-continue\r\n", 1);
        raw.write(head).await;
        // Nothing of the body is sent, so the end of the answer must not wait for it.
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
    }
    assert_nothing_is_left(&app, &queued).await;
    app.finish().await;
}

/// Most Python clients: they would see a broken pipe if nobody read what they send.
#[tokio::test]
async fn client_that_sends_its_whole_body_before_it_reads_sees_the_refusal() {
    let app = capped().await;
    let active = app.client.upload(content::bytes(5)).await;
    let queued = app.client.create_image().await;
    let piece = content::bytes(MIB);
    for (head, code) in refused_heads(&active, &queued, 100 * MIB) {
        let mut raw = app.client.raw().await;
        raw.write(head).await;
        for _ in 0..100 {
            raw.write(&piece).await;
        }
        let answer = raw.read_head().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    }
    // The same when the refusal comes in the middle.
    let mut raw = app.client.raw().await;
    raw.write(head(&queued, &["Transfer-Encoding: chunked"]))
        .await;
    for _ in 0..100 {
        write_chunk(&mut raw, &piece).await;
    }
    raw.write("0\r\n\r\n").await;
    let answer = raw.read_head().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_nothing_is_left(&app, &queued).await;
    app.finish().await;
}

#[tokio::test]
async fn connection_ends_in_order_after_a_refusal_whose_long_body_was_sent() {
    let app = capped().await;
    let active = app.client.upload(content::bytes(5)).await;
    let queued = app.client.create_image().await;
    for (head, code) in refused_heads(&active, &queued, 70 * MIB) {
        let mut raw = app.client.raw().await;
        raw.write(head).await;
        for at in 0..70 {
            raw.write(content::slice(at * MIB, MIB)).await;
        }
        let answer = raw.read_head().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        let (_, length) = answer.split_once("content-length: ").unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut rest = Vec::new();
        raw.0.read_to_end(&mut rest).await.expect("no reset");
        assert_eq!(rest.len(), length);
    }
    app.finish().await;
}

#[tokio::test]
async fn refused_client_that_neither_sends_nor_leaves_is_let_go() {
    let app = TestApp::start().await;
    let active = app.client.upload(content::bytes(5)).await;
    let mut raw = app.client.raw().await;
    raw.write(head(&active, &[&format!("Content-Length: {MIB}")]))
        .await;
    let closed = tokio::time::timeout(crate::support::DEADLINE, raw.read_to_close()).await;
    let answer = String::from_utf8(closed.expect("the connection ends")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    app.finish().await;
}

/// What glanceclient and others are built on, in its own process.
const URLLIB: &str = r#"
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], data=bytes(100 * 1024 * 1024), method="PUT",
                                 headers={"Content-Type": sys.argv[2]})
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"#;

#[tokio::test]
async fn python_client_sees_the_refusal_and_not_a_broken_pipe() {
    let app = capped().await;
    let active = app.client.upload(content::bytes(5)).await;
    let queued = app.client.create_image().await;
    for (id, content_type, code) in [
        (&active, "application/octet-stream", "409"),
        (&queued, "application/octet-stream", "413"),
        (&queued, "text/plain", "415"),
    ] {
        let url = format!("http://{}/v2/images/{id}/file", app.client.addr);
        let output = tokio::process::Command::new("python3")
            .args(["-c", URLLIB, &url, content_type])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let output = match output {
            Ok(output) => output,
            Err(e) => {
                eprintln!("SKIPPED: no python3 here: {e}");
                break;
            }
        };
        let (printed, failed) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(printed.trim(), code, "{failed}");
    }
    assert_nothing_is_left(&app, &queued).await;
    app.finish().await;
}
