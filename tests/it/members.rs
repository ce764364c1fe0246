//! Sharing: the member list of an image, and what a member sees (contract 1.6, 4.8).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::content;
use crate::support::tokens::Tokens;

/// The owner's project is `own`; `other` is the project that images are shared with.
struct Site {
    app: TestApp,
    owner: Client,
    reader: Client,
    guest: Client,
    guest_reader: Client,
    _tokens: Tokens,
}

impl Site {
    async fn start() -> Self {
        Self::with("").await
    }

    async fn with(tables: &str) -> Self {
        let tokens = Tokens::new();
        let options = Options {
            tables: tables.into(),
            ..Options::default()
        };
        let app = tokens.start(options).await;
        let client = |token| app.client.with_token(token);
        Self {
            owner: client("member-token"),
            reader: client("reader-token"),
            guest: client("stranger-token"),
            guest_reader: client("stranger-reader-token"),
            app,
            _tokens: tokens,
        }
    }

    async fn shared(&self) -> String {
        let id = self.owner.create_image().await;
        assert_eq!(add(&self.owner, &id, "other").await.status, StatusCode::OK);
        id
    }
}

fn members(id: &str) -> String {
    format!("/v2/images/{id}/members")
}

fn member(id: &str, project: &str) -> String {
    format!("/v2/images/{id}/members/{project}")
}

async fn add(client: &Client, id: &str, project: &str) -> Answer {
    client
        .post_json(&members(id), &json!({"member": project}))
        .await
}

async fn answer(client: &Client, id: &str, project: &str, status: &str) -> Answer {
    let body = json!({"status": status}).to_string();
    client
        .send(Method::PUT, &member(id, project), &[], full(body))
        .await
}

async fn listed(client: &Client, query: &str) -> Vec<String> {
    let page = client.get(&format!("/v2/images?{query}")).await.json();
    let images = page["images"].as_array().unwrap();
    images
        .iter()
        .map(|image| image["id"].as_str().unwrap().to_owned())
        .collect()
}

fn projects(list: &Value) -> Vec<&str> {
    let rows = list["members"].as_array().unwrap();
    rows.iter()
        .map(|row| row["member_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn sharing_is_200_with_the_pending_row() {
    let site = Site::start().await;
    let id = site.owner.create_image().await;
    let row = add(&site.owner, &id, "other").await;
    assert_eq!(row.status, StatusCode::OK);
    let row = row.json();
    let keys: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "member_id",
            "image_id",
            "status",
            "created_at",
            "updated_at",
            "schema"
        ]
    );
    assert_eq!(row["member_id"], "other");
    assert_eq!(row["image_id"], *id);
    assert_eq!(row["status"], "pending");
    assert_eq!(row["schema"], "/v2/schemas/member");
    assert_eq!(row["created_at"], row["updated_at"]);
    let list = site.owner.get(&members(&id)).await.json();
    assert_eq!(
        list,
        json!({"members": [row], "schema": "/v2/schemas/members"})
    );
    let shown = site.guest.get(&member(&id, "other")).await;
    assert_eq!((shown.status, shown.json()), (StatusCode::OK, row));
    site.app.finish().await;
}

