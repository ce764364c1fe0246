//! Paths, methods, versions and error bodies: what every route shares (contract 1.2 to 1.5, 8).

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, full};
use crate::support::content;
use crate::support::tokens::Tokens;

const ABSENT: &str = "/v2/images/00000000-0000-4000-8000-000000000000";

async fn send(app: &TestApp, method: &str, path: &str) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    app.client.send(method, path, &[], full("")).await
}

#[tokio::test]
async fn root_offers_the_versions_of_a_site_with_named_stores() {
    let app = TestApp::start().await;
    let answer = app.client.get("/").await;
    assert_eq!(answer.status, StatusCode::MULTIPLE_CHOICES);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    let versions = document["versions"].as_array().unwrap();
    let ids: Vec<_> = versions.iter().map(|v| v["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "v2.15", "v2.13", "v2.12", "v2.11", "v2.10", "v2.9", "v2.8", "v2.17", "v2.7", "v2.6",
            "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0"
        ]
    );
    let href = format!("http://{}/v2/", app.client.addr);
    for version in versions {
        let status = if version["id"] == "v2.17" {
            "CURRENT"
        } else {
            "SUPPORTED"
        };
        assert_eq!(version["status"], status, "{version}");
        assert_eq!(version["links"], json!([{"rel": "self", "href": href}]));
    }
    assert!(
        answer.text().starts_with(
            r#"{"versions":[{"id":"v2.15","status":"SUPPORTED","links":[{"rel":"self","#
        ),
        "clients see the keys in Glance's order"
    );
    for path in ["/versions", "/versions/"] {
        let same = app.client.get(path).await;
        assert_eq!(same.status, StatusCode::OK, "{path}");
        assert_eq!(same.json(), document, "{path}");
    }
    for (path, status) in [("/", 300), ("/versions", 200)] {
        let head = send(&app, "HEAD", path).await;
        assert_eq!(head.status, status, "{path}");
        assert!(head.body.is_empty());
    }
    app.finish().await;
}

#[tokio::test]
async fn public_endpoint_stands_in_the_versions_but_not_in_locations() {
    let app = TestApp::with(Options {
        server: "public_endpoint = \"https://images.example.org/glance/\"".into(),
        ..Options::default()
    })
    .await;
    let document = app.client.get("/versions").await.json();
    assert_eq!(
        document["versions"][0]["links"][0]["href"],
        "https://images.example.org/glance/v2/"
    );
    let created = app.client.post_json("/v2/images", &json!({})).await;
    let location = created.header("location").unwrap();
    assert!(location.starts_with(&format!("http://{}/v2/images/", app.client.addr)));
    app.finish().await;
}

#[tokio::test]
async fn unknown_first_segment_gets_the_versions() {
    let tokens = Tokens::new();
    let mut app = tokens.start(Options::default()).await;
    let admin = app.client.clone();
    app.client = crate::support::client::Client::new(app.client.addr);
    for path in [
        "/v3/images",
        "/foo",
        "/v2.99/images",
        "/v2.14",
        "/V2/images",
    ] {
        let answer = app.client.get(path).await;
        assert_eq!(answer.status, StatusCode::MULTIPLE_CHOICES, "{path}");
        assert!(answer.json()["versions"].is_array(), "{path}");
    }
    app.client = admin;
    app.finish().await;
}

