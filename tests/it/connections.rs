//! Connections: how many there may be, how fast answers are taken, and what each holds of memory.

use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncReadExt;

use crate::support::app::{Options, TestApp};
use crate::support::child::Server;
use crate::support::client::{Client, Raw};
use crate::support::content;
use crate::support::upload::MIB;

async fn limited(server: &str) -> TestApp {
    TestApp::with(Options {
        server: server.into(),
        ..Options::default()
    })
    .await
}

async fn begun_download(client: &Client, id: &str) -> Raw {
    let mut raw = client.raw().await;
    raw.write(format!(
        "GET /v2/images/{id}/file HTTP/1.1\r\nhost: x\r\n\r\n"
    ))
    .await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    raw
}

/// Reads so much each quarter of a second, to the end or until the connection breaks; gives the number of bytes.
async fn take(raw: &mut Raw, each: u64) -> u64 {
    let mut all = 0;
    let mut every = tokio::time::interval(Duration::from_millis(250));
    loop {
        every.tick().await;
        let mut some = Vec::new();
        let read = (&mut raw.0).take(each).read_to_end(&mut some).await;
        all += some.len() as u64;
        if read.is_err() || (some.len() as u64) < each {
            return all;
        }
    }
}

#[tokio::test]
async fn who_takes_an_answer_slower_than_the_rate_is_cut() {
    let app = limited("write_idle_timeout = \"3s\"\nmin_download_rate = \"4MiB\"").await;
    let size = 48 * MIB;
    let id = app.client.upload(content::bytes(size)).await;
    let (mut slow, mut quick) = (
        begun_download(&app.client, &id).await,
        begun_download(&app.client, &id).await,
    );
    // Neither pauses for long.
    let (of_slow, of_quick) = tokio::join!(take(&mut slow, MIB / 4), take(&mut quick, 2 * MIB));
    assert!(of_slow < size, "cut");
    assert_eq!(of_quick, size);
    app.finish().await;
}

#[tokio::test]
async fn the_oldest_idle_connection_makes_room_and_busy_ones_stay() {
    let app = limited("max_connections = 6").await;
    let id = app.client.upload(content::bytes(64 * MIB)).await;
    let mut download = begun_download(&app.client, &id).await;
    let mut silent = Vec::new();
    for n in 0..10 {
        let mut raw = app.client.raw().await;
        // Some have a part of a head.
        if n % 2 == 0 {
            raw.write("GET /versions HTTP/1.1\r\nhost: ").await;
        }
        silent.push(raw);
        // Those that are taken in come in this order.
        let answer = app.client.get("/versions").await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    silent[0].read_to_close().await;
    let mut rest = 0;
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, download.0.read_exact(&mut vec![0; 64 << 20]))
        .await
        .expect("a busy connection stays")
        .map(|read| rest += read)
        .unwrap();
    assert_eq!(rest, 64 << 20);
    drop(silent);
    app.finish().await;
}

#[tokio::test]
async fn when_all_connections_are_busy_the_next_waits_for_one_to_end() {
    let app = limited("max_connections = 2").await;
    let id = app.client.upload(content::bytes(64 * MIB)).await;
    let downloads = [
        begun_download(&app.client, &id).await,
        begun_download(&app.client, &id).await,
    ];
    let mut waiting = app.client.raw().await;
    waiting
        .write("GET /versions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    let early = tokio::time::timeout(Duration::from_millis(500), waiting.0.readable()).await;
    assert!(early.is_err(), "there is no place yet");
    drop(downloads);
    let answer = String::from_utf8(waiting.read_to_close().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn memory_of_unfinished_heads_is_bounded() {
    let (_dir, config) = super::operation::site("");
    let server = Server::start(&config).await;
    let before = server.resident_bytes();
    let mut head = b"GET /v2/images HTTP/1.1\r\nx-long: ".to_vec();
    head.resize(200_000, b'a');
    let mut open = Vec::new();
    for _ in 0..400 {
        let mut raw = server.client.raw().await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.0, &head[..31_000]).await;
        open.push(raw);
    }
    let answer = server.client.get("/versions").await;
    assert_eq!(answer.status, StatusCode::OK);
    let each = server.peak_bytes().saturating_sub(before) / 400;
    assert!(each < 80 * 1024, "{each}");
    // A head that does not fit is refused at once.
    let mut raw = server.client.raw().await;
    let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.0, &head).await;
    let answer = String::from_utf8_lossy(&raw.read_to_close().await).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    server.kill().await;
}
