//! Nobody learns a token or a password from the service: not from its log, its errors or its metrics.

use http::Method;
use serde_json::json;

use crate::cloud::{PASSWORD, cloud};
use crate::support::child::Server;
use crate::support::client::{Client, full};
use crate::support::content;
use crate::support::store::Embedded;

#[tokio::test]
async fn no_token_or_password_is_ever_logged_or_shown() {
    let Some(cloud) = cloud().await else { return };
    let embedded = Embedded::start().await;
    let endpoint = embedded.endpoint();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("oriel.toml");
    let text = format!(
        "auth = \"keystone\"\n{}\n[log]\nlevel = \"trace\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
         [metrics]\nlisten = \"off\"\n[catalog]\npath = {:?}\n[store.main]\nendpoint = {:?}\nbucket = \"images\"\n\
         access_key = {:?}\nsecret_key = {:?}\nprofile = \"embedded\"\ncreate_bucket = true\n",
        cloud.table("token_cache_time = \"0s\""),
        dir.path().join("catalog.sqlite"),
        endpoint.url,
        endpoint.access_key,
        endpoint.secret_key
    );
    std::fs::write(&config, text).unwrap();
    let server = Server::start(&config).await;
    let (token, service, revoked) = (
        cloud.token("member").await,
        cloud.token("nova").await,
        cloud.token("member").await,
    );
    let rules = json!([{"service": "image", "method": "GET", "path": "/v2/images"}]);
    let credential = cloud.application_credential(&token, Some(rules)).await;
    let limited = cloud.token_by(&credential).await;
    cloud.revoke(&revoked).await;
    let member = server.client.with_token(&token);
    let id = member.upload(content::bytes(1000)).await;
    let file = format!("/v2/images/{id}/file");
    assert_eq!(member.get(&file).await.body, content::bytes(1000));
    let mut shown = String::new();
    let anyone = Client::new(server.client.addr);
    for (name, value) in [
        ("x-auth-token", &revoked),
        ("x-auth-token", &limited),
        ("x-storage-token", &revoked),
    ] {
        let headers = [(name, value.as_str()), ("x-service-token", &service[1..])];
        let answer = anyone
            .send(Method::POST, "/v2/images", &headers, full("{}"))
            .await;
        assert_eq!(answer.status, 401);
        shown += &format!("{:?}{}", answer.headers, answer.text());
    }
    let headers = [("x-service-token", service.as_str())];
    assert_eq!(member.get_with("/v2/images", &headers).await.status, 200);
    server.terminate().await;
    let (status, log) = server.ended().await;
    assert!(status.success());
    assert!(
        log.contains(&id) && log.contains("logged in to Keystone"),
        "{log}"
    );
    for text in [&log, &shown] {
        for secret in [
            token.as_str(),
            &service,
            &revoked,
            &limited,
            &credential.1,
            PASSWORD,
            // What every fernet token begins with, those of the service's own too.
            "gAAAAA",
            &oriel::hash_of_token(&token),
        ] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    embedded.server.stop().await;
}

#[tokio::test]
async fn metrics_tell_of_tokens_by_number_only() {
    let Some(cloud) = cloud().await else { return };
    let app = cloud.app("").await;
    let token = cloud.token("member").await;
    app.client.with_token(&token).get("/v2/images").await;
    app.client.with_token("nonsense").get("/v2/images").await;
    let metrics = app.scrape().await.text();
    for line in [
        "oriel_token_validations_total{outcome=\"valid\"} 1\n",
        "oriel_token_validations_total{outcome=\"invalid\"} 1\n",
        "oriel_token_cache_entries 1\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    for secret in [&token, "nonsense", &cloud.own, "gAAAAA"] {
        assert!(!metrics.contains(secret), "{metrics}");
    }
    app.finish().await;
}
