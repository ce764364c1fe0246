//! `POST /v2/images/{id}/import` with the method copy-image (contract 6.1, 6.3): an active image in more stores.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::import::{Site, accepted, ended_task, import};
use crate::support::app::Options;
use crate::support::client::{Answer, Client, full};
use crate::support::proxy::Fault;
use crate::support::tokens::{Tokens, entry};
use crate::support::upload::{MIB, assert_refused};
use crate::support::{content, eventually};

const ALWAYS: usize = usize::MAX;

const AWAY: Fault = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");

fn to(stores: &[&str]) -> Value {
    json!({"method": {"name": "copy-image"}, "stores": stores})
}

fn to_all() -> Value {
    json!({"method": {"name": "copy-image"}, "all_stores": true})
}

async fn delete_copy(client: &Client, store: &str, id: &str) -> Answer {
    client.delete(&format!("/v2/stores/{store}/{id}")).await
}

async fn data_in(client: &Client, store: &str, id: &str) -> Bytes {
    let file = format!("/v2/images/{id}/file?prefer={store}");
    client.get(&file).await.body
}

fn assert_no_import(image: &Value) {
    assert_eq!(image["status"], "active", "{image}");
    assert_eq!(image["os_glance_importing_to_stores"], "", "{image}");
    assert!(image.get("os_glance_import_task").is_none(), "{image}");
}

#[tokio::test]
async fn active_image_gets_more_copies_and_stays_active() {
    let site = Site::of_three().await;
    for (size, body, stores) in [
        (0, to(&["second"]), "main,second"),
        (MIB, to(&["second"]), "main,second"),
        (20 * MIB, to_all(), "main,second,third"),
    ] {
        let bytes = content::bytes(size);
        let id = site.client().upload(bytes.clone()).await;
        let before = site.client().image(&id).await;
        accepted(site.client(), &id, body.clone()).await;
        let task = ended_task(site.client(), &id).await;
        assert_eq!(task["status"], "success", "{task}");
        assert_eq!(task["input"]["import_req"]["method"], body["method"]);
        assert!(task["input"].get("plan").is_none(), "{task}");
        let image = site.client().image(&id).await;
        assert_no_import(&image);
        assert_eq!(image["os_glance_failed_import"], "");
        assert_eq!(image["stores"], stores);
        for fact in ["size", "checksum", "os_hash_value", "virtual_size"] {
            assert_eq!(image[fact], before[fact], "{fact}");
        }
        // The copy alone serves.
        let deleted = delete_copy(site.client(), "main", &id).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
        assert!(data_in(site.client(), "second", &id).await == bytes);
        site.client().delete(&format!("/v2/images/{id}")).await;
        site.until_nothing_is_left(&id).await;
    }
    site.app.finish().await;
}

/// Checks 4, 8, 9 and 11 of contract 6.3.
#[tokio::test]
async fn copies_that_cannot_be_made_are_refused() {
    let site = Site::start("").await;
    let queued = site.client().create_image().await;
    let answer = import(site.client(), &queued, to(&["nowhere"])).await;
    assert_refused(&answer, StatusCode::CONFLICT, "active");
    let id = site.client().upload(content::bytes(100)).await;
    for (body, status, about) in [
        (to(&["nowhere"]), StatusCode::CONFLICT, "'nowhere'"),
        (to(&["second", "main"]), StatusCode::BAD_REQUEST, "'main'"),
        // The default store.
        (
            json!({"method": {"name": "copy-image"}}),
            StatusCode::BAD_REQUEST,
            "'main'",
        ),
    ] {
        let answer = import(site.client(), &id, body).await;
        assert_refused(&answer, status, about);
    }
    site.to_second.fail_operation("put", Fault::Hang, 0, ALWAYS);
    accepted(site.client(), &id, to_all()).await;
    let answer = import(site.client(), &id, to(&["second"])).await;
    assert_refused(&answer, StatusCode::CONFLICT, "active task");
    site.to_second.heal();
    ended_task(site.client(), &id).await;
    site.app.finish().await;
}

#[tokio::test]
async fn image_that_is_in_all_stores_already_is_taken_and_nothing_happens() {
    let site = Site::start("").await;
    let id = site.client().upload(content::bytes(100)).await;
    accepted(site.client(), &id, to_all()).await;
    ended_task(site.client(), &id).await;
    accepted(site.client(), &id, to_all()).await;
    let tasks = site.client().get(&format!("/v2/images/{id}/tasks")).await;
    assert_eq!(tasks.json()["tasks"].as_array().unwrap().len(), 1);
    site.app.finish().await;
}

#[tokio::test]
async fn copies_are_for_administrators_unless_the_policy_says_otherwise() {
    let tokens = Tokens::new();
    tokens.write(
        &[
            entry("admin-token", Some("site"), "\"admin\""),
            entry("member", Some("own"), "\"member\""),
            entry("other", Some("other"), "\"member\""),
        ]
        .concat(),
    );
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member");
    let id = member.upload(content::bytes(100)).await;
    let answer = import(&member, &id, to_all()).await;
    assert_refused(&answer, StatusCode::FORBIDDEN, "copy_image");
    let answer = import(&app.client.with_token("other"), &id, to_all()).await;
    assert_refused(&answer, StatusCode::NOT_FOUND, &id);
    accepted(&app.client.with_token("admin-token"), &id, to_all()).await;
    app.finish().await;
}

