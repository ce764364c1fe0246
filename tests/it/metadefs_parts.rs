//! Metadata definitions: what is in a namespace, when all goes well (contract 1.9).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::metadefs::{JSON, hardware, keys, make, names, put};
use crate::support::app::TestApp;
use crate::support::client::full;

#[tokio::test]
async fn properties_are_listed_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let path = format!(
        "{}/properties",
        make(&app.client, &json!({"namespace": "N"})).await
    );
    let empty = app.client.get(&path).await;
    assert_eq!(empty.json(), json!({"properties": {}}));
    let body = json!({"name": "p", "title": "P", "type": "array", "items": {"type": "string"}, "default": "x"});
    let made = app.client.post_json(&path, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(made.json(), body);
    let one = format!("{path}/p");
    assert_eq!(app.client.get(&one).await.json(), body);
    let listed = app.client.get(&path).await.json();
    assert_eq!(listed, json!({"properties": {"p": body}}));

    let body = json!({"name": "q", "title": "Q", "type": "string"});
    let changed = put(&app.client, &one, &body).await;
    assert_eq!(
        (changed.status, changed.json()),
        (StatusCode::OK, body.clone())
    );
    assert_eq!(app.client.get(&one).await.status, StatusCode::NOT_FOUND);
    let one = format!("{path}/q");
    assert_eq!(app.client.get(&one).await.json(), body);
    assert_eq!(app.client.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.client.get(&one).await.status, StatusCode::NOT_FOUND);
    app.client.post_json(&path, &body).await;
    assert_eq!(
        app.client.delete(&path).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        app.client.get(&path).await.json(),
        json!({"properties": {}})
    );
    app.finish().await;
}