#[tokio::test]
async fn a_member_sees_and_downloads_by_id_before_it_accepts_and_lists_after() {
    let site = Site::start().await;
    let id = site.owner.upload(content::bytes(100)).await;
    let image = format!("/v2/images/{id}");
    let file = format!("{image}/file");
    assert_eq!(site.guest.get(&image).await.status, 404);
    add(&site.owner, &id, "other").await;
    assert_eq!(site.guest.get(&image).await.status, 200);
    assert_eq!(site.guest.get(&file).await.body, content::bytes(100));
    assert_eq!(site.guest_reader.get(&image).await.status, 200);
    assert_eq!(
        site.guest_reader.get(&file).await.status,
        403,
        "a reader does not download"
    );
    assert_eq!(listed(&site.guest, "").await, Vec::<String>::new());
    assert_eq!(
        listed(&site.guest, "member_status=pending&visibility=shared").await,
        [&*id]
    );
    for (status, default) in [
        ("accepted", vec![id.clone()]),
        ("rejected", vec![]),
        ("pending", vec![]),
    ] {
        let row = answer(&site.guest, &id, "other", status).await;
        assert_eq!(
            (row.status, &row.json()["status"]),
            (StatusCode::OK, &json!(status))
        );
        assert_eq!(listed(&site.guest, "").await, default, "{status}");
        assert_eq!(
            listed(&site.guest, &format!("member_status={status}")).await,
            [&*id]
        );
        assert_eq!(listed(&site.guest, "member_status=all").await, [&*id]);
        assert_eq!(site.guest.get(&image).await.status, 200, "{status}");
    }
    for (method, path) in [
        (Method::DELETE, image.as_str()),
        (Method::PATCH, &image),
        (Method::PUT, &file),
    ] {
        let content_type = match method {
            Method::PATCH => "application/openstack-images-v2.1-json-patch",
            _ => "application/octet-stream",
        };
        let headers = [("content-type", content_type)];
        let body = if method == Method::DELETE { "" } else { "[]" };
        let refused = site
            .guest
            .send(method.clone(), path, &headers, full(body))
            .await;
        assert_eq!(refused.status, 403, "{method} {path}");
    }
    let gone = site.owner.delete(&member(&id, "other")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(site.guest.get(&image).await.status, 404);
    site.app.finish().await;
}

#[tokio::test]
async fn a_member_sees_its_own_row_only() {
    let site = Site::start().await;
    let id = site.shared().await;
    add(&site.owner, &id, "third").await;
    assert_eq!(
        projects(&site.owner.get(&members(&id)).await.json()),
        ["other", "third"]
    );
    assert_eq!(
        projects(&site.reader.get(&members(&id)).await.json()),
        ["other", "third"]
    );
    assert_eq!(
        projects(&site.app.client.get(&members(&id)).await.json()),
        ["other", "third"]
    );
    for guest in [&site.guest, &site.guest_reader] {
        assert_eq!(projects(&guest.get(&members(&id)).await.json()), ["other"]);
        assert_eq!(guest.get(&member(&id, "other")).await.status, 200);
        assert_eq!(guest.get(&member(&id, "third")).await.status, 404);
    }
    site.app.finish().await;
}

#[tokio::test]
async fn only_shared_images_have_members() {
    let site = Site::start().await;
    let id = site.shared().await;
    for visibility in ["private", "community"] {
        let patch =
            json!([{"op": "replace", "path": "/visibility", "value": visibility}]).to_string();
        let headers = [(
            "content-type",
            "application/openstack-images-v2.1-json-patch",
        )];
        let path = format!("/v2/images/{id}");
        site.owner
            .send(Method::PATCH, &path, &headers, full(patch))
            .await;
        for client in [&site.owner, &site.app.client] {
            assert_eq!(client.get(&members(&id)).await.status, 403, "{visibility}");
            assert_eq!(add(client, &id, "third").await.status, 403, "{visibility}");
            assert_eq!(
                client.get(&member(&id, "other")).await.status,
                404,
                "{visibility}"
            );
            assert_eq!(
                client.delete(&member(&id, "other")).await.status,
                403,
                "{visibility}"
            );
            assert_eq!(answer(client, &id, "other", "accepted").await.status, 403);
        }
        let seen = site.guest.get(&path).await.status;
        assert_eq!(seen, if visibility == "private" { 404 } else { 200 });
    }
    // The rows have stayed, and count again.
    let patch = json!([{"op": "replace", "path": "/visibility", "value": "shared"}]).to_string();
    let headers = [(
        "content-type",
        "application/openstack-images-v2.1-json-patch",
    )];
    let path = format!("/v2/images/{id}");
    site.owner
        .send(Method::PATCH, &path, &headers, full(patch))
        .await;
    assert_eq!(site.guest.get(&path).await.status, 200);
    site.app.finish().await;
}

#[tokio::test]
async fn who_may_share_answer_and_end_a_share() {
    let site = Site::start().await;
    let id = site.shared().await;
    // Sharing is the owner's; a member does not pass an image on.
    assert_eq!(add(&site.reader, &id, "third").await.status, 403);
    assert_eq!(add(&site.guest, &id, "third").await.status, 403);
    // The answer is the member's; the owner does not give it.
    assert_eq!(
        answer(&site.owner, &id, "other", "accepted").await.status,
        403
    );
    assert_eq!(
        answer(&site.guest_reader, &id, "other", "accepted")
            .await
            .status,
        403
    );
    assert_eq!(
        answer(&site.guest, &id, "third", "accepted").await.status,
        404
    );
    assert_eq!(
        answer(&site.guest, &id, "other", "accepted").await.status,
        200
    );
    assert_eq!(
        answer(&site.app.client, &id, "other", "rejected")
            .await
            .status,
        200
    );
    // Ending it is the owner's again.
    assert_eq!(site.guest.delete(&member(&id, "other")).await.status, 403);
    assert_eq!(site.reader.delete(&member(&id, "other")).await.status, 403);
    assert_eq!(site.owner.delete(&member(&id, "other")).await.status, 204);
    assert_eq!(site.owner.delete(&member(&id, "other")).await.status, 404);
    assert_eq!(
        answer(&site.guest, &id, "other", "accepted").await.status,
        404
    );
    // Shared again it starts anew.
    assert_eq!(
        add(&site.owner, &id, "other").await.json()["status"],
        "pending"
    );
    site.app.finish().await;
}

#[tokio::test]
async fn whether_one_may_answer_is_told_before_the_answer_is_read() {
    let site = Site::start().await;
    let id = site.shared().await;
    assert_eq!(answer(&site.owner, &id, "other", "maybe").await.status, 403);
    assert_eq!(answer(&site.guest, &id, "other", "maybe").await.status, 400);
    site.app.finish().await;
}

#[tokio::test]
async fn bad_bodies_are_400_and_change_nothing() {
    let site = Site::start().await;
    let id = site.shared().await;
    for body in [
        json!({}),
        json!({"member": null}),
        json!({"member": 5}),
        json!({"member": ""}),
        json!({"member": "x".repeat(256)}),
        json!({"member": ["other"]}),
        json!([]),
    ] {
        let refused = site.owner.post_json(&members(&id), &body).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    for body in ["{}", "{\"status\": \"maybe\"}", "{\"status\": 1}", "", "[]"] {
        let put = site
            .guest
            .send(Method::PUT, &member(&id, "other"), &[], full(body))
            .await;
        assert_eq!(put.status, 400, "{body}");
    }
    assert_eq!(
        projects(&site.owner.get(&members(&id)).await.json()),
        ["other"]
    );
    assert_eq!(add(&site.owner, &id, "other").await.status, 409);
    assert_eq!(add(&site.owner, &id, &"x".repeat(255)).await.status, 200);
    assert_eq!(
        add(&site.owner, &id, "own").await.status,
        200,
        "the owner itself is allowed"
    );
    site.app.finish().await;
}

#[tokio::test]
async fn the_member_quota_is_413() {
    let site = Site::with("[images]\nmember_quota = 2\n").await;
    let id = site.shared().await;
    assert_eq!(add(&site.owner, &id, "second").await.status, 200);
    let refused = add(&site.owner, &id, "third").await;
    assert_eq!(refused.status, 413);
    assert!(
        refused.text().contains("image_member_quota"),
        "{}",
        refused.text()
    );
    assert_eq!(
        projects(&site.owner.get(&members(&id)).await.json()),
        ["other", "second"]
    );
    site.owner.delete(&member(&id, "other")).await;
    assert_eq!(add(&site.owner, &id, "third").await.status, 200);
    site.app.finish().await;
}

#[tokio::test]
async fn hidden_absent_and_deleted_images_have_no_members_for_anybody() {
    let site = Site::start().await;
    let id = site.owner.create_image().await;
    let absent = "00000000-0000-4000-8000-000000000000";
    for path in [
        members(&id),
        members(absent),
        members("no-uuid"),
        member(&id, "other"),
    ] {
        assert_eq!(site.guest.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(add(&site.guest, &id, "other").await.status, 404);
    add(&site.owner, &id, "other").await;
    site.owner.delete(&format!("/v2/images/{id}")).await;
    for client in [&site.owner, &site.guest, &site.app.client] {
        assert_eq!(client.get(&members(&id)).await.status, 404);
        assert_eq!(client.get(&format!("/v2/images/{id}")).await.status, 404);
    }
    assert_eq!(
        listed(&site.guest, "member_status=all").await,
        Vec::<String>::new()
    );
    site.app.finish().await;
}