#[tokio::test]
async fn store_that_fails_takes_the_other_copies_with_it_where_all_must_succeed() {
    let site = Site::of_three().await;
    let bytes = content::bytes(MIB);
    let id = site.client().upload(bytes.clone()).await;
    site.to_second.fail_operation("put", AWAY, 0, ALWAYS);
    accepted(site.client(), &id, to(&["third", "second"])).await;
    let task = ended_task(site.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    let message = task["message"].as_str().unwrap();
    assert!(message.starts_with("store second: "), "{message}");
    let image = site.client().image(&id).await;
    assert_no_import(&image);
    assert_eq!(image["stores"], "main");
    assert_eq!(image["os_glance_failed_import"], "second");
    assert!(data_in(site.client(), "main", &id).await == bytes);

    let must_not = |stores| {
        let mut body = to(stores);
        body["all_stores_must_succeed"] = json!(false);
        body
    };
    accepted(site.client(), &id, must_not(&["second", "third"])).await;
    eventually("the other copy is there", async || {
        let image = site.client().image(&id).await;
        (image["stores"] == "main,third").then_some(())
    })
    .await;
    ended_task(site.client(), &id).await;
    let image = site.client().image(&id).await;
    assert_no_import(&image);
    assert_eq!(image["os_glance_failed_import"], "second");

    // None of them takes it.
    accepted(site.client(), &id, must_not(&["second"])).await;
    let task = ended_task(site.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    site.to_second.heal();
    accepted(site.client(), &id, to(&["second"])).await;
    let task = ended_task(site.client(), &id).await;
    assert_eq!(task["status"], "success", "{task}");
    let image = site.client().image(&id).await;
    assert_eq!(image["stores"], "main,second,third");
    assert_eq!(image["os_glance_failed_import"], "");
    site.app.finish().await;
}

#[tokio::test]
async fn copy_that_is_deleted_during_the_import_is_not_made_again() {
    let site = Site::of_three().await;
    let id = site.client().upload(content::bytes(MIB)).await;
    site.to_second.fail_operation("put", Fault::Hang, 0, 1);
    let mut body = to(&["third", "second"]);
    body["all_stores_must_succeed"] = json!(false);
    accepted(site.client(), &id, body).await;
    eventually("the first copy is made", async || {
        let image = site.client().image(&id).await;
        (image["stores"] == "main,third" && site.to_second.count("put") > 0).then_some(())
    })
    .await;
    let deleted = delete_copy(site.client(), "third", &id).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
    ended_task(site.client(), &id).await;
    let image = site.client().image(&id).await;
    assert_no_import(&image);
    assert_eq!(image["stores"], "main", "{image}");
    site.app.finish().await;
}

#[tokio::test]
async fn image_that_is_deleted_or_deactivated_during_its_copy_keeps_what_it_should() {
    let site = Site::start("").await;
    for is_deleted in [true, false] {
        let id = site.client().upload(content::bytes(MIB)).await;
        let asked = site.to_second.count("put");
        site.to_second.fail_operation("put", Fault::Hang, 0, 1);
        accepted(site.client(), &id, to(&["second"])).await;
        eventually("the copy is under way", async || {
            (site.to_second.count("put") > asked).then_some(())
        })
        .await;
        if is_deleted {
            let deleted = site.client().delete(&format!("/v2/images/{id}")).await;
            assert_eq!(deleted.status, StatusCode::NO_CONTENT);
            site.until_nothing_is_left(&id).await;
        } else {
            let path = format!("/v2/images/{id}/actions/deactivate");
            let closed = site.client().send(Method::POST, &path, &[], full("")).await;
            assert_eq!(closed.status, StatusCode::NO_CONTENT);
            ended_task(site.client(), &id).await;
            let image = site.client().image(&id).await;
            assert_eq!(image["status"], "deactivated", "{image}");
            assert!(image.get("os_glance_import_task").is_none(), "{image}");
        }
    }
    site.app.finish().await;
}

#[tokio::test]
async fn copies_count_as_the_owners() {
    let quota = format!("user_storage_quota = {}", MIB + MIB / 2);
    let site = Site::with("", &quota).await;
    let id = site.client().upload(content::bytes(MIB)).await;
    let answer = import(site.client(), &id, to_all()).await;
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
    assert_no_import_begun(&site.client().image(&id).await);
    site.app.finish().await;
}

fn assert_no_import_begun(image: &Value) {
    assert_eq!(image["status"], "active", "{image}");
    assert!(image.get("os_glance_import_task").is_none(), "{image}");
    assert!(
        image.get("os_glance_importing_to_stores").is_none(),
        "{image}"
    );
}
