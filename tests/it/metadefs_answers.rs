//! Metadata definitions: how answers look where the reference service has a way of its own.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::metadefs::{JSON, NS, hardware, keys, make, names, put};
use crate::support::app::{Options, TestApp};
use crate::support::client::full;

fn bare_objects(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| json!({"name": format!("o{n}")}))
        .collect()
}

#[tokio::test]
async fn empty_list_of_tags_deletes_nothing() {
    let app = TestApp::start().await;
    let path = format!("{}/tags", make(&app.client, &hardware("H")).await);
    for append in ["False", "True"] {
        let mut headers = JSON.to_vec();
        headers.push(("x-openstack-append", append));
        let body = full(json!({"tags": []}).to_string());
        let answer = app.client.send(Method::POST, &path, &headers, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{append}");
        assert_eq!(answer.json(), json!({"tags": []}), "{append}");
        let there = app.client.get(&path).await.json();
        assert_eq!(names(&there, "tags", "name"), ["slow", "fast"], "{append}");
    }
    app.finish().await;
}

#[tokio::test]
async fn objects_are_listed_all_at_once_and_oldest_first() {
    let app = TestApp::with(Options {
        tables: "[images]\nlimit_default = 2\nlimit_max = 3\n".into(),
        ..Options::default()
    })
    .await;
    let body = json!({"namespace": "N", "objects": bare_objects(5)});
    let path = format!("{}/objects", make(&app.client, &body).await);
    for query in ["", "?visibility=public", "?something=else"] {
        let list = app.client.get(&format!("{path}{query}")).await.json();
        assert_eq!(keys(&list), ["objects", "schema"], "{query}");
        let found = names(&list, "objects", "name");
        assert_eq!(found, ["o0", "o1", "o2", "o3", "o4"], "{query}");
    }
    app.finish().await;
}

#[tokio::test]
async fn pages_of_objects_come_to_those_who_ask_for_them() {
    let app = TestApp::start().await;
    let body = json!({"namespace": "N", "objects": bare_objects(5)});
    let path = format!("{}/objects", make(&app.client, &body).await);
    let page = app.client.get(&format!("{path}?limit=2")).await.json();
    assert_eq!(keys(&page), ["objects", "first", "next", "schema"]);
    assert_eq!(names(&page, "objects", "name"), ["o0", "o1"]);
    assert_eq!(page["next"], format!("{path}?limit=2&marker=o1"));
    for (query, expected) in [
        ("marker=o2", "o3 o4"),
        ("sort_dir=desc", "o4 o3 o2 o1 o0"),
        ("sort_key=name", "o0 o1 o2 o3 o4"),
        ("limit=0", ""),
    ] {
        let page = app.client.get(&format!("{path}?{query}")).await.json();
        assert_eq!(keys(&page), ["objects", "first", "schema"], "{query}");
        let found = names(&page, "objects", "name").join(" ");
        assert_eq!(found, expected, "{query}");
    }
    app.finish().await;
}

#[tokio::test]
async fn tags_of_a_namespace_are_shown_newest_first() {
    let app = TestApp::start().await;
    let body = json!({"namespace": "N", "tags": [{"name": "b"}, {"name": "c"}, {"name": "a"}]});
    let made = app.client.post_json(NS, &body).await.json();
    assert_eq!(names(&made, "tags", "name"), ["b", "c", "a"], "as sent");
    let path = format!("{NS}/N");
    let shown = app.client.get(&path).await.json();
    assert_eq!(names(&shown, "tags", "name"), ["a", "c", "b"]);
    let listed = app.client.get(&format!("{path}/tags")).await.json();
    assert_eq!(listed["tags"], shown["tags"]);
    app.finish().await;
}

#[tokio::test]
async fn listed_properties_have_their_names_inside() {
    let app = TestApp::start().await;
    let path = format!("{}/properties", make(&app.client, &hardware("H")).await);
    let body = json!({"name": "p", "title": "P", "type": "string"});
    app.client.post_json(&path, &body).await;
    let listed = app.client.get(&path).await.json();
    assert_eq!(keys(&listed["properties"]), ["cores", "arch", "p"]);
    for name in keys(&listed["properties"]) {
        let property = &listed["properties"][name];
        assert_eq!(property["name"], name);
        let shown = app.client.get(&format!("{path}/{name}")).await.json();
        assert_eq!(*property, shown);
    }
    app.finish().await;
}

#[tokio::test]
async fn default_of_a_property_is_text_or_null() {
    let app = TestApp::start().await;
    let path = make(&app.client, &json!({"namespace": "N"})).await;
    for (sent, shown) in [
        (json!("ö"), json!("ö")),
        (json!(3), json!("3")),
        (json!(-1.5), json!("-1.5")),
        (json!(2.0), json!("2.0")),
        (json!(1e16), json!("1e+16")),
        (json!(0.00001), json!("1e-05")),
        (json!(true), json!("True")),
        (json!(["x"]), json!(null)),
        (json!({"x": 1}), json!(null)),
        (json!(null), json!(null)),
    ] {
        let body = json!({"name": "p", "title": "P", "type": "string", "default": sent});
        let properties = format!("{path}/properties");
        let one = format!("{properties}/p");
        let made = app.client.post_json(&properties, &body).await.json();
        let changed = put(&app.client, &one, &body).await.json();
        let read = app.client.get(&one).await.json();
        let listed = app.client.get(&properties).await.json()["properties"]["p"].clone();
        let inside = app.client.get(&path).await.json()["properties"]["p"].clone();
        for property in [made, changed, read, listed, inside] {
            assert_eq!(property["default"], shown, "{sent}: {property}");
            assert!(keys(&property).contains(&"default"), "{property}");
        }
        app.client.delete(&one).await;
        let object = json!({"name": "o", "properties": {"p": body}});
        let objects = format!("{path}/objects");
        let made = app.client.post_json(&objects, &object).await.json();
        assert_eq!(made["properties"]["p"]["default"], shown, "{sent}");
        app.client.delete(&format!("{objects}/o")).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn listed_tags_have_nothing_but_names() {
    let app = TestApp::start().await;
    let path = format!("{}/tags", make(&app.client, &hardware("H")).await);
    let whole = json!({"tags": [{"name": "slow"}, {"name": "fast"}]});
    assert_eq!(app.client.get(&path).await.json(), whole);
    let page = app.client.get(&format!("{path}?limit=1")).await.json();
    assert_eq!(page, json!({"tags": [{"name": "slow"}]}));
    let next = format!("{path}?limit=1&marker=slow");
    let page = app.client.get(&next).await.json();
    assert_eq!(page, json!({"tags": [{"name": "fast"}]}));
    app.finish().await;
}

#[tokio::test]
async fn object_is_answered_without_the_keys_that_were_not_sent() {
    let app = TestApp::start().await;
    let bare = json!({"name": "o"});
    let always = ["name", "created_at", "updated_at", "self", "schema"];
    let with_empty = json!({"name": "e", "required": [], "properties": {}});
    let body = json!({"namespace": "N", "objects": [bare, with_empty]});
    let made = app.client.post_json(NS, &body).await.json();
    assert_eq!(keys(&made["objects"][0]), always);
    assert_eq!(made["objects"][1]["required"], json!([]));
    assert_eq!(made["objects"][1]["properties"], json!({}));

    let objects = format!("{NS}/N/objects");
    let one = format!("{objects}/o");
    app.client.delete(&one).await;
    let made = app.client.post_json(&objects, &bare).await.json();
    assert_eq!(keys(&made), always);
    let changed = put(&app.client, &one, &bare).await.json();
    assert_eq!(keys(&changed), always);

    // Only of the request: who reads it finds both, empty.
    let shown = app.client.get(&one).await.json();
    assert_eq!(shown["required"], json!([]));
    assert_eq!(shown["properties"], json!({}));
    let listed = app.client.get(&objects).await.json();
    assert_eq!(listed["objects"][1], shown);
    let namespace = app.client.get(&format!("{NS}/N")).await.json();
    assert_eq!(namespace["objects"][1], shown);
    app.finish().await;
}
