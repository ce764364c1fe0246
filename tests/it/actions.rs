//! Tags, deactivation and reactivation (contract 1.6).

use http::Method;
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::content;

async fn act(client: &Client, method: Method, id: &str, rest: &str) -> Answer {
    client
        .send(method, &format!("/v2/images/{id}/{rest}"), &[], full(""))
        .await
}

#[tokio::test]
async fn tags_are_a_set_of_utf8_strings() {
    let app = TestApp::start().await;
    let id = app.client.create(&json!({"tags": ["b"]})).await;
    for (method, rest, status) in [
        (Method::PUT, "tags/a", 204),
        (Method::PUT, "tags/a", 204),
        (Method::PUT, "tags/gr%C3%BCn%20x", 204),
        (Method::DELETE, "tags/b", 204),
        (Method::DELETE, "tags/b", 404),
        (Method::GET, "tags/a", 405),
        (Method::PUT, "tags/%ff", 400),
    ] {
        let answer = act(&app.client, method.clone(), &id, rest).await;
        assert_eq!(answer.status, status, "{method} {rest}: {}", answer.text());
    }
    assert_eq!(app.client.image(&id).await["tags"], json!(["a", "grün x"]));
    let long = format!("tags/{}", "x".repeat(256));
    assert_eq!(act(&app.client, Method::PUT, &id, &long).await.status, 400);
    let nowhere = "0a1b2c3d-0000-4000-8000-00000000abcd";
    assert_eq!(
        act(&app.client, Method::PUT, nowhere, "tags/a")
            .await
            .status,
        404
    );
    app.finish().await;
}

#[tokio::test]
async fn one_tag_more_than_the_quota_is_refused() {
    let tables = "[images]\ntag_quota = 1".to_owned();
    let app = TestApp::with(Options {
        tables,
        ..Options::default()
    })
    .await;
    let id = app.client.create(&json!({"tags": ["a"]})).await;
    assert_eq!(
        act(&app.client, Method::PUT, &id, "tags/b").await.status,
        413
    );
    assert_eq!(
        act(&app.client, Method::PUT, &id, "tags/a").await.status,
        204
    );
    assert_eq!(app.client.image(&id).await["tags"], json!(["a"]));
    app.finish().await;
}

#[tokio::test]
async fn deactivation_is_idempotent_and_needs_data() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(10)).await;
    for (rest, status) in [
        ("actions/reactivate", "active"),
        ("actions/deactivate", "deactivated"),
        ("actions/deactivate", "deactivated"),
        ("actions/reactivate", "active"),
    ] {
        assert_eq!(
            act(&app.client, Method::POST, &id, rest).await.status,
            204,
            "{rest}"
        );
        assert_eq!(app.client.status(&id).await, status, "{rest}");
    }
    let queued = app.client.create_image().await;
    assert_eq!(
        act(&app.client, Method::POST, &queued, "actions/deactivate")
            .await
            .status,
        403
    );
    let with_body = app
        .client
        .send(
            Method::POST,
            &format!("/v2/images/{id}/actions/deactivate"),
            &[],
            full("{}"),
        )
        .await;
    assert_eq!(with_body.status, 400);
    app.finish().await;
}
