//! Metadata definitions: what every route answers when it goes well (contract 1.9).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, Client, full};

pub const NS: &str = "/v2/metadefs/namespaces";
pub const JSON: [(&str, &str); 1] = [("accept", "application/json")];

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

pub fn keys(value: &Value) -> Vec<&str> {
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
    let mut made = made.json();
    assert_eq!(made["tags"], body["tags"], "as they were sent");
    made["tags"].as_array_mut().unwrap().reverse();
    assert_eq!(made, shown);
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
    ] {
        assert_eq!(shown[key], body[key], "{key}");
    }
    assert_eq!(names(&shown, "tags", "name"), ["slow", "fast"]);
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
async fn definitions_are_there_after_a_restart() {
    let mut app = TestApp::start().await;
    let path = make(&app.client, &hardware("H")).await;
    let before = app.client.get(&path).await.json();
    app.restart().await;
    assert_eq!(app.client.get(&path).await.json(), before);
    app.finish().await;
}
