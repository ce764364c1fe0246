//! `GET /v2/images`: pages, scoping and what a query may say (contract 4.9).

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::Client;
use crate::support::tokens::Tokens;

fn ids(page: &Value) -> Vec<String> {
    let images = page["images"].as_array().unwrap();
    images
        .iter()
        .map(|image| image["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn names(client: &Client) -> BTreeSet<String> {
    let page = client.get("/v2/images").await.json();
    let images = page["images"].as_array().unwrap();
    images
        .iter()
        .map(|image| image["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn create(app: &TestApp, count: usize) -> Vec<String> {
    let mut made = Vec::new();
    for n in 0..count {
        made.push(app.client.create(&json!({"name": format!("i{n}")})).await);
    }
    made.reverse();
    made
}

#[tokio::test]
async fn empty_list_has_its_links_and_no_next() {
    let app = TestApp::start().await;
    let answer = app.client.get("/v2/images").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({"images": [], "first": "/v2/images", "schema": "/v2/schemas/images"})
    );
    app.finish().await;
}

#[tokio::test]
async fn listed_image_is_the_record_that_show_gives() {
    let app = TestApp::start().await;
    let body = json!({"name": "n", "tags": ["t"], "hw_disk_bus": "scsi", "disk_format": "raw", "container_format": "bare"});
    let id = app.client.create(&body).await;
    app.client
        .put_file(&id, &[], crate::support::client::full("data"))
        .await;
    let page = app.client.get("/v2/images").await.json();
    assert_eq!(page["images"], json!([app.client.image(&id).await]));
    app.finish().await;
}

#[tokio::test]
async fn pages_follow_next_newest_first_without_gap_or_repeat() {
    let app = TestApp::start().await;
    let made = create(&app, 7).await;
    for limit in [1, 2, 3, 7, 8] {
        let mut path = format!("/v2/images?limit={limit}");
        let first = path.clone();
        let mut found = Vec::new();
        loop {
            let page = app.client.get(&path).await.json();
            let ids = ids(&page);
            assert_eq!(page["first"], *first);
            // Present exactly when the page is full, also when nothing follows.
            assert_eq!(page["next"].is_string(), ids.len() == limit, "{path}");
            if let Some(last) = ids.last().filter(|_| ids.len() == limit) {
                assert_eq!(page["next"], format!("{first}&marker={last}"));
            }
            found.extend(ids);
            match page["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(found, made, "limit {limit}");
    }
    app.finish().await;
}

/// Follows the pages of a list; how many images each had.
async fn page_lengths(app: &TestApp, query: &str) -> (Vec<usize>, Vec<String>) {
    let (mut lengths, mut found) = (Vec::new(), Vec::new());
    let mut next = Some(format!("/v2/images?{query}"));
    while let Some(path) = next {
        let answer = app.client.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let page = answer.json();
        let ids = ids(&page);
        if !ids.is_empty() {
            lengths.push(ids.len());
        }
        found.extend(ids);
        next = page["next"].as_str().map(str::to_owned);
    }
    (lengths, found)
}

#[tokio::test]
async fn page_of_large_records_ends_early_and_the_next_goes_on() {
    let app = TestApp::start().await;
    let value = "v".repeat(200 * 1024);
    let mut made = Vec::new();
    for n in 0..23 {
        let body = json!({"name": format!("i{n}"), "p": value});
        made.push(app.client.create(&body).await);
    }
    made.reverse();
    let mut app = app;
    // Ten of them are 2 MiB; from memory, and then from the database.
    for _ in 0..2 {
        let (lengths, found) = page_lengths(&app, "limit=1000").await;
        assert_eq!(lengths, [10, 10, 3]);
        assert_eq!(found, made);
        app.restart().await;
    }
    app.finish().await;
}

#[tokio::test]
async fn images_that_are_larger_than_the_bounds_of_today_stay_servable() {
    let app = TestApp::start().await;
    let made = create(&app, 3).await;
    let mut app = app;
    app.shut_down().await;
    let database = app.database().await;
    for id in &made {
        for n in 0..6 {
            sqlx::query("INSERT INTO image_properties VALUES ($1, $2, $3, (SELECT created_at FROM images WHERE id = $1))")
                .bind(id)
                .bind(format!("p{n}"))
                .bind("v".repeat(1 << 20))
                .execute(&database)
                .await
                .unwrap();
        }
    }
    database.close().await;
    app.restart().await;
    let (lengths, found) = page_lengths(&app, "limit=1000").await;
    assert_eq!((lengths, &found), (vec![1, 1, 1], &made));
    let image = app.client.image(&made[0]).await;
    assert_eq!(image["p5"].as_str().map(str::len), Some(1 << 20));
    let path = format!("/v2/images/{}", made[0]);
    for (operation, status) in [
        (json!({"op": "add", "path": "/more", "value": "x"}), 413),
        (json!({"op": "replace", "path": "/p1", "value": "x"}), 200),
        (json!({"op": "add", "path": "/name", "value": "x"}), 200),
        (json!({"op": "remove", "path": "/p2"}), 200),
    ] {
        let answer = crate::support::client::patch(&app.client, &path, json!([operation])).await;
        assert_eq!(answer.status, status, "{operation}");
    }
    app.finish().await;
}

/// Records come from memory and pages from the database: each page still is of one moment.
#[tokio::test]
async fn page_beside_changes_holds_only_what_fulfils_its_conditions() {
    let app = TestApp::start().await;
    let made = create(&app, 4).await;
    let change = async |turn: usize| {
        for id in &made {
            let name = if turn.is_multiple_of(2) {
                "even"
            } else {
                "odd"
            };
            let body = json!([{"op": "add", "path": "/name", "value": name}]);
            let path = format!("/v2/images/{id}");
            let answer = crate::support::client::patch(&app.client, &path, body).await;
            assert_eq!(answer.status, StatusCode::OK);
        }
    };
    change(0).await;
    let mut listed = 0;
    for turn in 1..60 {
        let lists = async {
            let mut listed = 0;
            for _ in 0..12 {
                let page = app.client.get("/v2/images?name=even").await.json();
                for image in page["images"].as_array().unwrap() {
                    assert_eq!(image["name"], "even");
                    listed += 1;
                }
            }
            listed
        };
        let (now, ()) = tokio::join!(lists, change(turn));
        listed += now;
    }
    assert!(listed > 0);
    app.finish().await;
}

#[tokio::test]
async fn limit_has_a_default_and_a_silent_maximum() {
    let app = TestApp::with(Options {
        tables: "[images]\nlimit_default = 2\nlimit_max = 3\n".into(),
        ..Options::default()
    })
    .await;
    let made = create(&app, 5).await;
    for (query, count) in [
        ("", 2),
        ("?limit=3", 3),
        ("?limit=4", 3),
        ("?limit=99999999999999", 3),
        ("?limit=0", 0),
    ] {
        let page = app.client.get(&format!("/v2/images{query}")).await.json();
        assert_eq!(ids(&page), made[..count], "{query}");
        assert_eq!(page["next"].is_string(), count > 0, "{query}");
    }
    let mut walked = Vec::new();
    let mut path = "/v2/images".to_owned();
    loop {
        let page = app.client.get(&path).await.json();
        walked.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(walked, made, "without a limit of its own");
    app.finish().await;
}

#[tokio::test]
async fn bad_limit_marker_or_filter_is_400_and_named() {
    let app = TestApp::start().await;
    let gone = app.client.create_image().await;
    app.client.delete(&format!("/v2/images/{gone}")).await;
    let deleted = format!("marker={gone}");
    for (query, word) in [
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=x", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1&limit=2", "limit"),
        ("marker=", "marker"),
        ("marker=no-uuid", "marker"),
        ("marker=00000000-0000-4000-8000-000000000000", "marker"),
        (&deleted, "marker"),
        ("changes-since=2026-01-01", "changes-since"),
        ("sort_key=nonsense", "sort_key"),
        ("sort_dir=up", "sort_dir"),
        ("sort_key=name&sort_dir=asc&sort_dir=asc", "sort_dir"),
        ("sort=name:up", "sort"),
        ("sort=", "sort"),
        ("sort=name,,id", "sort"),
        ("sort=name&sort_key=id", "sort"),
        ("visibility=secret", "visibility"),
        ("member_status=maybe", "member_status"),
        ("os_hidden=maybe", "os_hidden"),
        ("protected=True", "protected"),
        ("created_at=gt:yesterday", "created_at"),
        ("updated_at=x", "updated_at"),
        ("size_min=x", "size_min"),
        ("name=in:%22a", "name"),
    ] {
        let answer = app.client.get(&format!("/v2/images?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.text().contains(word), "{query}: {}", answer.text());
    }
    app.finish().await;
}

#[tokio::test]
async fn list_holds_what_the_caller_may_see_and_did_not_hide() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    for (name, owner) in [
        ("own", json!("own")),
        ("foreign", json!("third")),
        ("ownerless", json!(null)),
    ] {
        for visibility in ["private", "shared", "community", "public"] {
            let body = json!({"name": format!("{name}-{visibility}"), "owner": owner, "visibility": visibility});
            app.client.create(&body).await;
        }
    }
    for visibility in ["private", "public"] {
        let body =
            json!({"name": "hidden", "owner": "own", "visibility": visibility, "os_hidden": true});
        app.client.create(&body).await;
    }
    let expect = |more: &[&str]| -> BTreeSet<String> {
        let all = more.iter().chain(&["ownerless-public"]);
        all.map(|name| (*name).to_owned()).collect()
    };
    let own = [
        "own-private",
        "own-shared",
        "own-community",
        "own-public",
        "foreign-public",
    ];
    for (token, expected) in [
        ("member-token", expect(&own)),
        ("reader-token", expect(&own)),
        ("stranger-token", expect(&["own-public", "foreign-public"])),
        (
            "admin-token",
            expect(&[
                "own-private",
                "own-shared",
                "own-public",
                "foreign-private",
                "foreign-shared",
                "foreign-public",
                "ownerless-private",
                "ownerless-shared",
            ]),
        ),
    ] {
        let client = app.client.with_token(token);
        assert_eq!(names(&client).await, expected, "{token}");
    }
    let roleless = app.client.with_token("roleless-token");
    assert_eq!(roleless.get("/v2/images").await.status, 403);
    app.finish().await;
}

#[tokio::test]
async fn marker_must_be_an_image_the_caller_sees() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let id = app.client.create(&json!({"owner": "own"})).await;
    let path = format!("/v2/images?marker={id}");
    for (token, status) in [
        ("member-token", 200),
        ("admin-token", 200),
        ("stranger-token", 403),
    ] {
        let answer = app.client.with_token(token).get(&path).await;
        assert_eq!(answer.status, status, "{token}");
    }
    app.finish().await;
}
