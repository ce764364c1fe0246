//! What is judged is what is stored: a record that changes between a handler's look and the transaction of its write.
//!
//! The database is changed behind the service's back, so that its memory is old for certain: the state in which a handler
//! is that looked a moment before another request's commit.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full, patch};
use crate::support::tokens::Tokens;
use crate::support::upload::{fed, until_status};

/// A qcow2 whose disk begins in another file.
fn leads_elsewhere() -> Bytes {
    let mut image = vec![0; 64 * 1024];
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    let name = b"/etc/passwd";
    image[8..16].copy_from_slice(&512_u64.to_be_bytes());
    image[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
    image[20..24].copy_from_slice(&16_u32.to_be_bytes());
    image[24..32].copy_from_slice(&(64_u64 << 20).to_be_bytes());
    image[100..104].copy_from_slice(&104_u32.to_be_bytes());
    image[512..512 + name.len()].copy_from_slice(name);
    image.into()
}

async fn alter(app: &TestApp, id: &str, set: &str) {
    let database = app.database().await;
    let statement = format!("UPDATE images SET {set} WHERE id = '{id}'");
    let changed = sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&database)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    database.close().await;
}

async fn stored(app: &TestApp, id: &str) -> (String, i64) {
    let database = app.database().await;
    let row: (String, i64) = sqlx::query_as(
        "SELECT status || ' ' || COALESCE(name, '') || ' ' || (SELECT COUNT(*) FROM image_tags WHERE image_id = id), \
         (SELECT COUNT(*) FROM image_members WHERE image_id = id) FROM images WHERE id = $1",
    )
    .bind(id)
    .fetch_one(&database)
    .await
    .unwrap();
    database.close().await;
    row
}

#[tokio::test]
async fn data_is_judged_by_the_formats_its_own_transaction_has_seen() {
    let app = TestApp::start().await;
    let body = json!({"disk_format": "raw", "container_format": "ovf"});
    let id = app.client.create(&body).await;
    assert_eq!(app.client.image(&id).await["container_format"], "ovf");
    alter(&app, &id, "container_format = 'bare'").await;
    let answer = app.client.put_file(&id, &[], full(leads_elsewhere())).await;
    assert_eq!(
        answer.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "{}",
        answer.text()
    );
    assert_eq!(app.client.status(&id).await, "queued");
    app.finish().await;
}

/// The same as it happens to a site: a PATCH beside a PUT, many times.
#[tokio::test]
async fn formats_cannot_slip_past_the_inspection_of_an_upload() {
    let app = TestApp::start().await;
    let body = json!({"disk_format": "raw", "container_format": "ovf"});
    let to_bare = json!([{"op": "replace", "path": "/container_format", "value": "bare"}]);
    let mut slipped = 0;
    for _ in 0..100 {
        let id = app.client.create(&body).await;
        let path = format!("/v2/images/{id}");
        let (put, patched) = tokio::join!(
            app.client.put_file(&id, &[], full(leads_elsewhere())),
            patch(&app.client, &path, to_bare.clone()),
        );
        let image = app.client.image(&id).await;
        if image["status"] == "active" && image["container_format"] == "bare" {
            slipped += 1;
        }
        let expected: &[u16] = match patched.status.as_u16() {
            // Bare before the upload began, or while nothing was judged yet.
            200 => &[415],
            403 => &[204, 415],
            other => panic!("{other} {}", patched.text()),
        };
        assert!(
            slipped > 0 || expected.contains(&put.status.as_u16()),
            "PATCH {}, PUT {}: {}",
            patched.status,
            put.status,
            put.text()
        );
        app.client.delete(&path).await;
    }
    assert_eq!(slipped, 0, "images of 100 that are bare and not looked at");
    app.finish().await;
}

