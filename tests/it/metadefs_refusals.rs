//! Metadata definitions: what is refused, and who may do what (contract 1.9, 5.4).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::metadefs::{NS, hardware, make, names, put};
use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::tokens::Tokens;

async fn send(client: &Client, method: &str, path: &str, body: &str) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let headers = [("accept", "application/json")];
    client
        .send(method, path, &headers, full(body.to_owned()))
        .await
}

#[tokio::test]
async fn body_that_breaks_a_rule_is_refused_and_the_field_named() {
    let app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    let long = "x".repeat(81);
    for (method, route, body, status, word) in [
        ("POST", "", json!([]), 400, "JSON object"),
        ("POST", "", json!({}), 400, "'namespace'"),
        ("POST", "", json!({"namespace": ""}), 400, "'namespace'"),
        ("POST", "", json!({"namespace": long}), 400, "'namespace'"),
        ("POST", "", json!({"namespace": "n", "x": 1}), 400, "'x'"),
        (
            "POST",
            "",
            json!({"namespace": "n", "visibility": "shared"}),
            400,
            "'visibility'",
        ),
        (
            "POST",
            "",
            json!({"namespace": "n", "protected": "yes"}),
            400,
            "'protected'",
        ),
        (
            "POST",
            "",
            json!({"namespace": "n", "objects": [{"name": 1}]}),
            400,
            "'objects[0].name'",
        ),
        (
            "POST",
            "",
            json!({"namespace": "n", "self": "x"}),
            403,
            "'self'",
        ),
        (
            "POST",
            "",
            json!({"namespace": "n", "schema": "x"}),
            403,
            "'schema'",
        ),
        (
            "POST",
            "",
            json!({"namespace": "n", "created_at": "x"}),
            403,
            "'created_at'",
        ),
        (
            "POST",
            "",
            json!({"namespace": "n", "updated_at": "x"}),
            403,
            "'updated_at'",
        ),
        (
            "POST",
            "",
            json!({"namespace": "n", "tags": [{"name": "a"}, {"name": "a"}]}),
            409,
            "'a'",
        ),
        ("PUT", "/H", json!({}), 400, "'namespace'"),
        ("PUT", "/H", json!({"namespace": long}), 400, "'namespace'"),
        (
            "PUT",
            "/H",
            json!({"namespace": "H", "created_at": "x"}),
            403,
            "'created_at'",
        ),
        (
            "POST",
            "/H/properties",
            json!({"name": "p", "type": "string"}),
            400,
            "'title'",
        ),
        (
            "POST",
            "/H/properties",
            json!({"name": "p", "title": "P"}),
            400,
            "'type'",
        ),
        (
            "POST",
            "/H/properties",
            json!({"title": "P", "type": "string"}),
            400,
            "'name'",
        ),
        (
            "POST",
            "/H/properties",
            json!({"name": "p", "title": "P", "type": "text"}),
            400,
            "'type'",
        ),
        (
            "POST",
            "/H/properties",
            json!({"name": long, "title": "P", "type": "string"}),
            400,
            "'name'",
        ),
        (
            "PUT",
            "/H/properties/cores",
            json!({"name": "p", "title": "P", "type": "string", "updated_at": "x"}),
            403,
            "'updated_at'",
        ),
        ("POST", "/H/objects", json!({}), 400, "'name'"),
        (
            "POST",
            "/H/objects",
            json!({"name": "o", "x": 1}),
            400,
            "'x'",
        ),
        (
            "POST",
            "/H/objects",
            json!({"name": "o", "properties": {"p": {}}}),
            400,
            "'properties.p.title'",
        ),
        (
            "PUT",
            "/H/objects/Disk",
            json!({"name": "Disk", "self": "x"}),
            403,
            "'self'",
        ),
        ("POST", "/H/tags", json!({}), 400, "'tags'"),
        ("POST", "/H/tags", json!({"tags": ["a"]}), 400, "'tags[0]'"),
        (
            "PUT",
            "/H/tags/fast",
            json!({"name": "t", "x": 1}),
            400,
            "'x'",
        ),
        (
            "PUT",
            "/H/tags/fast",
            json!({"name": "t", "created_at": "x"}),
            403,
            "'created_at'",
        ),
        (
            "POST",
            "/H/resource_types",
            json!({"prefix": "x"}),
            400,
            "'name'",
        ),
        (
            "POST",
            "/H/resource_types",
            json!({"name": "r", "x": 1}),
            400,
            "'x'",
        ),
        (
            "POST",
            "/H/resource_types",
            json!({"name": "r", "created_at": "x"}),
            403,
            "'created_at'",
        ),
    ] {
        let answer = send(
            &app.client,
            method,
            &format!("{NS}{route}"),
            &body.to_string(),
        )
        .await;
        let case = format!("{method} {route} {body}: {}", answer.text());
        assert_eq!(answer.status, status, "{case}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{case}");
    }
    let long_tag = send(&app.client, "POST", &format!("{path}/tags/{long}"), "").await;
    assert_eq!(long_tag.status, StatusCode::BAD_REQUEST);
    for (method, path) in [
        ("POST", NS.to_owned()),
        ("PUT", path.clone()),
        ("POST", format!("{path}/properties")),
        ("POST", format!("{path}/objects")),
        ("POST", format!("{path}/tags")),
        ("POST", format!("{path}/resource_types")),
    ] {
        for body in ["", "{", "null", "\"x\""] {
            let answer = send(&app.client, method, &path, body).await;
            assert_eq!(
                answer.status,
                StatusCode::BAD_REQUEST,
                "{method} {path} {body}"
            );
        }
    }
    assert_eq!(
        names(&app.client.get(NS).await.json(), "namespaces", "namespace"),
        ["H"]
    );
    app.finish().await;
}

