//! Messages of HTTP: what is refused before anybody looks at what it asks for, and how answers end a connection.

use http::StatusCode;

use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::content;
use crate::support::tokens::Tokens;

/// The head of the answer to a message, in lower case.
async fn head_of(client: &Client, message: &str) -> String {
    let mut raw = client.raw().await;
    raw.write(message).await;
    raw.read_head().await.to_lowercase()
}

fn status(head: &str) -> &str {
    &head[9..12]
}

#[tokio::test]
async fn http_1_1_needs_one_host() {
    let app = TestApp::start().await;
    for (message, expected) in [
        ("GET /v2/images HTTP/1.1\r\n\r\n", "400"),
        (
            "GET /v2/images HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "400",
        ),
        (
            "GET /v2/images HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "400",
        ),
        (
            "GET /v2/images HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            "400",
        ),
        ("GET /v2/images HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        ("GET http://a/v2/images HTTP/1.1\r\n\r\n", "400"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "400"),
        ("GET /nowhere HTTP/1.1\r\n\r\n", "400"),
        ("GET /v2/images HTTP/1.0\r\n\r\n", "200"),
        ("GET /v2/images HTTP/1.1\r\nHost:\r\n\r\n", "200"),
        ("GET /v2/images HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
        ("GET http://a/v2/images HTTP/1.1\r\nHost: b\r\n\r\n", "200"),
    ] {
        let head = head_of(&app.client, message).await;
        assert_eq!(status(&head), expected, "{message}{head}");
        let closes = expected == "400" || message.contains("HTTP/1.0");
        assert!(
            !closes || head.contains("connection: close") || head.starts_with("http/1.0"),
            "{message}{head}"
        );
    }
    // The target's own host goes before the header.
    let head = head_of(
        &app.client,
        "GET http://target.example/v2 HTTP/1.1\r\nHost: header.example\r\n\r\n",
    )
    .await;
    assert!(
        head.contains("location: http://target.example/v2/"),
        "{head}"
    );
    app.finish().await;
}

#[tokio::test]
async fn codings_that_are_not_implemented_are_501_and_store_nothing() {
    let app = TestApp::start().await;
    for codings in ["gzip, chunked", "deflate,chunked", "identity, chunked"] {
        let id = app.client.create_image().await;
        let message = format!(
            "PUT /v2/images/{id}/file HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n\
             Transfer-Encoding: {codings}\r\n\r\n4\r\ndata\r\n0\r\n\r\n"
        );
        let head = head_of(&app.client, &message).await;
        assert_eq!(status(&head), "501", "{codings}: {head}");
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(app.client.status(&id).await, "queued");
    }
    app.finish().await;
}

#[tokio::test]
async fn image_data_of_http_1_0_without_a_length_is_411() {
    let app = TestApp::start().await;
    for (version, expected, after) in [("1.0", "411", "queued"), ("1.1", "204", "active")] {
        let id = app.client.create_image().await;
        let message = format!(
            "PUT /v2/images/{id}/file HTTP/{version}\r\nHost: a\r\nContent-Type: application/octet-stream\r\n\
             Connection: close\r\n\r\n"
        );
        let head = head_of(&app.client, &message).await;
        assert_eq!(status(&head), expected, "{version}: {head}");
        assert_eq!(app.client.status(&id).await, after, "{version}");
    }
    app.finish().await;
}

#[tokio::test]
async fn answers_without_content_have_no_length() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for (line, more) in [
        ("HEAD /healthcheck".to_owned(), ""),
        (format!("GET /v2/images/{id}/file"), ""),
        (
            format!("PUT /v2/images/{id}/tags/a"),
            "Content-Length: 0\r\n",
        ),
        (format!("DELETE /v2/images/{id}/tags/a"), ""),
        (format!("DELETE /v2/images/{id}"), ""),
    ] {
        let message = format!("{line} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
        let head = head_of(&app.client, &message).await;
        assert_eq!(status(&head), "204", "{line}: {head}");
        assert!(!head.contains("content-length"), "{line}: {head}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_refusal_after_which_the_server_closes_says_so() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(10)).await;
    let file = format!("PUT /v2/images/{id}/file HTTP/1.1\r\nHost: a\r\n");
    let octets = "Content-Type: application/octet-stream\r\n";
    for message in [
        format!("{file}{octets}Content-Length: 1000000\r\n\r\nsome of it"),
        format!("{file}{octets}Transfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n"),
        format!("{file}{octets}Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"),
        format!("{file}Content-Length: 1000000\r\n\r\n"),
        "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n".into(),
    ] {
        let head = head_of(&app.client, &message).await;
        assert!(head.contains("connection: close"), "{message}{head}");
    }
    // What is left of a short body is there already: the connection goes on.
    let mut raw = app.client.raw().await;
    for _ in 0..2 {
        raw.write(format!("{file}{octets}Content-Length: 4\r\n\r\ndata"))
            .await;
        let head = raw.read_head().await.to_lowercase();
        assert_eq!(status(&head), "409", "{head}");
        assert!(!head.contains("connection: close"), "{head}");
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        tokio::io::AsyncReadExt::read_exact(&mut raw.0, &mut body)
            .await
            .unwrap();
    }
    app.finish().await;
}

#[tokio::test]
async fn a_401_has_no_allow() {
    let tokens = Tokens::new();
    let mut app = tokens.start(crate::support::app::Options::default()).await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
        for path in [
            "/v2/images",
            "/v2/images/x",
            "/v2/info/usage",
            "/v2/nowhere",
        ] {
            let message =
                format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            let head = head_of(&app.client, &message).await;
            assert_eq!(status(&head), "401", "{message}{head}");
            assert!(!head.contains("\r\nallow:"), "{message}{head}");
        }
    }
    let member = app.client.with_token("member-token");
    let refused = member.delete("/v2/images").await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.header("allow"), Some("GET, POST"));
    app.shut_down().await;
}

#[tokio::test]
async fn a_client_that_ends_its_side_behind_its_request_gets_its_answer() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let file = format!("/v2/images/{id}/file");
    for (message, expected) in [
        (
            format!("GET /v2/images/{id} HTTP/1.1\r\nHost: a\r\n\r\n"),
            "200",
        ),
        (
            format!(
                "PUT {file} HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\ndata"
            ),
            "204",
        ),
        (format!("GET {file} HTTP/1.1\r\nHost: a\r\n\r\n"), "200"),
    ] {
        let mut raw = app.client.raw().await;
        raw.write(&message).await;
        tokio::io::AsyncWriteExt::shutdown(&mut raw.0)
            .await
            .unwrap();
        let answer = String::from_utf8(raw.read_to_close().await).unwrap();
        assert!(
            answer.len() > 12 && status(&answer) == expected,
            "{message}{answer}"
        );
    }
    // One that ends it before the end of its body has gone.
    let id = app.client.create_image().await;
    let mut raw = app.client.raw().await;
    raw.write(format!(
        "PUT /v2/images/{id}/file HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\ndata"
    ))
    .await;
    tokio::io::AsyncWriteExt::shutdown(&mut raw.0)
        .await
        .unwrap();
    raw.read_to_close().await;
    assert_eq!(app.client.status(&id).await, "queued");
    app.finish().await;
}
