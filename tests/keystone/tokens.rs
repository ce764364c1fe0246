//! Whom the service takes a caller for, and when it takes him for nobody.

use http::{Method, StatusCode};
use serde_json::json;

use crate::cloud::{Node, Scope, cloud};
use crate::support::child::oriel;
use crate::support::client::{Client, full};
use crate::support::content;
use crate::support::eventually;

const LIST: &str = "/v2/images";

#[tokio::test]
async fn project_and_roles_of_a_token_decide() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("").await;
    let as_user = async |user: &str| app.client.with_token(&cloud.token(user).await);
    let (member, reader, stranger) = (
        as_user("member").await,
        as_user("reader").await,
        as_user("stranger").await,
    );
    let id = member.upload(content::bytes(1000)).await;
    let path = format!("/v2/images/{id}");
    assert_eq!(member.image(&id).await["owner"], cloud.own);
    assert_eq!(reader.get(&path).await.status, StatusCode::OK);
    assert_eq!(reader.delete(&path).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        reader.get(&format!("{path}/file")).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(stranger.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        stranger.image(&stranger.create_image().await).await["owner"],
        cloud.other
    );
    let foreign = json!({"owner": cloud.other});
    assert_eq!(member.post_json(LIST, &foreign).await.status, 403);
    assert_eq!(app.client.post_json(LIST, &foreign).await.status, 201);
    assert_eq!(member.delete(&path).await.status, StatusCode::NO_CONTENT);
    app.finish().await;
}

