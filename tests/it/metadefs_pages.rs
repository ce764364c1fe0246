//! Metadata definitions: pages, filters and sort keys (contract 1.9).

use http::StatusCode;
use serde_json::json;

use super::metadefs::{NS, make, names};
use crate::support::app::{Options, TestApp};
use crate::support::client::Client;
use crate::support::tokens::Tokens;

/// Names on every page from `path` on, following the links as given.
async fn walk(client: &Client, path: &str, list: &str, key: &str) -> Vec<String> {
    let (mut found, mut path) = (Vec::new(), path.to_owned());
    loop {
        let page = client.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
        let page = page.json();
        found.extend(names(&page, list, key));
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => return found,
        }
    }
}

#[tokio::test]
async fn every_page_of_every_order_holds_every_namespace_once() {
    let app = TestApp::start().await;
    let mut by_age = Vec::new();
    for n in [7, 3, 11, 1, 9, 5, 2, 12, 4, 10, 8, 6] {
        let name = format!("n {n:02}&ü");
        make(&app.client, &json!({"namespace": name})).await;
        by_age.push(name);
    }
    // The times of some are the same, as those of a loaded set are.
    let database = app.database().await;
    sqlx::query(
        "UPDATE metadef_namespaces SET created_at = created_at / 1000000 * 1000000, updated_at = 1",
    )
    .execute(&database)
    .await
    .unwrap();
    let order = "SELECT name FROM metadef_namespaces ORDER BY";
    for (key, column) in [
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
        ("namespace", "name"),
    ] {
        for dir in ["asc", "desc"] {
            let sql = format!("{order} {column} {dir}, name {dir}");
            let rows: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .fetch_all(&database)
                .await
                .unwrap();
            let expected: Vec<String> = rows.into_iter().map(|(name,)| name).collect();
            for limit in [1, 4, 5, 12, 100] {
                let path = format!("{NS}?sort_key={key}&sort_dir={dir}&limit={limit}");
                let walked = walk(&app.client, &path, "namespaces", "namespace").await;
                assert_eq!(walked, expected, "{path}");
            }
        }
    }
    database.close().await;
    app.finish().await;
}

#[tokio::test]
async fn newest_come_first_and_links_repeat_the_query() {
    let app = TestApp::with(Options {
        tables: "[images]\nlimit_default = 2\nlimit_max = 3\n".into(),
        ..Options::default()
    })
    .await;
    for name in ["a", "b", "c", "d"] {
        let body = json!({"namespace": name, "visibility": "public", "tags": [{"name": "t"}],
            "resource_type_associations": [{"name": "r"}]});
        make(&app.client, &body).await;
    }
    let page = app.client.get(NS).await.json();
    assert_eq!(names(&page, "namespaces", "namespace"), ["d", "c"]);
    assert_eq!(page["first"], NS);
    assert_eq!(page["next"], format!("{NS}?marker=c"));
    assert_eq!(page["schema"], "/v2/schemas/metadefs/namespaces");
    let entry = page["namespaces"][0].as_object().unwrap();
    assert_eq!(entry["resource_type_associations"][0]["name"], "r");
    assert!(
        !entry.contains_key("tags"),
        "of the parts, associations only"
    );
    let path = format!("{NS}?visibility=public&limit=9&marker=d");
    let page = app.client.get(&path).await.json();
    assert_eq!(names(&page, "namespaces", "namespace"), ["c", "b", "a"]);
    assert_eq!(page["first"], format!("{NS}?visibility=public&limit=9"));
    assert_eq!(
        page["next"],
        format!("{NS}?visibility=public&limit=9&marker=a")
    );
    let none = app.client.get(&format!("{NS}?limit=0")).await.json();
    assert_eq!((&none["namespaces"], none.get("next")), (&json!([]), None));
    app.finish().await;
}