#[tokio::test]
async fn every_version_prefix_means_v2() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for minor in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17] {
        let answer = app.client.get(&format!("/v2.{minor}/images/{id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "v2.{minor}");
    }
    let listed = app.client.get("/v2.7/images?limit=1").await;
    assert_eq!(listed.json()["images"][0]["id"], *id, "the query stays");
    assert_eq!(listed.json()["first"], "/v2/images?limit=1");
    app.finish().await;
}

#[tokio::test]
async fn v2_without_a_slash_is_redirected_and_with_one_is_nothing() {
    let app = TestApp::start().await;
    let answer = app.client.get("/v2").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    let to = format!("http://{}/v2/", app.client.addr);
    assert_eq!(answer.header("location"), Some(&*to));
    assert_eq!(app.client.get("/v2/").await.status, StatusCode::NOT_FOUND);
    app.finish().await;
}

#[tokio::test]
async fn path_that_no_route_has_is_404() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for path in [
        "/v2/images/".to_owned(),
        format!("/v2/images/{id}/"),
        format!("/v2/images/{id}/file/"),
        format!("/v2/images/{id}%2Ffile"),
        "/v2%2Fimages".into(),
        "/v2/Images".into(),
        "/v2//images".into(),
        "/v2/nothing".into(),
        "/v2/images/no-uuid".into(),
        ABSENT.into(),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = send(&app, method, &path).await;
            let expected = if path == "/v2%2Fimages" { 300 } else { 404 };
            assert_eq!(answer.status, expected, "{method} {path}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn wrong_method_is_405_with_the_allow_of_the_contract() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(10)).await;
    let image = format!("/v2/images/{id}");
    let file = format!("{image}/file");
    for (path, allow, others) in [
        (
            "/v2/images",
            "GET, POST",
            ["HEAD", "PUT", "DELETE", "PATCH", "FOO", "TRACE"],
        ),
        (
            &image,
            "GET, PATCH, DELETE",
            ["HEAD", "PUT", "POST", "LINK", "FOO", "TRACE"],
        ),
        (
            &file,
            "GET, PUT",
            ["HEAD", "POST", "DELETE", "PATCH", "FOO", "TRACE"],
        ),
    ] {
        for method in others {
            let answer = send(&app, method, path).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
            if method == "HEAD" {
                assert!(answer.body.is_empty(), "{path}");
            } else {
                let message = format!("The method {method} is not allowed for this resource.");
                assert!(answer.text().contains(&message), "{}", answer.text());
            }
        }
    }
    assert_eq!(app.client.get(&file).await.body, content::bytes(10));
    app.finish().await;
}

#[tokio::test]
async fn unknown_method_on_an_unknown_path_is_501() {
    let app = TestApp::start().await;
    for (method, status) in [
        ("FOO", 501),
        ("TRACE", 501),
        ("PROPFIND", 501),
        ("GET", 404),
        ("HEAD", 404),
        ("POST", 404),
        ("PUT", 404),
        ("DELETE", 404),
        ("PATCH", 404),
    ] {
        let answer = send(&app, method, "/v2/nothing").await;
        assert_eq!(answer.status, status, "{method}");
    }
    app.finish().await;
}

#[tokio::test]
async fn options_is_answered_on_any_path_without_a_token() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let anyone = crate::support::client::Client::new(app.client.addr);
    for path in ["/", "/v2/images", "/v2/nothing", "/v3", ABSENT] {
        let answer = anyone.send(Method::OPTIONS, path, &[], full("")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.body.is_empty(), "{path}");
    }
    app.finish().await;
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_400() {
    let app = TestApp::start().await;
    for path in [
        "/v2/images/%ff",
        "/v2/images/%ff/file",
        "/v2/images?marker=%ff",
        "/v2/images?%ff=1",
    ] {
        let answer = app.client.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.text().contains("not valid UTF-8"), "{path}");
    }
    app.finish().await;
}

#[tokio::test]
async fn body_where_none_belongs_is_400() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let path = format!("/v2/images/{id}");
    for method in [Method::GET, Method::DELETE] {
        let answer = app.client.send(method, &path, &[], full("{}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text().contains("A body is not expected"));
    }
    let empty = [("content-length", "0")];
    let answer = app
        .client
        .send(Method::DELETE, &path, &empty, full(""))
        .await;
    assert_eq!(
        answer.status,
        StatusCode::NO_CONTENT,
        "glanceclient sends it"
    );
    app.finish().await;
}

#[tokio::test]
async fn error_body_has_the_form_that_accept_asks_for() {
    let app = TestApp::start().await;
    let text = "No image found with ID 00000000-0000-4000-8000-000000000000";
    let json = json!({"message": text, "code": "404 Not Found", "title": "Not Found"}).to_string();
    let html = format!(
        "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  {text}\n </body>\n</html>"
    );
    let plain = format!("404 Not Found\n\n{text}\n\n   ");
    for (accept, kind, body) in [
        (Some("application/json"), "application/json", &json),
        (
            Some("application/json;q=0.9, text/html;q=0.1"),
            "application/json",
            &json,
        ),
        (
            Some("application/json, text/html"),
            "text/html; charset=UTF-8",
            &html,
        ),
        (Some("text/html"), "text/html; charset=UTF-8", &html),
        (Some("*/*"), "text/html; charset=UTF-8", &html),
        (Some(""), "application/json", &json),
        (Some("text/xml"), "text/plain; charset=UTF-8", &plain),
        (None, "text/plain; charset=UTF-8", &plain),
    ] {
        let headers: Vec<_> = accept
            .map(|accept| ("accept", accept))
            .into_iter()
            .collect();
        let answer = app.client.get_with(ABSENT, &headers).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.header("content-type"), Some(kind), "{accept:?}");
        assert_eq!(answer.text(), *body, "{accept:?}");
        let length = body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(&*length));
    }
    app.finish().await;
}