#[tokio::test]
async fn absent_garbled_expired_and_revoked_tokens_are_401_with_the_challenge() {
    let Some(cloud) = cloud().await else { return };
    let short = Node::with_short_tokens(2).await;
    let app = cloud
        .app("www_authenticate_uri = \"https://identity.example.org/v3\"")
        .await;
    let expiring = cloud.token_of(&short.keystone, "member").await;
    let revoked = cloud.token("member").await;
    cloud.revoke(&revoked).await;
    let good = cloud.token("member").await;
    let anyone = Client::new(app.client.addr);
    eventually("the token expires", async || {
        let status = anyone.with_token(&expiring).get(LIST).await.status;
        (status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    for token in [
        None,
        Some(""),
        Some("garbage"),
        Some(&good[..good.len() - 1]),
        Some(&good.to_uppercase()),
        Some(&expiring),
        Some(&revoked),
    ] {
        let headers: Vec<_> = token.map(|t| ("x-auth-token", t)).into_iter().collect();
        for (method, path) in [
            (Method::GET, LIST),
            (Method::POST, LIST),
            (Method::DELETE, "/v2/images/x"),
            (Method::GET, "/v2/nothing"),
        ] {
            let answer = anyone.send(method, path, &headers, full("")).await;
            assert_eq!(answer.status, 401, "{token:?} {path}");
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Keystone uri=\"https://identity.example.org/v3\"")
            );
        }
    }
    assert_eq!(anyone.with_token(&good).get(LIST).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn revoked_token_lives_as_long_as_the_cache_time_and_no_longer() {
    let Some(cloud) = cloud().await else { return };
    let (uncached, short, long) = (
        cloud.app("token_cache_time = \"0s\"").await,
        cloud.app("token_cache_time = \"2s\"").await,
        cloud.app("").await,
    );
    let token = cloud.token("member").await;
    let status = async |app: &crate::support::app::TestApp| {
        app.client.with_token(&token).get(LIST).await.status
    };
    for app in [&uncached, &short, &long] {
        assert_eq!(status(app).await, StatusCode::OK);
    }
    cloud.revoke(&token).await;
    assert_eq!(status(&uncached).await, StatusCode::UNAUTHORIZED);
    eventually("the cache time is over", async || {
        (status(&short).await == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    assert_eq!(status(&long).await, StatusCode::OK);
    for app in [uncached, short, long] {
        app.finish().await;
    }
}

#[tokio::test]
async fn cached_token_ends_with_its_own_expiry() {
    let Some(cloud) = cloud().await else { return };
    let short = Node::with_short_tokens(5).await;
    let app = cloud.app("").await;
    let token = cloud.token_of(&short.keystone, "member").await;
    let member = app.client.with_token(&token);
    assert_eq!(member.get(LIST).await.status, StatusCode::OK);
    let asked = "oriel_token_validations_total{outcome=\"valid\"}";
    let before = app.metric(asked).await;
    eventually("the token expires", async || {
        let status = member.get(LIST).await.status;
        (status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    assert_eq!(app.metric(asked).await, before);
    let invalid = "oriel_token_validations_total{outcome=\"invalid\"}";
    assert_eq!(app.metric(invalid).await, 0.0, "Keystone was asked");
    app.finish().await;
}

#[tokio::test]
async fn tokens_without_a_project_are_known_and_own_nothing() {
    let Some(cloud) = cloud().await else { return };
    cloud.make_wide_user("wide", "member").await;
    let app = cloud.app("").await;
    let image = json!({"visibility": "public", "name": "for-everybody"});
    let public = app.client.create(&image).await;
    let as_scope = async |scope: Scope<'_>| {
        let token = cloud.token_for(cloud.keystone(), "wide", scope).await;
        app.client.with_token(&token)
    };
    let (domain, system, nothing) = (
        as_scope(Scope::Domain).await,
        as_scope(Scope::System).await,
        as_scope(Scope::Nothing).await,
    );
    for client in [&domain, &system, &nothing] {
        assert_eq!(client.post_json(LIST, &json!({})).await.status, 403);
    }
    let seen = domain.get(&format!("{LIST}?name=for-everybody")).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    assert_eq!(seen.json()["images"][0]["id"], public.as_str());
    assert_eq!(system.get(LIST).await.status, StatusCode::FORBIDDEN);
    assert_eq!(nothing.get(LIST).await.status, StatusCode::FORBIDDEN);
    app.finish().await;
}

#[tokio::test]
async fn storage_token_stands_in_for_an_auth_token() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("").await;
    let anyone = Client::new(app.client.addr);
    let token = cloud.token("member").await;
    let storage = ("x-storage-token", token.as_str());
    assert_eq!(anyone.get_with(LIST, &[storage]).await.status, 200);
    let both = [storage, ("x-auth-token", "garbage")];
    assert_eq!(anyone.get_with(LIST, &both).await.status, 401);
    app.finish().await;
}

#[tokio::test]
async fn identity_headers_of_a_request_have_no_effect() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("").await;
    let forged = [
        ("x-identity-status", "Confirmed"),
        ("x-service-identity-status", "Confirmed"),
        ("x-user-id", "admin"),
        ("x-user", "admin"),
        ("x-user-domain-id", "default"),
        ("x-project-id", cloud.other.as_str()),
        ("x-tenant-id", cloud.other.as_str()),
        ("x-tenant", "admin"),
        ("x-roles", "admin,member,service"),
        ("x-role", "admin"),
        ("x-service-roles", "service"),
        ("x-service-user-id", "nova"),
        ("x-domain-id", "default"),
        ("x-is-admin-project", "True"),
        ("openstack-system-scope", "all"),
    ];
    let anyone = Client::new(app.client.addr);
    assert_eq!(anyone.get_with(LIST, &forged).await.status, 401);
    let reader = app.client.with_token(&cloud.token("reader").await);
    let answer = reader.send(Method::POST, LIST, &forged, full("{}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let member = app.client.with_token(&cloud.token("member").await);
    let answer = member.send(Method::POST, LIST, &forged, full("{}")).await;
    assert_eq!(answer.json()["owner"], cloud.own);
    app.finish().await;
}

#[tokio::test]
async fn service_logs_in_by_an_application_credential_or_a_file() {
    let Some(cloud) = cloud().await else { return };
    let glance = cloud.token("glance").await;
    let (id, secret) = cloud.application_credential(&glance, None).await;
    let keys =
        format!("application_credential_id = {id:?}\napplication_credential_secret = {secret:?}\n");
    let table = |keys: &str| {
        format!(
            "[keystone]\nauth_url = {:?}\n{keys}\n",
            cloud.keystone().url()
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials");
    std::fs::write(&file, &keys).unwrap();
    for table in [
        table(&keys),
        table(&format!("credentials_file = {:?}", file.to_str().unwrap())),
    ] {
        let app = cloud.app_with(table).await;
        let member = app.client.with_token(&cloud.token("member").await);
        assert_eq!(member.get(LIST).await.status, StatusCode::OK);
        app.finish().await;
    }
}

#[tokio::test]
async fn service_that_may_not_validate_tokens_answers_503() {
    let Some(cloud) = cloud().await else { return };
    let table = cloud.table_of(cloud.keystone(), "powerless", "retries = 0");
    let mut app = cloud.app_with(table).await;
    assert_eq!(app.client.get(LIST).await.status, 503);
    app.shut_down().await;
}

#[tokio::test]
async fn check_logs_in_and_tells_where_tokens_are_validated() {
    let Some(cloud) = cloud().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("oriel.toml");
    let text = format!(
        "auth = \"keystone\"\n{}[catalog]\npath = {:?}\n[embedded]\ndata_dir = {:?}\n[store.main]\nendpoint = \"embedded\"\n",
        cloud.table("region = \"RegionOne\""),
        dir.path().join("catalog.sqlite"),
        dir.path().join("store"),
    );
    std::fs::write(&config, text).unwrap();
    let output = oriel(&["check", "--config", config.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", output.stdout);
    let line = format!(
        "Keystone validates tokens at {}; the service's own roles are service",
        cloud.keystone().url()
    );
    assert!(output.stdout.contains(&line), "{}", output.stdout);
}
