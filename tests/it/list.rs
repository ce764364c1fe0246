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
async fn an_id_in_capitals_is_found_as_the_image_it_names() {
    let app = TestApp::start().await;
    let id = app.client.create(&json!({"name": "this"})).await;
    app.client.create(&json!({"name": "other"})).await;
    let capitals = id.to_uppercase();
    for query in [
        format!("id={id}"),
        format!("id={capitals}"),
        format!("id=eq:{capitals}"),
        format!("id=in:{capitals},{}", uuid::Uuid::new_v4()),
    ] {
        assert_eq!(names(&app, &query).await, ["this"], "{query}");
    }
    assert_eq!(names(&app, "id=THIS").await, Vec::<String>::new());
    app.finish().await;
}

#[tokio::test]
async fn everything_repeated_in_a_query_has_a_bound() {
    let app = with_images().await;
    let marker = app.client.create(&json!({"name": "zzz"})).await;
    let joined = |word: &str, count: usize, by: &str| vec![word; count].join(by);
    // At its bound each answers; over it the refusal names parameter and bound.
    for (path, text, word, by, bound, parameter) in [
        ("/v2/images", "tag=", "x", "&tag=", 100, "'tag'"),
        ("/v2/images", "hw_cpu=", "4", "&hw_cpu=", 100, "'hw_cpu'"),
        (
            "/v2/images",
            "min_ram_min=",
            "0",
            "&min_ram_min=",
            100,
            "'min_ram_min'",
        ),
        ("/v2/images", "name=in:", "one", ",", 500, "'name'"),
        ("/v2/images", "sort=", "id", ",", 8, "'sort'"),
        (
            "/v2/images",
            "sort_key=",
            "id",
            "&sort_key=",
            8,
            "'sort_key'",
        ),
        (
            "/v2/tasks",
            "status=",
            "success",
            "&status=",
            100,
            "'status'",
        ),
        ("/v2/metadefs/namespaces", "x=", "y", "&x=", 100, "'x'"),
        (
            "/v2/metadefs/namespaces",
            "resource_types=",
            "T",
            ",",
            500,
            "'resource_types'",
        ),
    ] {
        let ask = |count| format!("{path}?{text}{}", joined(word, count, by));
        let answer = app.client.get(&ask(bound)).await;
        assert_eq!(answer.status, 200, "{parameter}: {}", answer.text());
        let refused = app.client.get(&ask(bound + 1)).await;
        assert_eq!(refused.status, 400, "{parameter}");
        let message = refused.text();
        let bound = bound.to_string();
        assert!(
            message.contains(parameter) && message.contains(&bound),
            "{message}"
        );
    }
    // The list that once asked for gigabytes, and all bounds at once behind a marker.
    let bomb = format!("sort=name:asc,{}", joined("id", 5000, ","));
    for query in [bomb, format!("sort=name:asc,{}", joined("id", 200, ","))] {
        let path = format!("/v2/images?marker={marker}&{query}");
        assert_eq!(app.client.get(&path).await.status, 400);
    }
    let most = format!(
        "marker={marker}&sort=name:asc,status,size:asc,disk_format&name=in:{}&{}",
        joined("one", 500, ","),
        joined("tag=x", 97, "&"),
    );
    assert_eq!(names(&app, &most).await, Vec::<String>::new());
    app.finish().await;
}

#[tokio::test]
async fn equality_is_on_the_whole_text_also_behind_a_nul() {
    let app = TestApp::start().await;
    if !app.is_sqlite() {
        // No text there has a NUL, and asking for one is told.
        let answer = app.client.get("/v2/images?p=a%00b").await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        return app.finish().await;
    }
    let create = async |body: &Value| {
        app.client.create(body).await;
    };
    create(&json!({"name": "a\0b", "p": "a\0b", "tags": ["a\0b"]})).await;
    create(&json!({"name": "a", "p": "a", "tags": ["a"]})).await;
    for (value, expected) in [("a%00b", "a\0b"), ("a", "a"), ("a%00", "")] {
        for query in [
            format!("p={value}"),
            format!("p={value}&sort=name"),
            format!("name={value}"),
            format!("tag={value}"),
            format!("p={value}&name={value}&tag={value}"),
        ] {
            assert_eq!(names(&app, &query).await.join(" "), expected, "{query:?}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn times_are_compared_with_their_fractions_as_they_are_shown() {
    let app = TestApp::start().await;
    let id = app.client.create(&json!({"name": "it"})).await;
    let at = app.client.image(&id).await["created_at"]
        .as_str()
        .unwrap()
        .trim_end_matches('Z')
        .to_owned();
    for (operator, whole, half) in [
        ("lt", false, true),
        ("lte", true, true),
        ("gt", false, false),
        ("gte", true, false),
        ("eq", true, false),
        ("neq", false, true),
    ] {
        for (time, expected) in [(format!("{at}Z"), whole), (format!("{at},5"), half)] {
            let query = format!("created_at={operator}:{time}");
            let is_there = !names(&app, &query).await.is_empty();
            assert_eq!(is_there, expected, "{query}");
        }
    }
    for form in [
        "2020-01-01%2000:00:00",
        "2020-01-01%2000:00:00%2B00:00",
        "2020-01",
        "2020-01-01T00",
        "2020-01-01T00:00:00%2B0200",
    ] {
        assert_eq!(names(&app, &format!("created_at=gte:{form}")).await, ["it"]);
    }
    app.finish().await;
}

#[tokio::test]
async fn ties_of_one_key_follow_its_direction_and_old_words_are_properties() {
    let app = TestApp::start().await;
    for name in ["first", "second", "third"] {
        let body = json!({"name": name, "disk_format": "raw"});
        app.client.create(&body).await;
    }
    for query in ["sort=disk_format:asc", "sort_key=disk_format&sort_dir=asc"] {
        let found = names(&app, query).await;
        assert_eq!(found, ["first", "second", "third"], "{query}");
    }
    let found = names(&app, "sort=disk_format:desc").await;
    assert_eq!(found, ["third", "second", "first"]);
    assert!(names(&app, "is_public=true").await.is_empty());
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
