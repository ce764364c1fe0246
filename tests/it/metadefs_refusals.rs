//! Metadata definitions: what is refused (contract 1.9).

use http::{Method, StatusCode};
use serde_json::json;

use super::metadefs::{NS, hardware, make, names, put};
use crate::support::app::TestApp;
use crate::support::client::{Answer, Client, full};

pub async fn send(client: &Client, method: &str, path: &str, body: &str) -> Answer {
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
