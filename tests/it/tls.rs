//! TLS on the listener: certificates that change, clients' certificates, and clients that do not shake hands.

use std::path::PathBuf;

use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::app::{Options, TestApp};
use crate::support::authority::Authority;
use crate::support::{content, eventually};

/// The files of a site.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new(authority: &Authority) -> Self {
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let (certificate, key) = authority.issue();
        files.write("server.key", &key);
        files.write("server.crt", &certificate);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    async fn start(&self, more: &str) -> TestApp {
        let (certificate, key) = (self.path("server.crt"), self.path("server.key"));
        TestApp::with(Options {
            server: format!(
                "tls_certificate = {:?}\ntls_key = {:?}\n{more}",
                certificate.display().to_string(),
                key.display().to_string()
            ),
            ..Options::default()
        })
        .await
    }
}

async fn connect(app: &TestApp, client: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(app.client.addr).await?;
    client
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

/// Sends a request and reads to the end of the connection.
async fn ask(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

async fn versions(app: &TestApp, client: &TlsConnector) -> std::io::Result<String> {
    let mut stream = connect(app, client).await?;
    let request = b"GET /versions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    ask(&mut stream, request)
        .await
        .map(|answer| String::from_utf8_lossy(&answer).into_owned())
}

/// Ends a site whose plain client cannot ask anything.
async fn end(mut app: TestApp) {
    app.shut_down().await;
}

#[tokio::test]
async fn images_go_up_and_down_by_tls_and_urls_say_so() {
    let authority = Authority::new("a");
    let files = Files::new(&authority);
    let app = files.start("").await;
    let client = authority.client(None);
    let answer = versions(&app, &client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"https://localhost/v2/\""), "{answer}");

    let id = "11111111-2222-4333-8444-555555555555";
    let body =
        format!("{{\"id\": \"{id}\", \"disk_format\": \"raw\", \"container_format\": \"bare\"}}");
    let data = content::bytes(9 << 20);
    let mut create = connect(&app, &client).await.unwrap();
    let head = format!(
        "POST /v2/images HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let made = ask(&mut create, head.as_bytes()).await.unwrap();
    let made = String::from_utf8_lossy(&made).into_owned();
    assert!(
        made.contains(&format!("location: https://localhost/v2/images/{id}")),
        "{made}"
    );
    let mut upload = connect(&app, &client).await.unwrap();
    let head = format!(
        "PUT /v2/images/{id}/file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        data.len()
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    let put = ask(&mut upload, &data).await.unwrap();
    assert!(
        put.starts_with(b"HTTP/1.1 204"),
        "{}",
        String::from_utf8_lossy(&put)
    );
    let mut download = connect(&app, &client).await.unwrap();
    let head = format!(
        "GET /v2/images/{id}/file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    );
    let got = ask(&mut download, head.as_bytes()).await.unwrap();
    assert!(got.ends_with(&data), "the bytes come back whole");
    end(app).await;
}

#[tokio::test]
async fn a_changed_certificate_is_served_to_new_connections_and_a_broken_one_is_not() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = Files::new(&old);
    let app = files.start("").await;
    let mut standing = connect(&app, &old.client(None)).await.unwrap();
    let stranger = versions(&app, &new.client(None)).await;
    assert!(stranger.is_err(), "an unknown authority");

    // One of two files: a pair that does not fit.
    let (certificate, key) = new.issue();
    files.write("server.crt", &certificate);
    eventually("the half-changed pair has been looked at", async || {
        // A look is good for a second; until the next one, and after it, the old certificate is served.
        assert!(versions(&app, &old.client(None)).await.is_ok());
        files
            .path("server.crt")
            .metadata()
            .unwrap()
            .modified()
            .unwrap()
            .elapsed()
            .unwrap()
            .as_millis()
            .ge(&1500)
            .then_some(())
    })
    .await;
    files.write("server.key", &key);
    eventually("the new certificate is served", async || {
        versions(&app, &new.client(None)).await.ok()
    })
    .await;
    assert!(versions(&app, &old.client(None)).await.is_err());
    let request = b"GET /versions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = ask(&mut standing, request).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "a connection that stands goes on"
    );
    end(app).await;
}

#[tokio::test]
async fn clients_show_a_certificate_where_the_site_asks_for_one() {
    let (authority, clients, others) = (
        Authority::new("a"),
        Authority::new("c"),
        Authority::new("o"),
    );
    let files = Files::new(&authority);
    files.write("clients.pem", &clients.pem);
    let ca = files.path("clients.pem").display().to_string();
    let app = files.start(&format!("tls_client_ca = {ca:?}\n")).await;
    assert!(
        versions(&app, &authority.client(Some(&clients)))
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
    for refused in [authority.client(None), authority.client(Some(&others))] {
        // With TLS 1.3 a client learns of the refusal when it reads.
        assert!(versions(&app, &refused).await.is_err());
    }
    end(app).await;
}

#[tokio::test]
async fn clients_that_do_not_shake_hands_hold_up_nobody_and_are_cut() {
    let authority = Authority::new("a");
    let files = Files::new(&authority);
    let app = files.start("header_timeout = \"1s\"\n").await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(app.client.addr).await.unwrap());
    }
    assert!(versions(&app, &authority.client(None)).await.is_ok());
    let mut plain = app.client.raw().await;
    plain.write("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let answer = plain.read_to_close().await;
    assert!(!answer.starts_with(b"HTTP"), "plain HTTP is no TLS");
    for mut stream in silent {
        let mut end = Vec::new();
        let closed =
            tokio::time::timeout(crate::support::DEADLINE, stream.read_to_end(&mut end)).await;
        assert!(closed.is_ok(), "cut after the time limit");
    }
    end(app).await;
}

#[tokio::test]
async fn check_and_start_tell_what_is_wrong_with_the_files() {
    use crate::support::child::oriel;
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let files = Files::new(&authority);
    let (_, key) = other.issue();
    let good_key = std::fs::read_to_string(files.path("server.key")).unwrap();
    let config = files.path("oriel.toml");
    let text = format!(
        "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\ntls_certificate = {:?}\ntls_key = {:?}\n[metrics]\nlisten = \"off\"\n\
         [catalog]\npath = {:?}\n[embedded]\ndata_dir = {:?}\n[store.main]\nendpoint = \"embedded\"\n",
        files.path("server.crt"),
        files.path("server.key"),
        files.path("catalog.sqlite"),
        files.path("store")
    );
    std::fs::write(&config, text).unwrap();
    for (key, ok) in [(key.as_str(), false), ("no key", false), (&good_key, true)] {
        files.write("server.key", key);
        let checked = oriel(&["check", "--config", config.to_str().unwrap()]).await;
        assert_eq!(checked.status.success(), ok, "{}", checked.stdout);
        assert_eq!(
            checked.stdout.contains("FAULT tls"),
            !ok,
            "{}",
            checked.stdout
        );
        assert!(!checked.stdout.contains("PRIVATE"), "{}", checked.stdout);
    }
}
