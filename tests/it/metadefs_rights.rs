//! Metadata definitions: who may do what (contract 1.9, 5.4).

use http::StatusCode;
use serde_json::{Value, json};

use super::metadefs::{NS, hardware, make, names};
use super::metadefs_refusals::send;
use crate::support::app::Options;
use crate::support::tokens::Tokens;

#[tokio::test]
async fn namespace_is_read_by_its_project_and_by_all_when_it_is_public() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let mut private = hardware("Private");
    private["visibility"] = json!("private");
    make(&app.client, &private).await;
    make(&app.client, &hardware("Public")).await;
    let routes = [
        "",
        "/properties",
        "/properties/cores",
        "/objects",
        "/objects/Disk",
        "/tags",
        "/tags/fast",
        "/resource_types",
    ];
    for (token, of_private, of_public) in [
        ("admin-token", 200, 200),
        ("member-token", 200, 200),
        ("reader-token", 200, 200),
        ("stranger-token", 404, 200),
        ("stranger-reader-token", 404, 200),
        ("roleless-token", 404, 404),
    ] {
        let client = app.client.with_token(token);
        for route in routes {
            for (name, status) in [("Private", of_private), ("Public", of_public)] {
                let answer = client.get(&format!("{NS}/{name}{route}")).await;
                assert_eq!(answer.status, status, "{token} {name}{route}");
            }
        }
        let list = client.get(NS).await;
        let types = client.get("/v2/metadefs/resource_types").await;
        let seen = match (of_private, of_public) {
            (200, _) => vec!["Public", "Private"],
            (_, 200) => vec!["Public"],
            _ => {
                assert_eq!(
                    (list.status.as_u16(), types.status.as_u16()),
                    (404, 404),
                    "{token}"
                );
                continue;
            }
        };
        assert_eq!(
            names(&list.json(), "namespaces", "namespace"),
            seen,
            "{token}"
        );
        assert_eq!(types.status, StatusCode::OK, "{token}");
    }
    app.finish().await;
}

#[tokio::test]
async fn only_administrators_write_and_nobody_learns_of_what_is_hidden() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let mut private = hardware("Private");
    private["visibility"] = json!("private");
    make(&app.client, &private).await;
    make(&app.client, &hardware("Public")).await;
    let property = json!({"name": "p", "title": "P", "type": "string"}).to_string();
    let writes = |name: &str| -> Vec<(&'static str, String, String)> {
        let path = format!("{NS}/{name}");
        let write =
            |method, route: &str, body: &str| (method, format!("{path}{route}"), body.to_owned());
        vec![
            write("PUT", "", &json!({"namespace": name}).to_string()),
            write("DELETE", "", ""),
            write("POST", "/properties", &property),
            write("DELETE", "/properties", ""),
            write("PUT", "/properties/cores", &property),
            write("DELETE", "/properties/cores", ""),
            write("POST", "/objects", r#"{"name": "o"}"#),
            write("DELETE", "/objects", ""),
            write("PUT", "/objects/Disk", r#"{"name": "o"}"#),
            write("DELETE", "/objects/Disk", ""),
            write("POST", "/tags", r#"{"tags": []}"#),
            write("DELETE", "/tags", ""),
            write("POST", "/tags/t", ""),
            write("PUT", "/tags/fast", r#"{"name": "t"}"#),
            write("DELETE", "/tags/fast", ""),
            write("DELETE", "/tags/absent", ""),
            write("POST", "/resource_types", r#"{"name": "r"}"#),
            write("DELETE", "/resource_types/OS::Nova::Server", ""),
        ]
    };
    let before = app.client.get(&format!("{NS}/Public")).await.json();
    for (token, of_private, of_public) in [
        ("member-token", 403, 403),
        ("reader-token", 403, 403),
        ("stranger-token", 404, 403),
        ("roleless-token", 404, 404),
    ] {
        let client = app.client.with_token(token);
        for (name, status) in [("Private", of_private), ("Public", of_public)] {
            for (method, path, body) in writes(name) {
                let answer = send(&client, method, &path, &body).await;
                assert_eq!(answer.status, status, "{token} {method} {path}");
            }
        }
        let answer = client.post_json(NS, &json!({"namespace": "Mine"})).await;
        let expected = if token == "roleless-token" { 404 } else { 403 };
        assert_eq!(answer.status, expected, "{token}");
    }
    assert_eq!(app.client.get(&format!("{NS}/Public")).await.json(), before);
    let taken: Value = json!({"namespace": "Private"});
    assert_eq!(app.client.post_json(NS, &taken).await.status, 409);
    app.finish().await;
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_contract() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let mut private = hardware("Private");
    private["visibility"] = json!("private");
    make(&app.client, &private).await;
    let path = format!("{NS}/Private/tags/absent");
    for (token, body, status) in [
        ("stranger-token", "{", 400),
        ("stranger-token", r#"{"name": ""}"#, 400),
        ("stranger-token", r#"{"name": "fast"}"#, 404),
        ("member-token", r#"{"name": "fast"}"#, 403),
        ("admin-token", r#"{"name": "fast"}"#, 404),
    ] {
        let client = app.client.with_token(token);
        let answer = send(&client, "PUT", &path, body).await;
        assert_eq!(answer.status, status, "{token} {body}");
    }
    let slow = format!("{NS}/Private/tags/slow");
    let taken = send(&app.client, "PUT", &slow, r#"{"name": "fast"}"#).await;
    assert_eq!(taken.status, 409);
    app.finish().await;
}