#[tokio::test]
async fn filters_are_visibility_and_resource_types() {
    let app = TestApp::start().await;
    for (name, visibility, types) in [
        ("a", "public", &["image"][..]),
        ("b", "private", &["image", "flavor"]),
        ("c", "public", &["volume"]),
        ("d", "public", &[]),
    ] {
        let types: Vec<_> = types.iter().map(|name| json!({"name": name})).collect();
        let body = json!({"namespace": name, "visibility": visibility, "resource_type_associations": types});
        make(&app.client, &body).await;
    }
    for (query, expected) in [
        ("", "a b c d"),
        ("visibility=public", "a c d"),
        ("visibility=private", "b"),
        ("resource_types=image", "a b"),
        ("resource_types=flavor,volume", "b c"),
        ("resource_types=flavor&resource_types=volume", "b c"),
        ("resource_types=nothing", ""),
        ("resource_types=", "a b c d"),
        ("resource_types=image&visibility=public", "a"),
        ("something=else", "a b c d"),
    ] {
        let path = format!("{NS}?sort_key=namespace&sort_dir=asc&{query}");
        let page = app.client.get(&path).await.json();
        let found = names(&page, "namespaces", "namespace").join(" ");
        assert_eq!(found, expected, "{query}");
    }
    app.finish().await;
}

#[tokio::test]
async fn bad_query_is_400_and_unknown_marker_404() {
    let app = TestApp::start().await;
    let path = make(&app.client, &json!({"namespace": "n"})).await;
    for (query, status) in [
        ("limit=x", 400),
        ("limit=-1", 400),
        ("limit=", 400),
        ("sort_key=owner", 400),
        ("sort_key=", 400),
        ("sort_dir=up", 400),
        ("visibility=shared", 400),
        ("visibility=", 400),
        ("marker=absent", 404),
        ("marker=", 404),
        ("marker=%ff", 400),
    ] {
        let answer = app.client.get(&format!("{NS}?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
        for list in ["objects", "tags"] {
            if !query.starts_with("visibility") {
                let answer = app.client.get(&format!("{path}/{list}?{query}")).await;
                assert_eq!(answer.status, status, "{list} {query}");
            }
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn marker_must_be_a_namespace_the_caller_sees() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    make(&app.client, &json!({"namespace": "n", "owner": "own"})).await;
    for (token, status) in [("reader-token", 200), ("stranger-token", 403)] {
        let client = app.client.with_token(token);
        assert_eq!(
            client.get(&format!("{NS}?marker=n")).await.status,
            status,
            "{token}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn every_page_of_objects_holds_every_object_once() {
    let app = TestApp::start().await;
    let objects: Vec<_> = (0..7).map(|n| json!({"name": format!("o {n}")})).collect();
    let body = json!({"namespace": "n", "objects": objects});
    let path = format!("{}/objects", make(&app.client, &body).await);
    let ascending: Vec<String> = (0..7).map(|n| format!("o {n}")).collect();
    let mut descending = ascending.clone();
    descending.reverse();
    for limit in [1, 3, 7, 50] {
        for (query, expected) in [
            ("", &ascending),
            ("&sort_dir=desc", &descending),
            ("&sort_key=name", &ascending),
            ("&sort_key=name&sort_dir=desc", &descending),
            ("&sort_key=updated_at&sort_dir=asc", &ascending),
        ] {
            let path = format!("{path}?limit={limit}{query}");
            let walked = walk(&app.client, &path, "objects", "name").await;
            assert_eq!(walked, *expected, "{path}");
        }
    }
    let page = app.client.get(&format!("{path}?limit=2")).await.json();
    assert_eq!(page["next"], format!("{path}?limit=2&marker=o%201"));
    app.finish().await;
}

/// They have no links: the last name of a page is the marker of the next.
#[tokio::test]
async fn every_page_of_tags_holds_every_tag_once() {
    let app = TestApp::start().await;
    let tags: Vec<_> = (0..7).map(|n| json!({"name": format!("t{n}")})).collect();
    let path = make(&app.client, &json!({"namespace": "n", "tags": tags})).await;
    for (query, expected) in [
        ("", "t6 t5 t4 t3 t2 t1 t0"),
        ("&sort_dir=asc", "t0 t1 t2 t3 t4 t5 t6"),
        ("&sort_key=name", "t6 t5 t4 t3 t2 t1 t0"),
        ("&sort_key=updated_at&sort_dir=asc", "t0 t1 t2 t3 t4 t5 t6"),
    ] {
        for limit in [1, 3, 7, 50] {
            let path = format!("{path}/tags?limit={limit}{query}");
            let (mut found, mut next) = (Vec::new(), path.clone());
            loop {
                let page = names(&app.client.get(&next).await.json(), "tags", "name");
                let Some(last) = page.last() else { break };
                next = format!("{path}&marker={last}");
                found.extend(page);
            }
            assert_eq!(found.join(" "), expected, "{path}");
        }
    }
    app.finish().await;
}