#[tokio::test]
async fn body_on_a_route_that_takes_none_is_400() {
    let app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    for (method, route) in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/properties"),
        ("DELETE", "/properties"),
        ("GET", "/properties/cores"),
        ("DELETE", "/properties/cores"),
        ("GET", "/objects"),
        ("DELETE", "/objects"),
        ("GET", "/objects/Disk"),
        ("DELETE", "/objects/Disk"),
        ("GET", "/tags"),
        ("DELETE", "/tags"),
        ("GET", "/tags/fast"),
        ("POST", "/tags/new"),
        ("DELETE", "/tags/fast"),
        ("GET", "/resource_types"),
        ("DELETE", "/resource_types/OS::Nova::Server"),
    ] {
        let answer = send(&app.client, method, &format!("{path}{route}"), "{}").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {route}");
    }
    for path in [NS, "/v2/metadefs/resource_types"] {
        assert_eq!(
            send(&app.client, "GET", path, "{}").await.status,
            400,
            "{path}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn what_is_not_there_is_404_and_named() {
    let app = TestApp::start().await;
    let path = make(&app.client, &json!({"namespace": "N"})).await;
    let absent = format!("{NS}/absent");
    let property = json!({"name": "p", "title": "P", "type": "string"}).to_string();
    let name = json!({"name": "x"}).to_string();
    for base in [&path, &absent] {
        for (method, route, body) in [
            ("GET", "/properties/p", ""),
            ("PUT", "/properties/p", &*property),
            ("DELETE", "/properties/p", ""),
            ("GET", "/objects/p", ""),
            ("PUT", "/objects/p", &name),
            ("DELETE", "/objects/p", ""),
            ("GET", "/tags/p", ""),
            ("PUT", "/tags/p", &name),
            ("DELETE", "/tags/p", ""),
            ("DELETE", "/resource_types/p", ""),
        ] {
            let answer = send(&app.client, method, &format!("{base}{route}"), body).await;
            assert_eq!(answer.status, 404, "{method} {base}{route}");
            let named = if *base == path { "'p'" } else { "'absent'" };
            assert!(answer.text().contains(named), "{}", answer.text());
        }
    }
    for (method, route, body) in [
        ("GET", "", ""),
        ("PUT", "", r#"{"namespace": "x"}"#),
        ("DELETE", "", ""),
        ("GET", "/properties", ""),
        ("POST", "/properties", &*property),
        ("DELETE", "/properties", ""),
        ("GET", "/objects", ""),
        ("POST", "/objects", &name),
        ("DELETE", "/objects", ""),
        ("GET", "/tags", ""),
        ("POST", "/tags", r#"{"tags": []}"#),
        ("DELETE", "/tags", ""),
        ("POST", "/tags/t", ""),
        ("GET", "/resource_types", ""),
        ("POST", "/resource_types", &name),
    ] {
        let answer = send(&app.client, method, &format!("{absent}{route}"), body).await;
        assert_eq!(answer.status, 404, "{method} {route}");
        assert!(answer.text().contains("'absent'"), "{}", answer.text());
    }
    for bad in [format!("{NS}/%ff"), format!("{path}/tags/%ff")] {
        assert_eq!(app.client.get(&bad).await.status, 400, "{bad}");
    }
    app.finish().await;
}

#[tokio::test]
async fn name_that_is_taken_is_409_and_nothing_is_changed() {
    let app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    make(&app.client, &json!({"namespace": "Other"})).await;
    app.client
        .post_json(&format!("{path}/objects"), &json!({"name": "Net"}))
        .await;
    let before = app.client.get(&path).await.json();
    let cores = json!({"name": "cores", "title": "C", "type": "string"}).to_string();
    for (method, route, body) in [
        (
            "POST",
            "",
            r#"{"namespace": "Other", "tags": [{"name": "t"}]}"#,
        ),
        ("PUT", "/H", r#"{"namespace": "Other"}"#),
        ("POST", "/H/properties", &*cores),
        ("PUT", "/H/properties/arch", &cores),
        ("POST", "/H/objects", r#"{"name": "Disk"}"#),
        ("PUT", "/H/objects/Net", r#"{"name": "Disk"}"#),
        ("POST", "/H/tags/fast", ""),
        ("PUT", "/H/tags/slow", r#"{"name": "fast"}"#),
        (
            "POST",
            "/H/resource_types",
            r#"{"name": "OS::Nova::Server"}"#,
        ),
    ] {
        let answer = send(&app.client, method, &format!("{NS}{route}"), body).await;
        assert_eq!(answer.status, 409, "{method} {route}: {}", answer.text());
    }
    assert_eq!(app.client.get(&path).await.json(), before);
    let other = app.client.get(&format!("{NS}/Other")).await.json();
    assert_eq!(other.get("tags"), None);
    for (route, body) in [
        ("/H/properties/cores", &*cores),
        ("/H/tags/fast", r#"{"name": "fast"}"#),
        ("/H", r#"{"namespace": "H", "visibility": "public"}"#),
    ] {
        let same = send(&app.client, "PUT", &format!("{NS}{route}"), body).await;
        assert_eq!(same.status, 200, "its own name is not taken: {route}");
    }
    app.finish().await;
}

#[tokio::test]
async fn of_two_that_make_the_same_at_once_one_wins() {
    let app = TestApp::start().await;
    for round in 0..10 {
        let name = format!("n{round}");
        let body = json!({"namespace": name, "tags": [{"name": "t"}]});
        let made = tokio::join!(
            app.client.post_json(NS, &body),
            app.client.post_json(NS, &body)
        );
        let mut statuses = [made.0.status.as_u16(), made.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        let tag = format!("{NS}/{name}/tags/same");
        let post = || send(&app.client, "POST", &tag, "");
        let made = tokio::join!(post(), post());
        let mut statuses = [made.0.status.as_u16(), made.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
    app.finish().await;
}

#[tokio::test]
async fn protected_namespace_loses_nothing_and_gains() {
    let app = TestApp::start().await;
    let mut body = hardware("H");
    body["protected"] = json!(true);
    let path = make(&app.client, &body).await;
    let before = app.client.get(&path).await.json();
    for route in [
        "",
        "/properties",
        "/properties/cores",
        "/objects",
        "/objects/Disk",
        "/tags",
        "/tags/fast",
        "/resource_types/OS::Nova::Server",
    ] {
        let answer = app.client.delete(&format!("{path}{route}")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route}");
        assert!(
            answer.text().contains("'H' is protected"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(app.client.get(&path).await.json(), before);
    let absent = app.client.delete(&format!("{path}/tags/absent")).await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
    for (route, body) in [
        (
            "properties",
            json!({"name": "p", "title": "P", "type": "string"}),
        ),
        ("objects", json!({"name": "o"})),
        ("resource_types", json!({"name": "r"})),
    ] {
        let answer = app
            .client
            .post_json(&format!("{path}/{route}"), &body)
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{route}");
    }
    assert_eq!(
        send(&app.client, "POST", &format!("{path}/tags/new"), "")
            .await
            .status,
        201
    );
    put(
        &app.client,
        &path,
        &json!({"namespace": "H", "protected": false}),
    )
    .await;
    assert_eq!(
        app.client.delete(&path).await.status,
        StatusCode::NO_CONTENT
    );
    app.finish().await;
}

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
