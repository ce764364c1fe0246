//! Unified limits of the real Keystone (contract 5.6).

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cloud::{Cloud, PASSWORD, cloud};
use crate::site::{User, made, project, role_id, user};
use crate::support::app::TestApp;
use crate::support::client::{Client, full};
use crate::support::content;
use crate::support::upload::{MIB, fed, until_status};

/// An image endpoint with limits, and a project under them.
struct Site {
    cloud: &'static Cloud,
    app: TestApp,
    service_id: String,
    project: String,
    member: Client,
}

impl Site {
    /// `limits` are the registered defaults by resource.
    async fn start(cloud: &'static Cloud, limits: &[(&str, i64)]) -> Self {
        let service =
            json!({"service": {"type": "image", "name": uuid::Uuid::new_v4().to_string()}});
        let service_id = made(cloud, "/services", "service", service).await;
        let endpoint = json!({"endpoint": {
            "service_id": service_id, "interface": "public", "url": "http://127.0.0.1:9292", "region_id": "RegionOne",
        }});
        let endpoint = made(cloud, "/endpoints", "endpoint", endpoint).await;
        let registered: Vec<Value> = limits
            .iter()
            .map(|(resource, limit)| json!({
                "service_id": service_id, "region_id": "RegionOne", "resource_name": resource, "default_limit": limit,
            }))
            .collect();
        let body = json!({"registered_limits": registered});
        cloud
            .ask(Method::POST, "/registered_limits", Some(body))
            .await;
        let services = project(cloud).await;
        let glance = user(cloud, &services, "service").await;
        let reader = role_id(cloud, "reader").await;
        let path = format!("/system/users/{}/roles/{reader}", glance.id);
        cloud.ask(Method::PUT, &path, None).await;
        let app = cloud
            .app_with(table(cloud, &glance, &services, &endpoint).await)
            .await;
        let project = project(cloud).await;
        let member = user(cloud, &project, "member").await;
        let member = app.client.with_token(&member.token(cloud).await);
        Self {
            cloud,
            app,
            service_id,
            project,
            member,
        }
    }

    /// Gives the project a limit of its own.
    async fn limit(&self, resource: &str, limit: i64) {
        let body = json!({"limits": [{
            "service_id": self.service_id, "region_id": "RegionOne", "project_id": self.project,
            "resource_name": resource, "resource_limit": limit,
        }]});
        self.cloud.ask(Method::POST, "/limits", Some(body)).await;
    }

    async fn usage(&self, resource: &str) -> (u64, i64) {
        let usage = self.member.get("/v2/info/usage").await.json();
        let entry = &usage["usage"][resource];
        (
            entry["usage"].as_u64().unwrap(),
            entry["limit"].as_i64().unwrap(),
        )
    }
}

async fn table(cloud: &Cloud, glance: &User, project: &str, endpoint: &str) -> String {
    let path = format!("/projects/{project}");
    let name = cloud.ask(Method::GET, &path, None).await.json();
    format!(
        "[keystone]\nauth_url = {:?}\nusername = {:?}\npassword = {PASSWORD:?}\nproject_name = {}\n\
         limits_endpoint_id = {endpoint:?}\nlimits_cache_time = \"0s\"\n",
        cloud.keystone().url(),
        glance.name(),
        name["project"]["name"]
    )
}

const LIMITS: [(&str, i64); 4] = [
    ("image_size_total", 10),
    ("image_stage_total", 10),
    ("image_count_total", 3),
    ("image_count_uploading", 2),
];

#[tokio::test]
async fn images_over_the_count_are_413_in_the_words_of_the_reference_service() {
    let Some(cloud) = cloud().await else { return };
    let site = Site::start(cloud, &LIMITS).await;
    for _ in 0..3 {
        site.member.create_image().await;
    }
    let refused = site.member.post_json("/v2/images", &json!({})).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let expected = format!(
        "Project {} is over a limit for [Resource image_count_total is over limit of 3 due to current usage 3 and delta 1]",
        site.project
    );
    assert!(refused.text().contains(&expected), "{}", refused.text());
    assert_eq!(site.usage("image_count_total").await, (3, 3));
    // A limit of the project's own goes before the default.
    site.limit("image_count_total", 4).await;
    site.member.create_image().await;
    assert_eq!(site.usage("image_count_total").await, (4, 4));
    site.app.finish().await;
}

