//! Application credentials that are good for some requests only (contract 5.1).

use http::{Method, StatusCode};
use serde_json::json;

use crate::cloud::cloud;
use crate::support::client::full;

#[tokio::test]
async fn token_with_access_rules_is_good_for_what_they_cover() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("").await;
    let member = cloud.token("member").await;
    let id = app.client.with_token(&member).create_image().await;
    let rules = json!([
        {"service": "image", "method": "GET", "path": "/v2/images/{image_id}"},
        {"service": "image", "method": "PUT", "path": "/v2/images/*/tags/**"},
        {"service": "compute", "method": "GET", "path": "/v2/images"},
    ]);
    let credential = cloud.application_credential(&member, Some(rules)).await;
    let token = cloud.token_by(&credential).await;
    let limited = app.client.with_token(&token);
    let service = cloud.token("nova").await;
    let no_service = cloud.token("reader").await;
    for (method, path, covered) in [
        (Method::GET, format!("/v2/images/{id}"), true),
        (Method::GET, format!("/v2.5/images/{id}"), true),
        (Method::GET, format!("/v2/images/{id}?x=y"), true),
        (Method::PUT, format!("/v2/images/{id}/tags/a"), true),
        (Method::GET, "/v2/images".into(), false),
        (Method::GET, format!("/v2/images/{id}/file"), false),
        (Method::GET, format!("/v2/images/{id}%2Ffile"), true),
        (Method::DELETE, format!("/v2/images/{id}"), false),
        (Method::DELETE, format!("/v2/images/{id}/tags/a"), false),
        (Method::GET, "/v2/nothing".into(), false),
    ] {
        let case = format!("{method} {path}");
        let answer = limited.send(method.clone(), &path, &[], full("")).await;
        let is_refused = answer.status == StatusCode::UNAUTHORIZED;
        assert_eq!(is_refused, !covered, "{case}: {}", answer.status);
        assert_eq!(answer.header("www-authenticate").is_some(), !covered);
        if covered {
            continue;
        }
        for (token, lifts) in [(&service, true), (&no_service, false)] {
            let headers = [("x-service-token", token.as_str())];
            let answer = limited
                .send(method.clone(), &path, &headers, full(""))
                .await;
            assert_eq!(answer.status != StatusCode::UNAUTHORIZED, lifts, "{case}");
        }
        let headers = [("x-service-token", "garbage")];
        let answer = limited.send(method, &path, &headers, full("")).await;
        assert_eq!(answer.status, 401, "{case}");
    }
    app.finish().await;
}

#[tokio::test]
async fn service_type_says_which_rules_are_meant() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("service_type = \"compute\"").await;
    let member = cloud.token("member").await;
    let rules = json!([{"service": "compute", "method": "GET", "path": "/v2/images"}]);
    let credential = cloud.application_credential(&member, Some(rules)).await;
    let limited = app.client.with_token(&cloud.token_by(&credential).await);
    assert_eq!(limited.get("/v2/images").await.status, StatusCode::OK);
    assert_eq!(limited.get("/v2/images/x").await.status, 401);
    app.finish().await;
}

#[tokio::test]
async fn application_credential_without_rules_is_as_good_as_its_user() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("").await;
    let member = cloud.token("member").await;
    let credential = cloud.application_credential(&member, None).await;
    let client = app.client.with_token(&cloud.token_by(&credential).await);
    let id = client.create_image().await;
    assert_eq!(client.image(&id).await["owner"], cloud.own);
    assert_eq!(client.delete(&format!("/v2/images/{id}")).await.status, 204);
    app.finish().await;
}
