//! How seldom Keystone is asked, and how little is kept of what it says.

use futures_util::future::join_all;
use http::StatusCode;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::identity::IdentityServer;

const LIST: &str = "/v2/images";

async fn status(client: &Client) -> StatusCode {
    client.get(LIST).await.status
}

#[tokio::test]
async fn a_hundred_first_requests_with_one_token_are_one_question() {
    let identity = IdentityServer::start().await;
    let app = identity.app("").await;
    identity.close();
    let client = app.client.with_token("good");
    let requests = join_all((0..100).map(|_| status(&client)));
    let opening = async {
        eventually("the question is there", async || {
            (identity.asked("good") > 0).then_some(())
        })
        .await;
        identity.open();
    };
    let (statuses, ()) = tokio::join!(requests, opening);
    assert!(statuses.iter().all(|&status| status == StatusCode::OK));
    assert_eq!(identity.asked("good"), 1);
    assert_eq!(identity.script(|script| script.logins), 1);
    assert_eq!(
        app.metric("oriel_token_validations_total{outcome=\"valid\"}")
            .await,
        1.0
    );
    let miss = app
        .metric("oriel_token_lookups_total{result=\"miss\"}")
        .await;
    let hit = app
        .metric("oriel_token_lookups_total{result=\"hit\"}")
        .await;
    assert_eq!(miss + hit, 100.0);
    app.finish().await;
}

#[tokio::test]
async fn first_client_that_leaves_takes_the_answer_from_nobody() {
    let identity = IdentityServer::start().await;
    let app = identity.app("").await;
    identity.close();
    let leaving = app.client.with_token("good");
    let asked = async {
        eventually("the question is there", async || {
            (identity.asked("good") > 0).then_some(())
        })
        .await;
    };
    tokio::select! {
        _ = leaving.get(LIST) => panic!("nobody has answered"),
        () = asked => {}
    }
    let staying = app.client.with_token("good");
    let (outcome, ()) = tokio::join!(status(&staying), async { identity.open() });
    assert_eq!(outcome, StatusCode::OK);
    app.finish().await;
}

#[tokio::test]
async fn ten_thousand_tokens_stay_bounded_and_random_ones_push_out_no_good_one() {
    let identity = IdentityServer::start().await;
    let app = identity.app("token_cache_entries = 1000").await;
    let send = async |prefix: &str, count: usize| {
        // As many at once as a busy site has.
        for batch in 0..count / 100 {
            let requests = (0..100).map(async |number| {
                let token = format!("{prefix}-{}", batch * 100 + number);
                app.client
                    .with_token(&token)
                    .get("/v2/nothing")
                    .await
                    .status
            });
            let statuses = join_all(requests).await;
            let expected = if prefix == "good" { 404 } else { 401 };
            assert!(statuses.iter().all(|status| *status == expected));
        }
    };
    send("good", 10_000).await;
    let entries = "oriel_token_cache_entries";
    assert_eq!(app.metric(entries).await, 1000.0);
    assert_eq!(identity.validations().len(), 10_000);
    send("random", 10_000).await;
    assert_eq!(app.metric(entries).await, 1000.0);
    let last = "good-9999";
    assert_eq!(status(&app.client.with_token(last)).await, StatusCode::OK);
    assert_eq!(identity.asked(last), 1, "it was pushed out");
    app.finish().await;
}

#[tokio::test]
async fn refused_token_is_not_asked_about_again_at_once() {
    let identity = IdentityServer::start().await;
    let app = identity.app("").await;
    for _ in 0..3 {
        assert_eq!(status(&app.client.with_token("bad")).await, 401);
    }
    assert_eq!(identity.asked("bad"), 1);
    app.finish().await;
}

#[tokio::test]
async fn text_that_can_be_no_token_is_401_unasked() {
    let identity = IdentityServer::start().await;
    let app = identity.app("").await;
    for token in ["good token", "good\u{f6}", &"good".repeat(2000)] {
        let answer = app.client.get_with(LIST, &[("x-auth-token", token)]).await;
        // Two tokens: the client's own comes first.
        assert_eq!(answer.status, StatusCode::OK);
        let anyone = Client::new(app.client.addr);
        let answer = anyone.get_with(LIST, &[("x-auth-token", token)]).await;
        assert_eq!(answer.status, 401, "{token}");
    }
    assert!(identity.validations().iter().all(|v| v.subject == "admin"));
    app.finish().await;
}