#[tokio::test]
async fn formats_that_changed_during_an_upload_end_it() {
    let app = TestApp::start().await;
    let body = json!({"disk_format": "raw", "container_format": "ovf"});
    let id = app.client.create(&body).await;
    let path = format!("/v2/images/{id}");
    let (send, body) = fed();
    let client = app.client.clone();
    let upload = async { client.put_file(&id, &[], body).await };
    let change = async {
        until_status(&app.client, &id, "saving").await;
        let to_bare = json!([{"op": "replace", "path": "/container_format", "value": "bare"}]);
        let refused = patch(&app.client, &path, to_bare).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "not while saving");
        alter(&app, &id, "container_format = 'bare'").await;
        assert!(send.send("never looked at".into()).await);
        drop(send);
    };
    let (answer, ()) = tokio::join!(upload, change);
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    assert_eq!(app.client.status(&id).await, "queued");
    app.finish().await;
}

/// Every write of an image that its owner may do, and what the record must look like for it.
async fn write(client: &Client, id: &str, which: &str) -> Answer {
    let path = format!("/v2/images/{id}");
    let send = async |method, tail: &str, body: &str| {
        let headers = [("content-type", "application/octet-stream")];
        let path = format!("{path}{tail}");
        client
            .send(method, &path, &headers, full(body.to_owned()))
            .await
    };
    match which {
        "update" => {
            let rename = json!([{"op": "replace", "path": "/name", "value": "mine"}]);
            patch(client, &path, rename).await
        }
        "delete" => client.delete(&path).await,
        "upload" => send(Method::PUT, "/file", "data").await,
        "deactivate" => send(Method::POST, "/actions/deactivate", "").await,
        "reactivate" => send(Method::POST, "/actions/reactivate", "").await,
        "add tag" => send(Method::PUT, "/tags/new", "").await,
        "remove tag" => send(Method::DELETE, "/tags/old", "").await,
        "add member" => {
            let body = json!({"member": "friend"});
            client.post_json(&format!("{path}/members"), &body).await
        }
        "remove member" => send(Method::DELETE, "/members/guest", "").await,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_write_is_judged_on_the_record_of_its_transaction() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member-token");
    let mut wrong = String::new();
    for which in [
        "update",
        "delete",
        "upload",
        "deactivate",
        "reactivate",
        "add tag",
        "remove tag",
        "add member",
        "remove member",
    ] {
        // Given to another project: hidden from the former owner, or, where everybody may read it, not its to write.
        for (change, expected) in [
            ("owner = 'other'", 404),
            ("owner = 'other', visibility = 'community'", 403),
        ] {
            let body = json!({"visibility": "shared", "tags": ["old"], "disk_format": "raw", "container_format": "bare"});
            let id = member.create(&body).await;
            let path = format!("/v2/images/{id}");
            let shared = json!({"member": "guest"});
            member.post_json(&format!("{path}/members"), &shared).await;
            if which.ends_with("activate") {
                assert_eq!(member.put_file(&id, &[], full("data")).await.status, 204);
            }
            if which == "reactivate" {
                assert_eq!(write(&member, &id, "deactivate").await.status, 204);
            }
            member.image(&id).await;
            alter(&app, &id, change).await;
            let before = stored(&app, &id).await;
            let answer = write(&member, &id, which).await;
            let after = stored(&app, &id).await;
            if answer.status.as_u16() != expected || before != after {
                wrong += &format!(
                    "{which}, {change}: {} (wanted {expected}), {before:?} to {after:?}\n",
                    answer.status
                );
            }
            app.client.delete(&path).await;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    app.finish().await;
}

#[tokio::test]
async fn an_answer_to_a_share_is_judged_on_the_record_of_its_transaction() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let (owner, guest) = (
        app.client.with_token("member-token"),
        app.client.with_token("stranger-token"),
    );
    let id = owner.create(&json!({"visibility": "shared"})).await;
    let members = format!("/v2/images/{id}/members");
    owner.post_json(&members, &json!({"member": "other"})).await;
    guest.image(&id).await;
    alter(&app, &id, "visibility = 'private'").await;
    let path = format!("{members}/other");
    let accept = full(json!({"status": "accepted"}).to_string());
    let answer = guest.send(Method::PUT, &path, &[], accept).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    app.finish().await;
}
