//! Who may call, and that nobody learns a token from the service (contract 1.5, 5).

use http::{Method, StatusCode};

use crate::support::app::{Options, TestApp};
use crate::support::child::Server;
use crate::support::client::{Client, full};
use crate::support::store::Embedded;
use crate::support::tokens::{Tokens, entry};
use crate::support::{content, eventually};

const ABSENT: &str = "/v2/images/00000000-0000-4000-8000-000000000000";

async fn start(tokens: &Tokens) -> (TestApp, Client) {
    let app = tokens.start(Options::default()).await;
    let anyone = Client::new(app.client.addr);
    (app, anyone)
}

#[tokio::test]
async fn missing_unknown_or_expired_token_is_401_with_a_challenge() {
    let tokens = Tokens::new();
    let (app, anyone) = start(&tokens).await;
    let hash = oriel::hash_of_token("member-token");
    for token in [
        None,
        Some(""),
        Some("guess"),
        Some("expired-token"),
        Some("MEMBER-TOKEN"),
        Some("member-token "),
        Some(&hash),
        Some("t\u{f6}ken"),
    ] {
        let headers: Vec<_> = token.map(|t| ("x-auth-token", t)).into_iter().collect();
        for (method, path) in [
            (Method::GET, "/v2/images"),
            (Method::POST, "/v2/images"),
            (Method::GET, ABSENT),
            (Method::DELETE, ABSENT),
            (Method::PATCH, "/v2/images"),
            (Method::GET, "/v2/nothing"),
            (Method::GET, "/v2/images/"),
            (Method::GET, "/v2"),
            (Method::GET, "/v2.7/images"),
        ] {
            let answer = anyone.send(method.clone(), path, &headers, full("")).await;
            // A space at the end is no part of a header's value.
            if token == Some("member-token ") {
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                continue;
            }
            assert_eq!(answer.status, 401, "{token:?} {method} {path}");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, Some("Token realm=\"oriel\""));
            assert!(answer.text().contains("requires authentication"));
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn two_tokens_in_one_request_are_not_tried_in_turn() {
    let tokens = Tokens::new();
    let (app, anyone) = start(&tokens).await;
    let headers = [("x-auth-token", "guess"), ("x-auth-token", "member-token")];
    let answer = anyone.get_with("/v2/images", &headers).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    app.finish().await;
}

#[tokio::test]
async fn versions_and_health_need_no_token() {
    let tokens = Tokens::new();
    let (app, anyone) = start(&tokens).await;
    for (path, status) in [("/", 300), ("/versions", 200), ("/healthcheck", 200)] {
        let answer = anyone.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
    app.finish().await;
}

#[tokio::test]
async fn upload_of_an_unknown_caller_is_401_before_anything_else() {
    let tokens = Tokens::new();
    let (app, anyone) = start(&tokens).await;
    let member = app.client.with_token("member-token");
    let id = member.create_image().await;
    let answer = anyone
        .put_file(&id, &[], full(content::bytes(100_000)))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(member.status(&id).await, "queued");
    app.finish().await;
}

#[tokio::test]
async fn only_members_of_the_owner_and_administrators_upload() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let body = |visibility: &str| serde_json::json!({"owner": "own", "visibility": visibility, "disk_format": "raw", "container_format": "bare"});
    let private = app.client.create(&body("private")).await;
    let public = app.client.create(&body("public")).await;
    for (token, id, status) in [
        ("reader-token", &private, 403),
        ("roleless-token", &private, 404),
        ("stranger-token", &private, 404),
        ("stranger-token", &public, 403),
        ("stranger-reader-token", &public, 403),
        ("member-token", &private, 204),
        ("admin-token", &public, 204),
    ] {
        let client = app.client.with_token(token);
        let answer = client.put_file(id, &[], full("data")).await;
        assert_eq!(answer.status, status, "{token}");
    }
    app.finish().await;
}

#[tokio::test]
async fn changed_file_of_tokens_holds_without_a_restart() {
    let tokens = Tokens::new();
    let (app, anyone) = start(&tokens).await;
    let (old, new) = (
        anyone.with_token("member-token"),
        anyone.with_token("new-token"),
    );
    assert_eq!(old.get("/v2/images").await.status, StatusCode::OK);
    let admin = entry("admin-token", Some("site"), "\"admin\"");
    tokens.write(&(admin + &entry("new-token", Some("own"), "\"member\"")));
    eventually("the new token is known", async || {
        (new.get("/v2/images").await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(old.get("/v2/images").await.status, 401);
    app.finish().await;
}

#[tokio::test]
async fn no_token_or_key_is_ever_logged_or_shown() {
    let tokens = Tokens::new();
    let embedded = Embedded::start().await;
    let endpoint = embedded.endpoint();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("oriel.toml");
    let text = format!(
        "auth = \"tokens\"\n{}[log]\nlevel = \"trace\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n\
         [catalog]\npath = {:?}\n[store.main]\nendpoint = {:?}\nbucket = \"images\"\naccess_key = {:?}\nsecret_key = {:?}\n\
         profile = \"embedded\"\ncreate_bucket = true\n",
        tokens.table(),
        dir.path().join("catalog.sqlite"),
        endpoint.url,
        endpoint.access_key,
        endpoint.secret_key
    );
    std::fs::write(&config, text).unwrap();
    let server = Server::start(&config).await;
    let member = server.client.with_token("member-token");
    let id = member.upload(content::bytes(1000)).await;
    assert_eq!(
        member.get(&format!("/v2/images/{id}/file")).await.body,
        content::bytes(1000)
    );
    let unknown = server.client.with_token("a-secret-guess");
    assert_eq!(unknown.get(ABSENT).await.status, 401);
    assert_eq!(member.delete(&format!("/v2/images/{id}")).await.status, 204);
    server.terminate().await;
    let (status, log) = server.ended().await;
    assert!(status.success());
    assert!(log.contains(&id) && log.contains("stopped"), "{log}");
    let hash = oriel::hash_of_token("member-token");
    for secret in [
        "member-token",
        "a-secret-guess",
        &hash,
        &endpoint.secret_key,
    ] {
        assert!(!log.contains(secret), "{log}");
    }
    embedded.server.stop().await;
}

#[tokio::test]
async fn metrics_hold_no_token_project_or_image() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member-token");
    let id = member.upload(content::bytes(10)).await;
    member.get(&format!("/v2/images/{id}/file")).await;
    let metrics = app.scrape().await.text();
    assert!(metrics.contains("route=\"/v2/images/{image_id}/file\""));
    for secret in ["member-token", &id, "\"own\""] {
        assert!(!metrics.contains(secret), "{secret}");
    }
    app.finish().await;
}

/// What a proxy or an attacker may add: nothing of it says who calls, or what an image is (OSSA 2015-019).
#[tokio::test]
async fn identity_and_status_are_never_taken_from_headers() {
    let tokens = Tokens::new();
    let (app, anyone) = start(&tokens).await;
    let headers = [
        ("x-identity-status", "Confirmed"),
        ("x-user-id", "root"),
        ("x-roles", "admin,member,reader"),
        ("x-project-id", "own"),
        ("x-tenant-id", "own"),
        ("x-tenant", "own"),
        ("x-service-identity-status", "Confirmed"),
        ("x-service-roles", "service,admin"),
        ("x-is-admin-project", "True"),
        ("x-image-meta-status", "active"),
        ("x-image-meta-owner", "other"),
    ];
    assert_eq!(anyone.get_with("/v2/images", &headers).await.status, 401);
    let reader = app.client.with_token("stranger-reader-token");
    let made = reader
        .send(Method::POST, "/v2/images", &headers, full("{}"))
        .await;
    assert_eq!(made.status, 403, "still a reader");
    let owner = app.client.with_token("member-token");
    let private = owner
        .create(&serde_json::json!({"visibility": "private"}))
        .await;
    let path = format!("/v2/images/{private}");
    assert_eq!(
        reader.get_with(&path, &headers).await.status,
        404,
        "still a stranger"
    );
    let made = owner
        .send(Method::POST, "/v2/images", &headers, full("{}"))
        .await
        .json();
    assert_eq!(
        (&made["status"], &made["owner"]),
        (&"queued".into(), &"own".into())
    );
    app.finish().await;
}
