//! `POST /v2/images/{id}/import` with the method glance-direct (contract 6.3, 6.4): what becomes of image, stores and task.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::proxy::{Fault, FaultProxy};
use crate::support::store::{Bucket, Embedded};
use crate::support::upload::{MIB, assert_refused, chunked_of, stage, until_status};
use crate::support::{content, eventually};

const ALWAYS: usize = usize::MAX;

/// A service with the stores `main`, the default, and `second` behind a proxy; perhaps `third` as well.
pub struct Site {
    pub app: TestApp,
    pub second: Bucket,
    pub to_second: FaultProxy,
    _embedded: Embedded,
}

impl Site {
    pub async fn start(import: &str) -> Self {
        Self::with(import, "").await
    }

    pub async fn with(import: &str, images: &str) -> Self {
        Self::start_with(import, images, &[]).await
    }

    /// With more stores, which are in no other way.
    pub async fn of_three() -> Self {
        Self::start_with("", "", &["third"]).await
    }

    async fn start_with(import: &str, images: &str, more: &[&str]) -> Self {
        let embedded = Embedded::start().await;
        let endpoint = embedded.endpoint();
        let to_second = FaultProxy::start(&endpoint.url).await;
        let store = |name: &str, url: &str| {
            format!(
                "[store.{name}]\nendpoint = {url:?}\nbucket = {name:?}\naccess_key = {:?}\nsecret_key = {:?}\n\
                 profile = \"embedded\"\ncreate_bucket = true\nretries = 0\nread_timeout = \"2s\"\n",
                endpoint.access_key, endpoint.secret_key
            )
        };
        let more: Vec<String> = more.iter().map(|name| store(name, &endpoint.url)).collect();
        let app = TestApp::with(Options {
            top: "auth = \"none\"\ndefault_store = \"main\"".into(),
            tables: format!(
                "[import]\n{import}\n[images]\n{images}\n{}{}",
                store("second", &to_second.url()),
                more.concat()
            ),
            endpoint: Some(endpoint.clone()),
            ..Options::default()
        })
        .await;
        let second = Bucket::new(&endpoint, "second");
        eventually("the second bucket is there", async || {
            let look = second.s3.head_bucket().bucket(&second.name);
            look.send().await.ok().map(drop)
        })
        .await;
        Self {
            app,
            second,
            to_second,
            _embedded: embedded,
        }
    }

    pub fn client(&self) -> &Client {
        &self.app.client
    }

    /// An image with this data staged.
    pub async fn staged(&self, bytes: Bytes) -> String {
        let id = self.client().create_image().await;
        let staged = stage(self.client(), &id, &[], full(bytes)).await;
        assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
        id
    }

    /// Waits until neither bucket has anything of an image.
    pub async fn until_nothing_is_left(&self, id: &str) {
        eventually("nothing of the image is in a store", async || {
            let mut keys = self.app.bucket.keys().await;
            keys.extend(self.second.keys().await);
            keys.extend(self.second.open_uploads().await);
            keys.iter().all(|key| !key.contains(id)).then_some(())
        })
        .await;
    }
}

pub async fn import(client: &Client, id: &str, more: Value) -> Answer {
    let mut body = json!({"method": {"name": "glance-direct"}});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    client
        .post_json(&format!("/v2/images/{id}/import"), &body)
        .await
}

/// The one task of an image, once it has ended.
pub async fn ended_task(client: &Client, id: &str) -> Value {
    eventually("the task has ended", async || {
        let tasks = client.get(&format!("/v2/images/{id}/tasks")).await.json();
        let task = tasks["tasks"][0].clone();
        matches!(task["status"].as_str()?, "success" | "failure").then_some(task)
    })
    .await
}

pub async fn accepted(client: &Client, id: &str, more: Value) {
    let answer = import(client, id, more).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
}

async fn assert_data(client: &Client, id: &str, bytes: &Bytes) {
    for query in ["", "?prefer=second"] {
        let file = format!("/v2/images/{id}/file{query}");
        let back = client.get(&file).await;
        assert_eq!(back.status, StatusCode::OK, "{}", back.text());
        assert!(back.body == *bytes, "other bytes came back");
    }
}

