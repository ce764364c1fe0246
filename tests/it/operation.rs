//! Starting, stopping and watching the service.

use std::path::Path;

use bytes::Bytes;
use http::StatusCode;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::app::{Options, TestApp};
use crate::support::child::{Server, oriel};
use crate::support::client::{Client, Raw};
use crate::support::proxy::{Fault, FaultProxy};
use crate::support::store::Embedded;
use crate::support::{content, eventually};

const MIB: u64 = 1024 * 1024;

fn file(id: &str) -> String {
    format!("/v2/images/{id}/file")
}

/// A configuration with everything inside, in a folder of its own.
pub(crate) fn site(more: &str) -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("oriel.toml");
    let text = format!(
        "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n[catalog]\npath = {:?}\n\
         [embedded]\ndata_dir = {:?}\n[store.main]\nendpoint = \"embedded\"\n{more}",
        dir.path().join("catalog.sqlite"),
        dir.path().join("store"),
    );
    std::fs::write(&config, text).unwrap();
    (dir, config)
}

/// Begins an upload of `size` bytes and sends the first half.
async fn half_an_upload(client: &Client, id: &str, size: u64) -> Raw {
    let mut raw = client.raw().await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: {size}\r\n\r\n",
        file(id)
    );
    raw.write(head).await;
    raw.write(content::bytes(size / 2)).await;
    eventually("the upload has begun", async || {
        (client.status(id).await == "saving").then_some(())
    })
    .await;
    raw
}

/// Begins a download and takes the head of the answer only.
async fn begun_download(client: &Client, id: &str) -> Raw {
    let mut raw = client.raw().await;
    raw.write(format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", file(id)))
        .await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    raw
}

async fn refuses_connections(client: &Client) {
    eventually("new connections are refused", async || {
        TcpStream::connect(client.addr).await.is_err().then_some(())
    })
    .await;
}

/// More than the buffers of every socket on the way.
fn large() -> Bytes {
    Bytes::from(vec![b'o'; 32 * usize::try_from(MIB).unwrap()])
}

#[tokio::test]
async fn stop_lets_transfers_finish_and_refuses_new_connections() {
    let mut app = TestApp::start().await;
    let (uploading, downloading) = (
        app.client.create_image().await,
        app.client.upload(large()).await,
    );
    let mut upload = half_an_upload(&app.client, &uploading, 4 * MIB).await;
    let mut download = begun_download(&app.client, &downloading).await;
    app.signal_stop();
    refuses_connections(&app.client).await;
    let rest = content::slice(2 * MIB, 2 * MIB);
    let (head, body) = tokio::join!(
        async {
            upload.write(rest).await;
            upload.read_head().await
        },
        download.read_to_close()
    );
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    assert_eq!(body.len(), large().len());
    assert!(upload.read_to_close().await.is_empty(), "no more requests");
    app.shut_down().await;
    app.restart().await;
    let kept = app.client.get(&file(&uploading)).await;
    assert_eq!(kept.body, content::bytes(4 * MIB));
    app.finish().await;
}

#[tokio::test]
async fn after_the_grace_uploads_are_rolled_back_and_downloads_break() {
    let mut app = TestApp::with(Options {
        server: "drain_grace = \"1s\"".into(),
        ..Options::default()
    })
    .await;
    let (uploading, downloading) = (
        app.client.create_image().await,
        app.client.upload(large()).await,
    );
    // Several parts are in the store already when the time is up.
    let mut upload = half_an_upload(&app.client, &uploading, 40 * MIB).await;
    let mut download = begun_download(&app.client, &downloading).await;
    app.shut_down().await;
    let head = upload.read_head().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.to_lowercase().contains("retry-after: 5\r\n"), "{head}");
    assert!(download.read_to_close().await.len() < large().len());
    app.restart().await;
    assert_eq!(app.client.status(&uploading).await, "queued");
    assert!(app.bucket.open_uploads().await.is_empty());
    assert_eq!(app.client.status(&downloading).await, "active");
    app.finish().await;
}

