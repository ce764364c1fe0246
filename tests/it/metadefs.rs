//! Metadata definitions: what every route answers when it goes well (contract 1.9).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, Client, full};

pub const NS: &str = "/v2/metadefs/namespaces";
const JSON: [(&str, &str); 1] = [("accept", "application/json")];

pub async fn put(client: &Client, path: &str, body: &Value) -> Answer {
    let body = full(body.to_string());
    client.send(Method::PUT, path, &JSON, body).await
}

/// A new namespace; gives its path.
pub async fn make(client: &Client, body: &Value) -> String {
    let answer = client.post_json(NS, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    format!("{NS}/{}", body["namespace"].as_str().unwrap())
}

/// A namespace with a part of every kind.
pub fn hardware(name: &str) -> Value {
    json!({
        "namespace": name,
        "display_name": "Hardware",
        "description": "What it runs on.",
        "visibility": "public",
        "owner": "own",
        "resource_type_associations": [
            {"name": "OS::Glance::Image", "prefix": "hw_", "properties_target": "image"},
            {"name": "OS::Nova::Server"},
        ],
        "properties": {
            "cores": {"title": "Cores", "type": "integer", "minimum": 1},
            "arch": {"title": "Architecture", "type": "string", "enum": ["x86_64", "aarch64"]},
        },
        "objects": [{
            "name": "Disk",
            "description": "A disk.",
            "required": ["bus"],
            "properties": {"bus": {"title": "Bus", "type": "string"}},
        }],
        "tags": [{"name": "fast"}, {"name": "slow"}],
    })
}

/// The names of a list in an answer.
pub fn names(answer: &Value, list: &str, key: &str) -> Vec<String> {
    let list = answer[list].as_array().unwrap().iter();
    list.map(|entry| entry[key].as_str().unwrap().to_owned())
        .collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    text.len() == "2026-01-01T00:00:00Z".len() && text.ends_with('Z')
}

#[tokio::test]
async fn name_alone_makes_a_private_namespace_of_the_callers_project() {
    let app = TestApp::start().await;
    let answer = app
        .client
        .post_json(NS, &json!({"namespace": "A::B"}))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let location = format!("http://{}{NS}/A::B", app.client.addr);
    assert_eq!(answer.header("location"), Some(&*location));
    let made = answer.json();
    assert_eq!(
        keys(&made),
        [
            "namespace",
            "visibility",
            "protected",
            "owner",
            "created_at",
            "updated_at",
            "self",
            "schema"
        ],
        "what is not set is left out"
    );
    assert_eq!(made["visibility"], "private");
    assert_eq!(made["protected"], false);
    assert_eq!(made["owner"], "admin");
    assert_eq!(made["self"], format!("{NS}/A::B"));
    assert_eq!(made["schema"], "/v2/schemas/metadefs/namespace");
    assert!(is_time(&made["created_at"]) && made["created_at"] == made["updated_at"]);
    assert_eq!(app.client.get(&format!("{NS}/A::B")).await.json(), made);
    app.finish().await;
}

#[tokio::test]
async fn namespace_is_made_and_shown_with_everything_in_it() {
    let app = TestApp::start().await;
    let body = hardware("H");
    let made = app.client.post_json(NS, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let shown = app.client.get(&format!("{NS}/H")).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert_eq!(shown.header("content-type"), Some("application/json"));
    let shown = shown.json();
    assert_eq!(made.json(), shown);
    assert_eq!(
        keys(&shown),
        [
            "namespace",
            "display_name",
            "description",
            "visibility",
            "protected",
            "owner",
            "created_at",
            "updated_at",
            "resource_type_associations",
            "properties",
            "objects",
            "tags",
            "self",
            "schema",
        ]
    );
    for key in [
        "display_name",
        "description",
        "visibility",
        "owner",
        "properties",
        "tags",
    ] {
        assert_eq!(shown[key], body[key], "{key}");
    }
    let object = &shown["objects"][0];
    assert_eq!(
        keys(object),
        [
            "name",
            "description",
            "required",
            "properties",
            "created_at",
            "updated_at",
            "self",
            "schema"
        ]
    );
    assert_eq!(object["self"], format!("{NS}/H/objects/Disk"));
    assert_eq!(object["schema"], "/v2/schemas/metadefs/object");
    let association = &shown["resource_type_associations"][0];
    assert_eq!(
        keys(association),
        [
            "name",
            "prefix",
            "properties_target",
            "created_at",
            "updated_at"
        ]
    );
    assert_eq!(
        keys(&shown["resource_type_associations"][1]),
        ["name", "created_at", "updated_at"]
    );
    app.finish().await;
}

#[tokio::test]
async fn names_on_a_resource_type_have_its_prefix() {
    let app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    let shown = app
        .client
        .get(&format!("{path}?resource_type=OS::Glance::Image"))
        .await
        .json();
    assert_eq!(keys(&shown["properties"]), ["hw_cores", "hw_arch"]);
    assert_eq!(keys(&shown["objects"][0]["properties"]), ["hw_bus"]);
    assert_eq!(shown["objects"][0]["required"], json!(["hw_bus"]));
    for without in ["OS::Nova::Server", "OS::Nothing"] {
        let shown = app
            .client
            .get(&format!("{path}?resource_type={without}"))
            .await;
        assert_eq!(
            keys(&shown.json()["properties"]),
            ["cores", "arch"],
            "{without}"
        );
    }
    for (query, name, status) in [
        ("?resource_type=OS::Glance::Image", "hw_cores", 200),
        ("?resource_type=OS::Glance::Image", "cores", 404),
        ("?resource_type=OS::Glance::Image", "hw_nothing", 404),
        ("?resource_type=OS::Nova::Server", "cores", 200),
        ("?resource_type=OS::Nothing", "cores", 404),
        ("", "hw_cores", 404),
        ("", "cores", 200),
    ] {
        let answer = app
            .client
            .get(&format!("{path}/properties/{name}{query}"))
            .await;
        assert_eq!(answer.status, status, "{name}{query}");
        if status == 200 {
            assert_eq!(answer.json()["name"], name, "{query}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn put_replaces_the_attributes_and_leaves_what_is_in_it() {
    let app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    let before = app.client.get(&path).await.json();
    let body = json!({"namespace": "H", "description": "new", "tags": [{"name": "ignored"}]});
    let answer = put(&app.client, &path, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let changed = answer.json();
    assert_eq!(changed["description"], "new");
    assert_eq!(changed.get("display_name"), None, "left out: its default");
    assert_eq!(changed["visibility"], "private");
    assert_eq!(changed["owner"], "admin", "left out: the caller's project");
    let after = app.client.get(&path).await.json();
    for key in [
        "created_at",
        "properties",
        "objects",
        "tags",
        "resource_type_associations",
    ] {
        assert_eq!(after[key], before[key], "{key}");
    }
    app.finish().await;
}

#[tokio::test]
async fn renamed_namespace_keeps_what_is_in_it() {
    let app = TestApp::start().await;
    let path = make(&app.client, &hardware("Old")).await;
    let answer = put(&app.client, &path, &json!({"namespace": "New name"})).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["self"], format!("{NS}/New%20name"));
    assert_eq!(app.client.get(&path).await.status, StatusCode::NOT_FOUND);
    let new = format!("{NS}/New%20name");
    let shown = app.client.get(&new).await.json();
    assert_eq!(keys(&shown["properties"]), ["cores", "arch"]);
    assert_eq!(shown["objects"][0]["self"], format!("{new}/objects/Disk"));
    let tag = app.client.get(&format!("{new}/tags/fast")).await;
    assert_eq!(tag.status, StatusCode::OK);
    make(&app.client, &json!({"namespace": "Old"})).await;
    app.finish().await;
}

#[tokio::test]
async fn deleted_namespace_takes_everything_in_it_along() {
    let app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    let answer = app.client.delete(&path).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    for path in [
        path.clone(),
        format!("{path}/tags"),
        format!("{path}/properties/cores"),
    ] {
        assert_eq!(
            app.client.get(&path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    make(&app.client, &json!({"namespace": "H"})).await;
    let shown = app.client.get(&path).await.json();
    assert_eq!(shown.get("properties"), None);
    let database = app.database().await;
    let (rows,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM metadef_parts")
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(rows, 0);
    database.close().await;
    app.finish().await;
}

#[tokio::test]
async fn properties_are_listed_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let path = format!(
        "{}/properties",
        make(&app.client, &json!({"namespace": "N"})).await
    );
    let empty = app.client.get(&path).await;
    assert_eq!(empty.json(), json!({"properties": {}}));
    let body = json!({"name": "p", "title": "P", "type": "array", "items": {"type": "string"}, "default": ["x"]});
    let made = app.client.post_json(&path, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(made.json(), body);
    let one = format!("{path}/p");
    assert_eq!(app.client.get(&one).await.json(), body);
    let listed = app.client.get(&path).await.json();
    let mut without_name = body.clone();
    without_name.as_object_mut().unwrap().remove("name");
    assert_eq!(listed, json!({"properties": {"p": without_name}}));

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
    assert_eq!(
        empty,
        json!({"objects": [], "first": path, "schema": schema})
    );
    let made = app
        .client
        .post_json(&path, &json!({"name": "an object"}))
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
    let schema = "/v2/schemas/metadefs/tags";
    assert_eq!(empty, json!({"tags": [], "first": path, "schema": schema}));
    let one = format!("{path}/sch%C3%B6n");
    let made = app.client.send(Method::POST, &one, &JSON, full("")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    assert_eq!(keys(&made), ["name", "created_at", "updated_at"]);
    assert_eq!(made["name"], "schön");
    assert_eq!(app.client.get(&one).await.json(), made);
    assert_eq!(app.client.get(&path).await.json()["tags"], json!([made]));

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
async fn definitions_are_there_after_a_restart() {
    let mut app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    let before = app.client.get(&path).await.json();
    app.restart().await;
    assert_eq!(app.client.get(&path).await.json(), before);
    app.finish().await;
}
