//! Limits of rate and concurrency, a project at a time.

use http::StatusCode;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Client, full};
use crate::support::tokens::{Tokens, entry};
use crate::support::upload::{MIB, fed, until_status};
use crate::support::{content, eventually};

async fn site(tokens: &Tokens, limits: &str) -> (TestApp, Client, Client) {
    let tables = format!("[limits]\n{limits}\n");
    let app = tokens
        .start(Options {
            tables,
            ..Options::default()
        })
        .await;
    let (member, other) = (
        app.client.with_token("member-token"),
        app.client.with_token("stranger-token"),
    );
    (app, member, other)
}

#[tokio::test]
async fn requests_over_the_rate_are_429_for_that_project_alone_and_pass_later() {
    let tokens = Tokens::new();
    let (app, member, other) = site(&tokens, "requests_per_second = 2\nburst = 5").await;
    let mut refused = None;
    for _ in 0..50 {
        let answer = member.get("/v2/schemas/image").await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("fifty requests at once are too many");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        refused.text().contains("too many requests"),
        "{}",
        refused.text()
    );
    assert_eq!(other.get("/v2/schemas/image").await.status, StatusCode::OK);
    eventually("the share grows again", async || {
        (member.get("/v2/schemas/image").await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert!(app.metric("oriel_limited_total{limit=\"requests\"}").await >= 1.0);
    // What needs no token is not counted.
    assert_eq!(member.get("/versions").await.status, StatusCode::OK);
    let mut app = app;
    app.shut_down().await;
}

#[tokio::test]
async fn services_are_not_limited() {
    let tokens = Tokens::new();
    let admin = entry("admin-token", Some("site"), "\"admin\"");
    let service = entry("service-token", Some("services"), "\"service\"");
    tokens.write(&(admin + &service));
    let (app, ..) = site(&tokens, "requests_per_second = 1\nburst = 1").await;
    let service = app.client.with_token("service-token");
    for _ in 0..20 {
        assert_eq!(
            service.get("/v2/schemas/image").await.status,
            StatusCode::OK
        );
    }
    let mut app = app;
    app.shut_down().await;
}

#[tokio::test]
async fn an_upload_too_many_is_429_before_its_body_and_passes_after_the_first() {
    let tokens = Tokens::new();
    let (app, member, other) = site(&tokens, "uploads = 1").await;
    let (first, second) = (member.create_image().await, member.create_image().await);
    let (feed, body) = fed();
    let (upload, ()) = tokio::join!(member.put_file(&first, &[], body), async {
        assert!(feed.send(content::slice(0, MIB)).await);
        until_status(&member, &first, "saving").await;
        let refused = member
            .put_file(&second, &[], full(content::bytes(MIB)))
            .await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.header("retry-after"), Some("5"));
        assert_eq!(member.status(&second).await, "queued");
        other.upload("data".into()).await;
        drop(feed);
    });
    assert_eq!(upload.status, StatusCode::NO_CONTENT);
    let passed = member
        .put_file(&second, &[], full(content::bytes(MIB)))
        .await;
    assert_eq!(passed.status, StatusCode::NO_CONTENT);
    app.finish().await;
}

#[tokio::test]
async fn a_download_holds_its_place_to_its_end_or_until_the_client_goes() {
    let tokens = Tokens::new();
    let (app, member, _) = site(&tokens, "downloads = 1").await;
    let id = member.upload(content::bytes(64 * MIB)).await;
    let path = format!("/v2/images/{id}/file");
    let open = async || {
        member
            .open(http::Method::GET, &path, &[], full(""))
            .await
            .unwrap()
    };
    let going = open().await;
    assert_eq!(going.status(), StatusCode::OK);
    let refused = member.get(&path).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    drop(going);
    eventually("the place of a client that has gone is free", async || {
        let answer = open().await;
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    eventually("a whole download frees its place as well", async || {
        let whole = member.get(&path).await;
        (whole.status == StatusCode::OK).then(|| assert_eq!(whole.body.len() as u64, 64 * MIB))
    })
    .await;
    eventually("and the next finds it", async || {
        (member.get(&path).await.status == StatusCode::OK).then_some(())
    })
    .await;
    app.finish().await;
}