#[tokio::test]
async fn without_grace_transfers_are_cut_at_once() {
    let mut app = TestApp::with(Options {
        server: "drain_grace = \"0s\"".into(),
        ..Options::default()
    })
    .await;
    let id = app.client.create_image().await;
    let _upload = half_an_upload(&app.client, &id, 4 * MIB).await;
    app.shut_down().await;
    app.restart().await;
    assert_eq!(app.client.status(&id).await, "queued");
    app.finish().await;
}

#[tokio::test]
async fn before_the_stop_the_service_is_not_ready_and_still_answers() {
    let mut app = TestApp::with(Options {
        server: "drain_delay = \"2s\"".into(),
        ..Options::default()
    })
    .await;
    let id = app.client.create_image().await;
    let mut upload = half_an_upload(&app.client, &id, 4 * MIB).await;
    let begun = tokio::time::Instant::now();
    app.signal_stop();
    eventually("readiness turns false", async || {
        let health = app.client.get("/healthcheck").await;
        (health.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    upload.write(content::slice(2 * MIB, 2 * MIB)).await;
    let head = upload.read_head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 204 "), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    // On a new connection, as clients do.
    let mut next = app.client.raw().await;
    next.write(format!("GET /v2/images/{id} HTTP/1.1\r\nhost: x\r\n\r\n"))
        .await;
    let answer = String::from_utf8(next.read_to_close().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    assert_eq!(app.scrape().await.status, StatusCode::OK);
    app.shut_down().await;
    assert!(begun.elapsed().as_secs() >= 2, "{:?}", begun.elapsed());
    app.restart().await;
    app.finish().await;
}

#[tokio::test]
async fn metrics_are_served_while_transfers_end() {
    let mut app = TestApp::start().await;
    let id = app.client.create_image().await;
    let mut upload = half_an_upload(&app.client, &id, 4 * MIB).await;
    app.signal_stop();
    refuses_connections(&app.client).await;
    assert!(
        app.scrape()
            .await
            .text()
            .contains("oriel_uploads_in_flight 1")
    );
    upload.write(content::slice(2 * MIB, 2 * MIB)).await;
    let head = upload.read_head().await;
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    app.shut_down().await;
    app.restart().await;
    app.finish().await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_stop() {
    let mut app = TestApp::with(Options {
        server: "drain_grace = \"20s\"".into(),
        ..Options::default()
    })
    .await;
    let mut kept = app.client.raw().await;
    kept.write("GET /versions HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    kept.read_head().await;
    let mut silent = app.client.raw().await;
    let begun = tokio::time::Instant::now();
    app.shut_down().await;
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    kept.read_to_close().await;
    silent.read_to_close().await;
    app.restart().await;
    app.finish().await;
}

#[tokio::test]
async fn client_that_sends_no_request_is_cut() {
    let app = TestApp::with(Options {
        server: "header_timeout = \"1s\"".into(),
        ..Options::default()
    })
    .await;
    let mut silent = app.client.raw().await;
    let mut slow = app.client.raw().await;
    slow.write("GET /versions HTTP/1.1\r\nhost: ").await;
    let mut kept = app.client.raw().await;
    kept.write("GET /healthcheck HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    let answer = String::from_utf8(kept.read_to_close().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for raw in [&mut silent, &mut slow] {
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn store_that_hangs_does_not_delay_the_stop() {
    let mut app = TestApp::with_faults().await;
    let id = app.client.upload(content::bytes(1000)).await;
    // What the jobs of the next start will wait for: the bucket, and a removal.
    app.proxy()
        .fail_operation("delete", Fault::Refuse, 0, usize::MAX);
    let gone = app.client.delete(&format!("/v2/images/{id}")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    app.shut_down().await;
    let database = app.database().await;
    let moved = sqlx::query("UPDATE garbage SET due_at = 0");
    assert_eq!(moved.execute(&database).await.unwrap().rows_affected(), 1);
    database.close().await;
    app.proxy().heal();
    app.proxy().fail(|_, _| true, Fault::Hang, 0, usize::MAX);
    let asked = app.proxy().seen().len();
    app.restart().await;
    eventually("the jobs wait for the store", async || {
        (app.proxy().count("delete") > 0 && app.proxy().seen().len() > asked + 1).then_some(())
    })
    .await;
    let begun = tokio::time::Instant::now();
    app.shut_down().await;
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    app.proxy().heal();
    app.restart().await;
    app.finish().await;
}

#[tokio::test]
async fn store_that_is_away_at_the_start_keeps_nothing_down_but_itself() {
    let embedded = Embedded::start().await;
    let endpoint = embedded.endpoint();
    let away = FaultProxy::start(&endpoint.url).await;
    away.fail(|_, _| true, Fault::Hang, 0, usize::MAX);
    let begun = tokio::time::Instant::now();
    let app = TestApp::with(Options {
        top: "auth = \"none\"\ndefault_store = \"main\"".into(),
        tables: format!(
            "[store.away]\nendpoint = {:?}\nbucket = \"second\"\naccess_key = {:?}\nsecret_key = {:?}\n\
             profile = \"embedded\"\ncreate_bucket = true\nread_timeout = \"1s\"\nretries = 0\n",
            away.url(),
            endpoint.access_key,
            endpoint.secret_key
        ),
        endpoint: Some(endpoint.clone()),
        ..Options::default()
    })
    .await;
    let id = app.client.upload(content::bytes(1000)).await;
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    assert_eq!(app.client.get(&file(&id)).await.body, content::bytes(1000));
    let there = app.client.create_image().await;
    let headers = [("x-image-meta-store", "away")];
    let put = async || {
        let body = crate::support::client::full("data");
        app.client.put_file(&there, &headers, body).await.status
    };
    assert_eq!(put().await, StatusCode::SERVICE_UNAVAILABLE);
    away.heal();
    eventually("its bucket is made once it is back", async || {
        (put().await == StatusCode::NO_CONTENT).then_some(())
    })
    .await;
    app.client.delete(&format!("/v2/images/{there}")).await;
    app.finish().await;
    embedded.server.stop().await;
}

#[tokio::test]
async fn restart_keeps_records_and_data() {
    let mut app = TestApp::start().await;
    let id = app.client.upload(content::bytes(9 * MIB)).await;
    let before = app.client.image(&id).await;
    app.restart().await;
    assert_eq!(app.client.image(&id).await, before);
    assert_eq!(
        app.client.get(&file(&id)).await.body,
        content::bytes(9 * MIB)
    );
    app.finish().await;
}

#[tokio::test]
async fn metrics_are_open_metrics_text_on_a_listener_of_their_own() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(1000)).await;
    app.client.get(&file(&id)).await;
    let answer = app.scrape().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.text().ends_with("# EOF\n"));
    for (name, value) in [
        ("oriel_upload_bytes_total", 1000.0),
        ("oriel_download_bytes_total", 1000.0),
        ("oriel_uploads_total{outcome=\"active\"}", 1.0),
        ("oriel_downloads_total{end=\"complete\"}", 1.0),
        (
            "oriel_requests_total{method=\"PUT\",route=\"/v2/images/{image_id}/file\",status=\"204\"}",
            1.0,
        ),
        (
            "oriel_store_calls_total{store=\"main\",operation=\"put_object\",outcome=\"ok\"}",
            1.0,
        ),
    ] {
        assert_eq!(app.metric(name).await, value, "{name}");
    }
    assert_eq!(
        app.client.get("/metrics").await.status,
        StatusCode::MULTIPLE_CHOICES,
        "not on the API's listener"
    );
    app.finish().await;
}

#[tokio::test]
async fn binary_drains_at_sigterm_and_serves_again_what_it_had() {
    let (_dir, config) = site("");
    let server = Server::start(&config).await;
    let client = server.client.clone();
    let id = client.create_image().await;
    let mut upload = half_an_upload(&client, &id, 4 * MIB).await;
    server.terminate().await;
    refuses_connections(&client).await;
    upload.write(content::slice(2 * MIB, 2 * MIB)).await;
    let head = upload.read_head().await;
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("draining") && log.contains("stopped"), "{log}");

    let server = Server::start(&config).await;
    let kept = server.client.get(&file(&id)).await;
    assert_eq!(kept.body, content::bytes(4 * MIB));
    server.terminate().await;
    assert!(server.ended().await.0.success());
}

#[tokio::test]
async fn second_process_on_one_catalog_or_embedded_store_is_refused() {
    let (dir, config) = site("");
    let (elsewhere, other_config) = site("");
    let server = Server::start(&config).await;
    // Each of the two with a folder of its own for the rest.
    let text = std::fs::read_to_string(&other_config).unwrap();
    let (own, taken) = (
        elsewhere.path().to_str().unwrap(),
        dir.path().to_str().unwrap(),
    );
    for (key, name) in [("path", "catalog.sqlite"), ("data_dir", "store")] {
        let shared = text.replace(
            &format!("{key} = \"{own}/{name}\""),
            &format!("{key} = \"{taken}/{name}\""),
        );
        assert_ne!(shared, text);
        std::fs::write(&other_config, shared).unwrap();
        let second = oriel(&["serve", "--config", other_config.to_str().unwrap()]).await;
        assert_eq!(second.status.code(), Some(1), "{key}");
        assert!(
            second.stderr.contains("by another process"),
            "{}",
            second.stderr
        );
        assert!(
            second.stderr.contains(&format!("{taken}/{name}")),
            "{}",
            second.stderr
        );
    }
    assert_eq!(server.client.get("/v2/images").await.status, StatusCode::OK);
    server.terminate().await;
    assert!(server.ended().await.0.success());
}

async fn check(config: &Path) -> crate::support::child::Output {
    oriel(&["check", "--config", config.to_str().unwrap()]).await
}

#[tokio::test]
async fn check_of_a_good_configuration_exits_with_0() {
    let (_dir, config) = site("");
    let output = check(&config).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for line in [
        "ok    configuration",
        "ok    identity",
        "ok    catalog",
        "ok    store.main",
    ] {
        assert!(output.stdout.contains(line), "{}", output.stdout);
    }
    assert!(!output.stdout.contains("FAULT"), "{}", output.stdout);
}

#[tokio::test]
async fn check_names_every_fault_of_the_file_and_exits_with_1() {
    let (_dir, config) = site("part_size = \"1MiB\"\nretry = 3\n[transfer]\nlease = \"soon\"\n");
    let output = check(&config).await;
    assert_eq!(output.status.code(), Some(1));
    for key in ["store.main.part_size", "store.main.retry", "transfer.lease"] {
        assert!(output.stdout.contains(key), "{}", output.stdout);
    }
    let serve = oriel(&["serve", "--config", config.to_str().unwrap()]).await;
    assert_eq!(serve.status.code(), Some(1), "nor does it serve");
    assert!(serve.stderr.contains("transfer.lease"), "{}", serve.stderr);
}

#[tokio::test]
async fn check_finds_what_only_the_start_would_find() {
    let (_dir, config) = site("part_size = \"5MiB\"\n[images]\nsize_cap = \"5TiB\"\n");
    let output = check(&config).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        output.stdout.contains("transfer.memory_budget"),
        "{}",
        output.stdout
    );
    let serve = oriel(&["serve", "--config", config.to_str().unwrap()]).await;
    assert!(
        serve.stderr.contains("transfer.memory_budget"),
        "{}",
        serve.stderr
    );
}

#[tokio::test]
async fn check_finds_a_store_that_is_away() {
    let (_dir, config) = site(
        "[store.away]\nendpoint = \"http://127.0.0.1:9\"\nbucket = \"b\"\naccess_key = \"a\"\nsecret_key = \"s\"\nretries = 0\n",
    );
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("default_store = \"main\"\n{text}")).unwrap();
    let output = check(&config).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        output.stdout.contains("ok    store.main"),
        "{}",
        output.stdout
    );
    assert!(
        output.stdout.contains("FAULT store.away"),
        "{}",
        output.stdout
    );
}

#[tokio::test]
async fn help_names_every_command() {
    let output = oriel(&["--help"]).await;
    assert_eq!(output.status.code(), Some(0));
    for word in ["serve", "dev", "check", "metadefs", "Usage"] {
        assert!(output.stdout.contains(word), "{}", output.stdout);
    }
    for command in ["serve", "check"] {
        let help = oriel(&[command, "--help"]).await;
        assert!(help.stdout.contains("--config <FILE>"), "{command}");
    }
    let bare = oriel(&[]).await;
    assert_eq!(bare.status.code(), Some(2));
    assert!(bare.stderr.contains("Usage"), "{}", bare.stderr);
}