#[tokio::test]
async fn staged_data_becomes_the_images_and_no_byte_moves() {
    let app = TestApp::with_faults().await;
    let methods = app.client.get("/v2/info/import").await.json();
    assert_eq!(
        methods["import-methods"]["value"],
        json!(["glance-direct", "web-download", "copy-image"])
    );
    for bytes in [Bytes::new(), content::bytes(20 * MIB)] {
        let id = app.client.create_image().await;
        let staged = stage(&app.client, &id, &[], full(bytes.clone())).await;
        assert_eq!(staged.status, StatusCode::NO_CONTENT);
        let (before, read) = (app.bucket.keys().await, app.proxy().count("get"));

        let answer = import(&app.client, &id, json!({})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        assert!(answer.body.is_empty());
        assert!(answer.header("location").is_none());
        until_status(&app.client, &id, "active").await;
        assert_eq!(
            app.bucket.keys().await,
            before,
            "the object is the staged one"
        );
        assert_eq!(app.proxy().count("get"), read, "no byte was read");

        let image = app.client.image(&id).await;
        assert_eq!(image["size"], bytes.len(), "{image}");
        for fact in ["checksum", "os_hash_algo", "os_hash_value"] {
            assert!(image[fact].is_string(), "{fact}: {image}");
        }
        assert_eq!(image["stores"], "main");
        // Clients look whether these are empty.
        assert_eq!(image["os_glance_importing_to_stores"], "");
        assert_eq!(image["os_glance_failed_import"], "");
        assert!(image.get("os_glance_import_task").is_none(), "{image}");
        let uploaded = app.client.upload(bytes.clone()).await;
        let uploaded = app.client.image(&uploaded).await;
        for fact in ["checksum", "os_hash_value", "virtual_size"] {
            assert_eq!(image[fact], uploaded[fact], "as by an upload: {fact}");
        }
        let file = app.client.get(&format!("/v2/images/{id}/file")).await;
        assert!(file.body == bytes, "other bytes came back");

        let task = ended_task(&app.client, &id).await;
        assert_eq!(task["status"], "success", "{task}");
        assert_eq!(task["type"], "api_image_import");
        assert_eq!(task["message"], "Copied 0 MiB");
        assert_eq!(
            task["request_id"].as_str(),
            answer.header("x-openstack-request-id")
        );
        let path = format!("/v2/tasks/{}", task["id"].as_str().unwrap());
        let shown = app.client.get(&path).await.json();
        assert_eq!(shown["status"], "success");
        assert!(shown["expires_at"].is_string(), "{shown}");
    }
    app.finish().await;
}

#[tokio::test]
async fn several_stores_get_the_data() {
    let site = Site::start("").await;
    for (size, more) in [
        (MIB, json!({"stores": ["second", "main"]})),
        (20 * MIB, json!({"all_stores": true})),
        (0, json!({"stores": ["main", "second", "main"]})),
        (
            MIB,
            json!({"all_stores": true, "all_stores_must_succeed": false}),
        ),
    ] {
        let bytes = content::bytes(size);
        let id = site.staged(bytes.clone()).await;
        accepted(site.client(), &id, more).await;
        let task = ended_task(site.client(), &id).await;
        assert_eq!(task["status"], "success", "{task}");
        assert_eq!(task["message"], format!("Copied {} MiB", size / MIB));
        let image = site.client().image(&id).await;
        assert_eq!(image["status"], "active", "{image}");
        assert_eq!(image["stores"], "main,second");
        assert_eq!(image["os_glance_importing_to_stores"], "");
        assert_eq!(image["os_glance_failed_import"], "");
        if size > 0 {
            assert_data(site.client(), &id, &bytes).await;
        }
        site.client().delete(&format!("/v2/images/{id}")).await;
        site.until_nothing_is_left(&id).await;
    }
    site.app.finish().await;
}

#[tokio::test]
async fn data_that_is_staged_elsewhere_moves_to_the_store_that_is_named() {
    let site = Site::start("").await;
    for must_succeed in [true, false] {
        let bytes = content::bytes(MIB);
        let id = site.staged(bytes.clone()).await;
        let more = json!({"stores": ["second"], "all_stores_must_succeed": must_succeed});
        accepted(site.client(), &id, more).await;
        until_status(site.client(), &id, "active").await;
        let image = site.client().image(&id).await;
        assert_eq!(image["stores"], "second", "{image}");
        assert_data(site.client(), &id, &bytes).await;
        eventually("what was staged is gone", async || {
            let keys = site.app.bucket.keys().await;
            keys.is_empty().then_some(())
        })
        .await;
        ended_task(site.client(), &id).await;
        site.client().delete(&format!("/v2/images/{id}")).await;
        site.until_nothing_is_left(&id).await;
    }
    site.app.finish().await;
}

#[tokio::test]
async fn store_that_fails_fails_the_import_and_it_can_be_tried_again() {
    let site = Site::start("").await;
    for (operation, size) in [("put", MIB), ("part", 9 * MIB)] {
        let away = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
        site.to_second.fail_operation(operation, away, 0, ALWAYS);
        let id = site.staged(content::bytes(size)).await;
        accepted(site.client(), &id, json!({"all_stores": true})).await;
        let task = ended_task(site.client(), &id).await;
        assert_eq!(task["status"], "failure", "{task}");
        let message = task["message"].as_str().unwrap();
        assert!(message.starts_with("store second: "), "{message}");
        let image = site.client().image(&id).await;
        assert_eq!(image["status"], "queued", "{image}");
        assert!(image["size"].is_null() && image["checksum"].is_null());
        assert_eq!(image["os_glance_importing_to_stores"], "");
        assert_eq!(image["os_glance_failed_import"], "second");
        assert!(image.get("os_glance_import_task").is_none(), "{image}");
        site.until_nothing_is_left(&id).await;

        site.to_second.heal();
        let again = stage(site.client(), &id, &[], chunked_of(size)).await;
        assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text());
        accepted(site.client(), &id, json!({"all_stores": true})).await;
        until_status(site.client(), &id, "active").await;
        let image = site.client().image(&id).await;
        assert_eq!(image["os_glance_failed_import"], "", "{image}");
        site.client().delete(&format!("/v2/images/{id}")).await;
        site.until_nothing_is_left(&id).await;
    }
    site.app.finish().await;
}

