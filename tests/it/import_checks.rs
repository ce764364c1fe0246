//! The checks of `POST /v2/images/{id}/import` in their order (contract 6.3); the numbers are those of the contract.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::import::{ended_task, import};
use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::content;
use crate::support::tokens::{Tokens, entry};
use crate::support::upload::{assert_refused, fed, stage, until_status};

const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

async fn post(client: &Client, id: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut all = vec![("accept", "application/json")];
    all.extend_from_slice(headers);
    let path = format!("/v2/images/{id}/import");
    client
        .send(Method::POST, &path, &all, full(body.to_owned()))
        .await
}

async fn staged(client: &Client) -> String {
    let id = client.create_image().await;
    let staged = stage(client, &id, &[], full(content::bytes(100))).await;
    assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
    id
}

/// Check 1, which comes before the image is looked up.
#[tokio::test]
async fn body_that_says_no_method_is_400() {
    let app = TestApp::start().await;
    for (body, about) in [
        ("", ""),
        ("{", ""),
        ("[]", "object"),
        ("{}", "'method'"),
        (r#"{"method": "glance-direct"}"#, "'method'"),
        (r#"{"method": {}}"#, "'name'"),
        (r#"{"method": {"name": 1}}"#, "'name'"),
        (r#"{"method": {"name": "bad"}}"#, "'bad'"),
        // Known to the reference service, and not to this site.
        (
            r#"{"method": {"name": "glance-download"}}"#,
            "'glance-download'",
        ),
        (
            r#"{"method": {"name": "glance-direct"}, "all_stores": "true"}"#,
            "'all_stores'",
        ),
        (
            r#"{"method": {"name": "glance-direct"}, "all_stores_must_succeed": 1}"#,
            "'all_stores_must_succeed'",
        ),
        (
            r#"{"method": {"name": "glance-direct"}, "stores": "main"}"#,
            "'stores'",
        ),
        (
            r#"{"method": {"name": "glance-direct"}, "stores": [1]}"#,
            "'stores'",
        ),
    ] {
        let answer = post(&app.client, ABSENT, &[], body).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, about);
    }
    app.finish().await;
}

#[tokio::test]
async fn method_that_is_off_is_unknown_and_told_nowhere() {
    let app = TestApp::with(Options {
        tables: "[import]\nmethods = []\n".into(),
        ..Options::default()
    })
    .await;
    let answer = import(&app.client, ABSENT, json!({})).await;
    assert_refused(&answer, StatusCode::BAD_REQUEST, "'glance-direct'");
    let created = app.client.post_json("/v2/images", &json!({})).await;
    assert!(created.header("openstack-image-import-methods").is_none());
    let methods = app.client.get("/v2/info/import").await.json();
    assert_eq!(methods["import-methods"]["value"], json!([]));
    app.finish().await;
}

/// Checks 3 to 5 and 10; each request does not do what the check behind its own asks for.
#[tokio::test]
async fn what_stands_in_the_record_is_checked_in_order() {
    let app = TestApp::start().await;
    let client = &app.client;
    let bad_store = json!({"stores": ["nowhere"]});
    let absent = import(client, ABSENT, bad_store.clone()).await;
    assert_refused(&absent, StatusCode::NOT_FOUND, ABSENT);
    let malformed = import(client, "x", json!({})).await;
    assert_eq!(malformed.status, StatusCode::NOT_FOUND);
    let queued = client.create_image().await;
    let active = client.upload(content::bytes(10)).await;
    for (id, about) in [(&queued, "queued"), (&active, "copy-image")] {
        let answer = import(client, id, bad_store.clone()).await;
        assert_refused(&answer, StatusCode::CONFLICT, about);
    }
    let deactivate = format!("/v2/images/{active}/actions/deactivate");
    client.send(Method::POST, &deactivate, &[], full("")).await;
    let answer = import(client, &active, bad_store).await;
    assert_refused(&answer, StatusCode::CONFLICT, "deactivated");
    app.finish().await;
}

/// Checks 10 and 12.
#[tokio::test]
async fn stores_that_contradict_each_other_are_400_and_unknown_ones_409() {
    let app = TestApp::start().await;
    let id = staged(&app.client).await;
    let header = [("x-image-meta-store", "main")];
    for (headers, more, status, about) in [
        (
            &header[..],
            json!({"stores": ["main"]}),
            StatusCode::BAD_REQUEST,
            "X-Image-Meta-Store",
        ),
        (
            &header[..],
            json!({"all_stores": true}),
            StatusCode::BAD_REQUEST,
            "'all_stores'",
        ),
        (
            &[],
            json!({"all_stores": true, "stores": ["main"]}),
            StatusCode::BAD_REQUEST,
            "'all_stores'",
        ),
        (
            &[],
            json!({"stores": []}),
            StatusCode::BAD_REQUEST,
            "'stores'",
        ),
        (
            &[],
            json!({"stores": ["main", "nowhere"]}),
            StatusCode::CONFLICT,
            "'nowhere'",
        ),
        (
            &[],
            json!({"stores": ["os_glance_staging_store"]}),
            StatusCode::CONFLICT,
            "os_glance_staging_store",
        ),
        (
            &[("x-image-meta-store", "nowhere")],
            json!({}),
            StatusCode::CONFLICT,
            "'nowhere'",
        ),
    ] {
        let mut body: Value = json!({"method": {"name": "glance-direct"}});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = post(&app.client, &id, headers, &body.to_string()).await;
        assert_refused(&answer, status, about);
    }
    assert_eq!(app.client.status(&id).await, "uploading");
    let body = r#"{"method": {"name": "glance-direct"}}"#;
    let answer = post(&app.client, &id, &header, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    until_status(&app.client, &id, "active").await;
    app.finish().await;
}

/// Check 8.
#[tokio::test]
async fn import_is_for_those_who_may_change_the_image() {
    let tokens = Tokens::new();
    tokens.write(
        &[
            entry("admin-token", Some("site"), "\"admin\""),
            entry("member", Some("own"), "\"member\""),
            entry("reader", Some("own"), "\"reader\""),
            entry("other", Some("other"), "\"member\""),
        ]
        .concat(),
    );
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member");
    let id = staged(&member).await;
    let reader = import(&app.client.with_token("reader"), &id, json!({})).await;
    assert_refused(&reader, StatusCode::FORBIDDEN, "modify_image");
    let other = import(&app.client.with_token("other"), &id, json!({})).await;
    assert_refused(&other, StatusCode::NOT_FOUND, &id);
    let staging = stage(&app.client.with_token("other"), &id, &[], full("x")).await;
    assert_eq!(staging.status, StatusCode::NOT_FOUND);
    let answer = import(&member, &id, json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let task = ended_task(&member, &id).await;
    assert_eq!(task["owner"], "own", "{task}");
    app.finish().await;
}

/// Check 9 and 15: of imports at once one is taken.
#[tokio::test]
async fn image_is_imported_by_one_task_alone() {
    let app = TestApp::start().await;
    let id = staged(&app.client).await;
    let imports = (0..8).map(|_| import(&app.client, &id, json!({})));
    let answers = futures_util::future::join_all(imports).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::ACCEPTED);
    assert_eq!(taken.len(), 1);
    for answer in refused {
        assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    }
    until_status(&app.client, &id, "active").await;
    let tasks = app.client.get(&format!("/v2/images/{id}/tasks")).await;
    assert_eq!(tasks.json()["tasks"].as_array().unwrap().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn data_that_is_still_on_its_way_is_not_imported() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let (feed, body) = fed();
    let staging = stage(&app.client, &id, &[], body);
    let importing = async {
        assert!(feed.send(content::bytes(10)).await);
        until_status(&app.client, &id, "uploading").await;
        let answer = import(&app.client, &id, json!({})).await;
        assert_refused(&answer, StatusCode::CONFLICT, "on its way");
        drop(feed);
    };
    let (staged, ()) = tokio::join!(staging, importing);
    assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
    let answer = import(&app.client, &id, json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    until_status(&app.client, &id, "active").await;
    app.finish().await;
}
