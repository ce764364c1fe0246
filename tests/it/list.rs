//! `GET /v2/images`: filters, order, pages (contract 4.9).

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::content;

/// Names of a list, in its order.
async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let answer = app.client.get(&format!("/v2/images?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    names_of(&answer.json())
}

fn names_of(page: &Value) -> Vec<String> {
    let images = page["images"].as_array().unwrap();
    images
        .iter()
        .map(|image| image["name"].as_str().unwrap_or("null").to_owned())
        .collect()
}

async fn with_images() -> TestApp {
    let app = TestApp::start().await;
    for body in [
        json!({"name": "one", "tags": ["x"], "disk_format": "raw", "hw_cpu": "4", "hw_min": "3"}),
        json!({"name": "two", "tags": ["x", "y"], "disk_format": "qcow2", "min_ram": 512, "protected": true}),
        json!({"name": "foo:bar", "visibility": "public", "min_ram": 1024}),
        json!({"name": "a,b & c", "visibility": "community", "os_hidden": true}),
        json!({"name": null}),
    ] {
        app.client.create(&body).await;
    }
    app
}

#[tokio::test]
async fn filters_narrow_the_list_and_all_of_them_hold() {
    let app = with_images().await;
    for (query, expected) in [
        ("sort=name:asc", "null foo:bar one two"),
        ("name=one", "one"),
        ("name=foo:bar", "foo:bar"),
        ("name=in:one,two&sort_key=name&sort_dir=asc", "one two"),
        ("tag=x&sort=name:asc", "one two"),
        ("tag=x&tag=y", "two"),
        ("hw_cpu=4", "one"),
        ("hw_min=3", "one"),
        ("hw_cpu=5", ""),
        ("disk_format=raw", "one"),
        ("min_ram_min=512&sort=name:asc", "foo:bar two"),
        ("min_ram_max=512&min_ram_min=1", "two"),
        ("protected=true", "two"),
        ("status=active", ""),
        ("status=deleted", ""),
        ("visibility=public", "foo:bar"),
        ("os_hidden=true", "a,b & c"),
        ("owner=nobody", ""),
        ("created_at=gt:2000-01-01&name=one", "one"),
        ("created_at=lt:2000-01-01", ""),
        ("properties=x", ""),
    ] {
        assert_eq!(names(&app, query).await.join(" "), expected, "{query}");
    }
    app.finish().await;
}

#[tokio::test]
async fn size_filters_look_at_the_data() {
    let app = TestApp::start().await;
    let small = app.client.upload(content::bytes(10)).await;
    app.client.upload(content::bytes(100)).await;
    let found = app
        .client
        .get("/v2/images?size_max=50&status=active")
        .await
        .json();
    assert_eq!(found["images"].as_array().unwrap().len(), 1);
    assert_eq!(found["images"][0]["id"], small);
    app.finish().await;
}

#[tokio::test]
async fn pages_join_to_the_whole_list_in_every_order() {
    let app = with_images().await;
    for order in [
        "",
        "sort=name:asc",
        "sort=name:desc",
        "sort=disk_format:asc,name:desc",
        "sort=size",
        "sort_key=id&sort_dir=asc",
    ] {
        let whole = names(&app, order).await;
        assert_eq!(whole.len(), 4, "{order}");
        let mut joined = Vec::new();
        let mut next = Some(format!("/v2/images?limit=1&{order}"));
        while let Some(path) = next {
            let page = app.client.get(&path).await.json();
            joined.extend(names_of(&page));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(joined, whole, "{order}");
    }
    app.finish().await;
}

#[tokio::test]
async fn next_link_keeps_repeated_keys() {
    let app = with_images().await;
    app.client
        .create(&json!({"name": "both", "tags": ["x", "y"]}))
        .await;
    let first = app
        .client
        .get("/v2/images?tag=x&tag=y&limit=1&sort=name:asc")
        .await
        .json();
    assert_eq!(names_of(&first), ["both"]);
    assert_eq!(
        first["first"],
        "/v2/images?tag=x&tag=y&limit=1&sort=name:asc"
    );
    let second = app.client.get(first["next"].as_str().unwrap()).await.json();
    assert_eq!(names_of(&second), ["two"]);
    app.finish().await;
}
