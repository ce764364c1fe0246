//! Keystone dies and comes back.

use http::{Method, StatusCode};
use serde_json::json;

use crate::cloud::{Node, cloud, free_port};
use crate::support::client::Client;
use crate::support::{content, eventually};

const LIST: &str = "/v2/images";

#[tokio::test]
async fn killed_keystone_is_503_for_the_unknown_and_nothing_for_the_known() {
    let Some(cloud) = cloud().await else { return };
    let port = free_port();
    let node = Node::start(port, &[]).await;
    // The catalog knows it as the identity service of a region of its own.
    let region = format!("region-{port}-{}", uuid::Uuid::new_v4().simple());
    let body = json!({"region": {"id": region}});
    cloud.ask(Method::POST, "/regions", Some(body)).await;
    let services = cloud
        .ask(Method::GET, "/services?type=identity", None)
        .await;
    let endpoint = json!({"endpoint": {
        "service_id": services.json()["services"][0]["id"],
        "interface": "internal",
        "region_id": region,
        "url": node.keystone.url(),
    }});
    cloud.ask(Method::POST, "/endpoints", Some(endpoint)).await;

    let more = format!("region = {region:?}\nretries = 1");
    let table = cloud.table_of(&node.keystone, "glance", &more);
    let app = cloud.app_with(table).await;
    let known = app.client.with_token(&cloud.token("member").await);
    let id = known.upload(content::bytes(1000)).await;
    assert_eq!(app.client.get(LIST).await.status, StatusCode::OK);

    node.kill().await;
    let unknown = app.client.with_token(&cloud.token("reader").await);
    let answer = unknown.get(LIST).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("www-authenticate"), None);
    let path = format!("/v2/images/{id}");
    let file = known.get(&format!("{path}/file")).await;
    assert_eq!(file.body, content::bytes(1000));
    let tag = known
        .send(
            Method::PUT,
            &format!("{path}/tags/a"),
            &[],
            crate::support::client::full(""),
        )
        .await;
    assert_eq!(tag.status, StatusCode::NO_CONTENT);
    let anyone = Client::new(app.client.addr);
    assert_eq!(anyone.get(LIST).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(anyone.get("/healthcheck").await.status, StatusCode::OK);

    let _back = Node::start(port, &[]).await;
    eventually("the service finds Keystone again", async || {
        (unknown.get(LIST).await.status == StatusCode::OK).then_some(())
    })
    .await;
    app.finish().await;
}