#[tokio::test]
async fn uploads_at_once_cannot_overshoot_the_size_together() {
    let Some(cloud) = cloud().await else { return };
    let site = Site::start(cloud, &LIMITS).await;
    site.limit("image_count_total", -1).await;
    site.limit("image_count_uploading", -1).await;
    let data: Bytes = content::bytes(4 * MIB);
    let one = async || {
        let id = site.member.create_image().await;
        let answer = site.member.put_file(&id, &[], full(data.clone())).await;
        let message = "image_size_total is over limit of 10";
        assert!(
            answer.status == 204 || answer.text().contains(message),
            "{}",
            answer.text()
        );
        answer.status.as_u16()
    };
    let mut codes: [u16; 6] = tokio::join!(one(), one(), one(), one(), one(), one()).into();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [204, 204, 413, 413, 413, 413],
        "two times 4 MiB fit in 10"
    );
    assert_eq!(site.usage("image_size_total").await, (8, 10));
    assert_eq!(site.usage("image_count_total").await, (6, -1));
    // Of unknown size it is cut off where the room ends.
    let id = site.member.create_image().await;
    let cut = site
        .member
        .put_file(&id, &[], crate::support::upload::chunked_of(5 * MIB))
        .await;
    assert_eq!(cut.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(site.member.status(&id).await, "queued");
    assert_eq!(site.usage("image_size_total").await, (8, 10));
    site.app.finish().await;
}

#[tokio::test]
async fn uploads_under_way_are_counted_and_the_next_is_413() {
    let Some(cloud) = cloud().await else { return };
    let site = Site::start(cloud, &LIMITS).await;
    let (first, second, third) = (
        site.member.create_image().await,
        site.member.create_image().await,
        site.member.create_image().await,
    );
    let ((feed_a, body_a), (feed_b, body_b)) = (fed(), fed());
    let (a, b, ()) = tokio::join!(
        site.member.put_file(&first, &[], body_a),
        site.member.put_file(&second, &[], body_b),
        async {
            assert!(
                feed_a.send(content::slice(0, MIB)).await
                    && feed_b.send(content::slice(0, MIB)).await
            );
            until_status(&site.member, &first, "saving").await;
            until_status(&site.member, &second, "saving").await;
            assert_eq!(site.usage("image_count_uploading").await, (2, 2));
            let refused = site.member.put_file(&third, &[], full("data")).await;
            assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
            assert!(
                refused
                    .text()
                    .contains("image_count_uploading is over limit of 2"),
                "{}",
                refused.text()
            );
            assert_eq!(site.member.status(&third).await, "queued");
            drop((feed_a, feed_b));
        }
    );
    assert_eq!((a.status.as_u16(), b.status.as_u16()), (204, 204));
    assert_eq!(site.usage("image_count_uploading").await, (0, 2));
    let passed = site.member.put_file(&third, &[], full("data")).await;
    assert_eq!(passed.status, StatusCode::NO_CONTENT);
    site.app.finish().await;
}

#[tokio::test]
async fn a_resource_without_a_registered_limit_may_not_be_used() {
    let Some(cloud) = cloud().await else { return };
    let site = Site::start(cloud, &[("image_size_total", -1)]).await;
    let refused = site.member.post_json("/v2/images", &json!({})).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(site.usage("image_size_total").await, (0, -1));
    site.app.finish().await;
}

#[tokio::test]
async fn a_user_that_may_not_read_limits_is_503_and_told_in_the_log_only() {
    let Some(cloud) = cloud().await else { return };
    let site = Site::start(cloud, &LIMITS).await;
    let services = project(cloud).await;
    let powerless = user(cloud, &services, "service").await;
    let table = table(cloud, &powerless, &services, "no-such-endpoint").await;
    let app = cloud.app_with(table).await;
    let refused = app.client.post_json("/v2/images", &json!({})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.header("retry-after").is_some());
    assert!(!refused.text().contains("keystone"), "{}", refused.text());
    assert_eq!(app.client.get("/v2/images").await.status, StatusCode::OK);
    app.finish().await;
    site.app.finish().await;
}
