//! Services that act for a user (contract 5.2).

use http::StatusCode;

use crate::cloud::{Node, cloud};
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::eventually;

const LIST: &str = "/v2/images";

async fn status(app: &TestApp, token: &str, service: Option<&str>) -> StatusCode {
    let mut headers = vec![("x-auth-token", token)];
    headers.extend(service.map(|service| ("x-service-token", service)));
    let anyone = Client::new(app.client.addr);
    anyone.get_with(LIST, &headers).await.status
}

#[tokio::test]
async fn service_token_of_the_right_role_carries_an_expired_user_token_and_no_other() {
    let Some(cloud) = cloud().await else { return };
    let short = Node::with_short_tokens(2).await;
    let app = cloud.app("").await;
    let (user, service, no_service) = (
        cloud.token("member").await,
        cloud.token("nova").await,
        cloud.token("stranger").await,
    );
    let revoked_service = cloud.token("nova").await;
    cloud.revoke(&revoked_service).await;
    let revoked = cloud.token("member").await;
    cloud.revoke(&revoked).await;
    let expired = cloud.token_of(&short.keystone, "member").await;
    let expired_service = cloud.token_of(&short.keystone, "nova").await;
    for token in [&expired, &expired_service] {
        eventually("the token expires", async || {
            (status(&app, token, None).await == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    }
    for (case, token, service, expected) in [
        ("both valid", &user, Some(&service), 200),
        ("expired user", &expired, Some(&service), 200),
        (
            "expired user again, from memory",
            &expired,
            Some(&service),
            200,
        ),
        ("expired user alone", &expired, None, 401),
        ("wrong role", &expired, Some(&no_service), 401),
        (
            "expired service token",
            &expired,
            Some(&expired_service),
            401,
        ),
        (
            "revoked service token",
            &expired,
            Some(&revoked_service),
            401,
        ),
        ("garbage", &expired, Some(&"garbage".to_owned()), 401),
        ("empty", &expired, Some(&String::new()), 401),
        ("revoked user", &revoked, Some(&service), 401),
        ("garbage user", &"garbage".to_owned(), Some(&service), 401),
        ("no user", &String::new(), Some(&service), 401),
        ("valid user, wrong role", &user, Some(&no_service), 200),
        (
            "valid user, expired service token",
            &user,
            Some(&expired_service),
            200,
        ),
        (
            "valid user, garbage",
            &user,
            Some(&"garbage".to_owned()),
            200,
        ),
    ] {
        let service = service.map(String::as_str);
        assert_eq!(status(&app, token, service).await, expected, "{case}");
    }
    // Rights are those of the user, whatever the service may do.
    let reader = cloud.token("reader").await;
    let headers = [("x-service-token", service.as_str())];
    let client = app.client.with_token(&reader);
    let answer = client
        .send(
            http::Method::POST,
            LIST,
            &headers,
            crate::support::client::full("{}"),
        )
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    app.finish().await;
}

#[tokio::test]
async fn roles_of_services_are_those_of_the_site() {
    let Some(cloud) = cloud().await else { return };
    let short = Node::with_short_tokens(2).await;
    let app = cloud.app("service_token_roles = [\"Member\"]").await;
    let expired = cloud.token_of(&short.keystone, "member").await;
    eventually("the token expires", async || {
        (status(&app, &expired, None).await == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let (member, nova) = (cloud.token("stranger").await, cloud.token("nova").await);
    assert_eq!(status(&app, &expired, Some(&member)).await, 200);
    assert_eq!(status(&app, &expired, Some(&nova)).await, 401);
    app.finish().await;
}