#[tokio::test]
async fn text_from_the_client_is_escaped_in_html_errors() {
    let app = TestApp::start().await;
    let path = "/v2/images/%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let answer = app.client.get_with(path, &[("accept", "text/html")]).await;
    assert!(
        answer.text().contains("&lt;script&gt;"),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("<script"), "{}", answer.text());
    app.finish().await;
}

#[tokio::test]
async fn reason_phrases_are_the_reference_services() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(10)).await;
    let mut raw = app.client.raw().await;
    raw.write(format!(
        "GET /v2/images/{id}/file HTTP/1.1\r\nhost: x\r\nrange: bytes=10-\r\n\r\n"
    ))
    .await;
    let head = raw.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 416 Request Range Not Satisfiable\r\n"),
        "{head}"
    );
    let mut raw = app.client.raw().await;
    raw.write("POST /v2/images HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n")
        .await;
    let head = raw.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 413 Request Entity Too Large\r\n"),
        "{head}"
    );
    app.finish().await;
}

#[tokio::test]
async fn odd_request_targets_get_an_answer() {
    let app = TestApp::start().await;
    for (line, status) in [
        ("CONNECT example.org:443", 501),
        ("GET *", 300),
        ("OPTIONS *", 200),
        ("GET http://example.org", 300),
        ("GET http://example.org/v2.7/images", 200),
        ("GET /%", 300),
        ("GET /v2/images/%", 404),
        ("GET /v2?x", 302),
    ] {
        let mut raw = app.client.raw().await;
        raw.write(format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
        .await;
        let answer = raw.read_to_close().await;
        let answer = String::from_utf8_lossy(&answer);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{line}: {answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn request_id_is_given_to_every_answer_and_a_sane_one_is_echoed() {
    let app = TestApp::start().await;
    for path in ["/v2/images", "/v2/nothing", ABSENT] {
        let answer = app.client.get(path).await;
        let id = answer.header("x-openstack-request-id").unwrap();
        let id = id.strip_prefix("req-").unwrap();
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{path}: {id}");
    }
    let long = "x".repeat(65);
    for (sent, expected) in [
        ("req-abc-1", Some("req-abc-1")),
        ("abc-1", Some("req-abc-1")),
        (&long, None),
        ("a b", None),
        ("", None),
    ] {
        let headers = [("x-openstack-request-id", sent)];
        let answer = app.client.get_with("/v2/images", &headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{sent}");
        let echoed = answer.header("x-openstack-request-id").unwrap();
        match expected {
            Some(expected) => assert_eq!(echoed, expected),
            None => assert_eq!(echoed.len(), "req-".len() + 36, "{sent}: {echoed}"),
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn healthcheck_answers_in_three_forms_to_get_and_head_only() {
    let app = TestApp::start().await;
    for (accept, kind, body) in [
        (None, "text/plain; charset=UTF-8", "OK"),
        (
            Some("application/json"),
            "application/json",
            r#"{"detailed":false,"reasons":["OK"]}"#,
        ),
        (
            Some("text/html"),
            "text/html; charset=UTF-8",
            "<html><head><title>Healthcheck</title></head><body><h1>OK</h1></body></html>",
        ),
    ] {
        let headers: Vec<_> = accept
            .map(|accept| ("accept", accept))
            .into_iter()
            .collect();
        let answer = app.client.get_with("/healthcheck", &headers).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.text(), body);
    }
    assert_eq!(send(&app, "HEAD", "/healthcheck").await.status, 204);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = send(&app, method, "/healthcheck").await;
        assert_eq!(answer.status, 405, "{method}");
    }
    app.finish().await;
}