#[tokio::test]
async fn store_that_fails_is_told_and_the_others_go_on_where_not_all_must_succeed() {
    let site = Site::start("").await;
    let away = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    site.to_second.fail_operation("put", away, 0, ALWAYS);
    let bytes = content::bytes(MIB);
    let id = site.staged(bytes.clone()).await;
    let more = json!({"stores": ["second", "main"], "all_stores_must_succeed": false});
    accepted(site.client(), &id, more).await;
    let task = ended_task(site.client(), &id).await;
    assert_eq!(task["status"], "success", "{task}");
    let message = task["message"].as_str().unwrap();
    assert!(message.contains("store second: "), "{message}");
    let image = site.client().image(&id).await;
    assert_eq!(image["status"], "active", "{image}");
    assert_eq!(image["stores"], "main");
    assert_eq!(image["os_glance_importing_to_stores"], "");
    assert_eq!(image["os_glance_failed_import"], "second");
    assert_data(site.client(), &id, &bytes).await;

    // None of them takes it.
    let id = site.staged(bytes).await;
    let more = json!({"stores": ["second"], "all_stores_must_succeed": false});
    accepted(site.client(), &id, more).await;
    let task = ended_task(site.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    assert!(task["message"].as_str().unwrap().contains("store second: "));
    let image = site.client().image(&id).await;
    assert_eq!(image["status"], "queued", "{image}");
    assert_eq!(image["os_glance_failed_import"], "second");
    site.until_nothing_is_left(&id).await;
    site.app.finish().await;
}

#[tokio::test]
async fn data_of_another_format_fails_the_import_with_the_reason() {
    let site = Site::start("").await;
    let body = json!({"disk_format": "qcow2", "container_format": "bare"});
    let id = site.client().create(&body).await;
    for _ in 0..2 {
        let staged = stage(site.client(), &id, &[], full(content::bytes(5000))).await;
        assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
        accepted(site.client(), &id, json!({})).await;
        until_status(site.client(), &id, "queued").await;
        let task = ended_task(site.client(), &id).await;
        assert_eq!(task["status"], "failure", "{task}");
        let message = task["message"].as_str().unwrap();
        assert!(message.contains("does not match"), "{message}");
        site.until_nothing_is_left(&id).await;
    }
    site.app.finish().await;
}

#[tokio::test]
async fn staged_data_that_its_store_has_lost_fails_the_import() {
    let site = Site::start("").await;
    let id = site.staged(content::bytes(5000)).await;
    for key in site.app.bucket.keys().await {
        let delete = site.app.bucket.s3.delete_object();
        let delete = delete.bucket(&site.app.bucket.name).key(key);
        delete.send().await.unwrap();
    }
    accepted(site.client(), &id, json!({})).await;
    let task = ended_task(site.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    let message = task["message"].as_str().unwrap();
    assert!(message.contains("not in store main any more"), "{message}");
    assert_eq!(site.client().status(&id).await, "queued");
    site.app.finish().await;
}

#[tokio::test]
async fn image_deleted_during_its_import_leaves_nothing() {
    let site = Site::start("").await;
    site.to_second.fail_operation("put", Fault::Hang, 0, ALWAYS);
    let id = site.staged(content::bytes(MIB)).await;
    accepted(site.client(), &id, json!({"all_stores": true})).await;
    eventually("the copy is under way", async || {
        (site.to_second.count("put") > 0).then_some(())
    })
    .await;
    let image = site.client().image(&id).await;
    assert_eq!(image["status"], "importing", "{image}");
    assert_eq!(image["os_glance_importing_to_stores"], "main,second");
    assert!(image["os_glance_import_task"].is_string(), "{image}");
    let deleted = site.client().delete(&format!("/v2/images/{id}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    site.to_second.heal();
    let task = eventually("the task has failed", async || {
        let tasks = site.client().get("/v2/tasks?status=failure").await.json();
        tasks["tasks"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let task = site.client().get(&format!("/v2/tasks/{task}")).await.json();
    assert_eq!(task["image_id"], id);
    site.until_nothing_is_left(&id).await;
    site.app.finish().await;
}

#[tokio::test]
async fn tasks_of_a_project_wait_for_each_other_beyond_their_number() {
    let site = Site::start("tasks_per_project = 1").await;
    site.to_second.fail_operation("put", Fault::Hang, 0, ALWAYS);
    let (first, second) = (
        site.staged(content::bytes(1000)).await,
        site.staged(content::bytes(1000)).await,
    );
    accepted(site.client(), &first, json!({"all_stores": true})).await;
    eventually("the first is at work", async || {
        (site.to_second.count("put") > 0).then_some(())
    })
    .await;
    accepted(site.client(), &second, json!({"stores": ["main"]})).await;
    let waiting = site.client().get("/v2/tasks?status=pending").await.json();
    assert_eq!(waiting["tasks"][0]["image_id"], second, "{waiting}");
    // The first fails by the store's silence, and then it is the second's turn.
    let task = ended_task(site.client(), &second).await;
    assert_eq!(task["status"], "success", "{task}");
    assert_eq!(ended_task(site.client(), &first).await["status"], "failure");
    site.to_second.heal();
    site.until_nothing_is_left(&first).await;
    site.app.finish().await;
}

#[tokio::test]
async fn records_of_tasks_go_when_their_time_is_over() {
    let site = Site::start("task_time_to_live = \"1s\"").await;
    let id = site.staged(content::bytes(1000)).await;
    accepted(site.client(), &id, json!({})).await;
    until_status(site.client(), &id, "active").await;
    eventually("the row is gone", async || {
        let database = site.app.database().await;
        let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM tasks")
            .fetch_one(&database)
            .await
            .unwrap();
        database.close().await;
        (rows == 0).then_some(())
    })
    .await;
    site.app.finish().await;
}

#[tokio::test]
async fn copies_that_do_not_fit_the_quota_are_413_and_the_data_stays_staged() {
    let quota = format!("user_storage_quota = {}", MIB + MIB / 2);
    let site = Site::with("", &quota).await;
    let id = site.staged(content::bytes(MIB)).await;
    let over = import(site.client(), &id, json!({"all_stores": true})).await;
    assert_refused(&over, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
    let image = site.client().image(&id).await;
    assert_eq!(image["status"], "uploading", "{image}");
    assert!(image.get("os_glance_import_task").is_none(), "{image}");
    accepted(site.client(), &id, json!({})).await;
    until_status(site.client(), &id, "active").await;
    site.app.finish().await;
}

#[tokio::test]
async fn import_that_a_stop_broke_off_goes_on_after_the_start() {
    let mut site = Site::start("").await;
    site.to_second.fail_operation("put", Fault::Hang, 0, ALWAYS);
    let bytes = content::bytes(MIB);
    let id = site.staged(bytes.clone()).await;
    accepted(site.client(), &id, json!({"all_stores": true})).await;
    eventually("the copy is under way", async || {
        (site.to_second.count("put") > 0).then_some(())
    })
    .await;
    site.app.signal_stop();
    site.to_second.heal();
    site.app.restart().await;
    let task = ended_task(site.client(), &id).await;
    let database = site.app.database().await;
    let claims: i64 = sqlx::query_scalar("SELECT claims FROM tasks")
        .fetch_one(&database)
        .await
        .unwrap();
    database.close().await;
    assert_eq!(claims, 1, "who left in order has not died of it");
    // The put that hung may have failed before the stop was noticed.
    if task["status"] == "success" {
        assert_data(site.client(), &id, &bytes).await;
    } else {
        assert_eq!(site.client().status(&id).await, "queued");
        site.until_nothing_is_left(&id).await;
    }
    site.app.finish().await;
}