#[tokio::test]
async fn objects_are_listed_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let path = format!(
        "{}/objects",
        make(&app.client, &json!({"namespace": "N"})).await
    );
    let empty = app.client.get(&path).await.json();
    let schema = "v2/schemas/metadefs/objects";
    assert_eq!(empty, json!({"objects": [], "schema": schema}));
    let made = app
        .client
        .post_json(
            &path,
            &json!({"name": "an object", "required": [], "properties": {}}),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    let one = format!("{path}/an%20object");
    assert_eq!(
        keys(&made),
        [
            "name",
            "required",
            "properties",
            "created_at",
            "updated_at",
            "self",
            "schema"
        ]
    );
    assert_eq!(
        (&made["required"], &made["properties"]),
        (&json!([]), &json!({}))
    );
    assert_eq!(made["self"], one);
    assert_eq!(app.client.get(&one).await.json(), made);
    assert_eq!(app.client.get(&path).await.json()["objects"], json!([made]));

    let body = json!({"name": "o", "description": "d", "required": ["p"],
        "properties": {"p": {"title": "P", "type": "number"}}});
    let changed = put(&app.client, &one, &body).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    let changed = changed.json();
    for key in keys(&body) {
        assert_eq!(changed[key], body[key], "{key}");
    }
    assert_eq!(changed["created_at"], made["created_at"]);
    assert_eq!(app.client.get(&one).await.status, StatusCode::NOT_FOUND);
    let one = format!("{path}/o");
    assert_eq!(app.client.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.client.get(&one).await.status, StatusCode::NOT_FOUND);
    app.client.post_json(&path, &body).await;
    assert_eq!(
        app.client.delete(&path).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(app.client.get(&path).await.json()["objects"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn tags_are_listed_made_shown_renamed_and_deleted() {
    let app = TestApp::start().await;
    let path = format!(
        "{}/tags",
        make(&app.client, &json!({"namespace": "N"})).await
    );
    let empty = app.client.get(&path).await.json();
    assert_eq!(empty, json!({"tags": []}));
    let one = format!("{path}/sch%C3%B6n");
    let made = app.client.send(Method::POST, &one, &JSON, full("")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    assert_eq!(keys(&made), ["name", "created_at", "updated_at"]);
    assert_eq!(made["name"], "schön");
    assert_eq!(app.client.get(&one).await.json(), made);
    let listed = app.client.get(&path).await.json();
    assert_eq!(listed, json!({"tags": [{"name": "schön"}]}));

    let renamed = put(&app.client, &one, &json!({"name": "t"})).await;
    assert_eq!(renamed.status, StatusCode::OK);
    assert_eq!(renamed.json()["name"], "t");
    assert_eq!(app.client.get(&one).await.status, StatusCode::NOT_FOUND);
    let one = format!("{path}/t");
    assert_eq!(app.client.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.client.get(&one).await.status, StatusCode::NOT_FOUND);
    app.finish().await;
}

#[tokio::test]
async fn tags_in_bulk_replace_those_there_unless_they_are_to_be_added() {
    let app = TestApp::start().await;
    let path = format!("{}/tags", make(&app.client, &hardware("H")).await);
    let post = async |append: Option<&str>, tags: &[&str]| {
        let tags: Vec<Value> = tags.iter().map(|tag| json!({"name": tag})).collect();
        let mut headers = JSON.to_vec();
        headers.extend(append.map(|value| ("x-openstack-append", value)));
        let body = full(json!({"tags": tags}).to_string());
        app.client.send(Method::POST, &path, &headers, body).await
    };
    let there = async || {
        let mut tags = names(&app.client.get(&path).await.json(), "tags", "name");
        tags.sort();
        tags.join(" ")
    };
    let answer = post(None, &["b", "a"]).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(
        answer.json(),
        json!({"tags": [{"name": "b"}, {"name": "a"}]})
    );
    assert_eq!(there().await, "a b");
    let answer = post(Some("True"), &["c"]).await;
    assert_eq!(answer.json(), json!({"tags": [{"name": "c"}]}));
    assert_eq!(there().await, "a b c");
    assert_eq!(
        post(Some("true"), &["d", "a"]).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(there().await, "a b c", "all or none");
    assert_eq!(post(None, &["x", "x"]).await.status, StatusCode::CONFLICT);
    assert_eq!(there().await, "a b c", "all or none");
    assert_eq!(
        post(Some("False"), &["A", "a"]).await.status,
        StatusCode::CREATED
    );
    assert_eq!(there().await, "A a", "a name is another in another case");
    assert_eq!(
        app.client.delete(&path).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(there().await, "");
    app.finish().await;
}

#[tokio::test]
async fn resource_types_are_known_once_a_namespace_is_for_them() {
    let app = TestApp::start().await;
    let path = format!(
        "{}/resource_types",
        make(&app.client, &json!({"namespace": "N"})).await
    );
    let all = "/v2/metadefs/resource_types";
    assert_eq!(
        app.client.get(all).await.json(),
        json!({"resource_types": []})
    );
    let empty = app.client.get(&path).await.json();
    assert_eq!(empty, json!({"resource_type_associations": []}));
    let body = json!({"name": "OS::Nova::Flavor", "prefix": "hw:", "properties_target": "x"});
    let made = app.client.post_json(&path, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    assert_eq!(
        keys(&made),
        [
            "name",
            "prefix",
            "properties_target",
            "created_at",
            "updated_at"
        ]
    );
    let listed = app.client.get(&path).await.json();
    assert_eq!(listed, json!({"resource_type_associations": [made]}));
    let known = app.client.get(all).await.json();
    assert_eq!(
        keys(&known["resource_types"][0]),
        ["name", "created_at", "updated_at"]
    );
    let one = format!("{path}/OS::Nova::Flavor");
    assert_eq!(app.client.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.client.get(&path).await.json(), empty);
    let known = app.client.get(all).await.json();
    assert_eq!(
        names(&known, "resource_types", "name"),
        ["OS::Nova::Flavor"]
    );
    app.finish().await;
}

#[tokio::test]
async fn what_a_namespace_holds_is_bounded() {
    let app = TestApp::start().await;
    let path = make(&app.client, &json!({"namespace": "Large"})).await + "/objects";
    let large = |name: &str| json!({"name": name, "description": "x".repeat(900_000)});
    let post = async |object: Value| app.client.post_json(&path, &object).await;
    for name in ["a", "b", "c", "d"] {
        assert_eq!(post(large(name)).await.status, StatusCode::CREATED);
    }
    let objects = app.client.get(&path).await;
    let refused = post(large("e")).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.text().contains("4194304"), "{}", refused.text());
    let small = post(json!({"name": "e"})).await;
    assert_eq!(small.status, StatusCode::CREATED);
    let one = format!("{path}/e");
    let grown = put(&app.client, &one, &large("e")).await;
    assert_eq!(grown.status, StatusCode::PAYLOAD_TOO_LARGE);
    app.client.delete(&one).await;
    let kept = app.client.get(&path).await;
    assert_eq!(kept.body, objects.body, "what is refused changes nothing");
    app.finish().await;
}
