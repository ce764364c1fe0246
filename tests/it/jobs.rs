//! Background work with two stores, of which one does not answer: it delays what is its own and nothing else.

use http::StatusCode;

use crate::support::app::{Options, TestApp};
use crate::support::content;
use crate::support::eventually;
use crate::support::proxy::{Fault, FaultProxy};
use crate::support::store::{Bucket, Embedded};
use crate::support::upload::until_status;

const ALWAYS: usize = usize::MAX;

/// Removals of one store at once, and failures in a row that end its round.
const AT_ONCE: usize = 16;
const FAILURES: usize = 3;

/// A service with the store `main`, and `away`, which sorts before it; a proxy stands before each.
struct Site {
    app: TestApp,
    away: FaultProxy,
    _embedded: Embedded,
}

impl Site {
    async fn start() -> Self {
        let embedded = Embedded::start().await;
        let endpoint = embedded.endpoint();
        let away = FaultProxy::start(&endpoint.url).await;
        let app = TestApp::with(Options {
            top: "auth = \"none\"\ndefault_store = \"main\"".into(),
            tables: format!(
                "[store.away]\nendpoint = {:?}\nbucket = \"second\"\naccess_key = {:?}\nsecret_key = {:?}\n\
                 profile = \"embedded\"\ncreate_bucket = true\nretries = 0\n",
                away.url(),
                endpoint.access_key,
                endpoint.secret_key
            ),
            store: "retries = 0".into(),
            endpoint: Some(endpoint.clone()),
            faults: true,
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
            away,
            _embedded: embedded,
        }
    }

    /// Starts the service again while the store `away` takes requests and never answers.
    async fn restart_with_one_store_hanging(&mut self) {
        self.away.fail(|_, _| true, Fault::Hang, 0, ALWAYS);
        self.app.restart().await;
    }

    /// Starts it again with both stores well.
    async fn heal(&mut self) {
        self.app.shut_down().await;
        self.away.heal();
        self.app.proxy().heal();
        self.app.restart().await;
    }

    /// Puts rows on the garbage list of a store that have been due longest.
    async fn add_garbage(&self, store: &str, rows: usize) {
        let database = self.app.database().await;
        let mut inserting = database.begin().await.unwrap();
        for row in 0..rows {
            sqlx::query("INSERT INTO garbage (store, object_key, upload_id, due_at) VALUES ($1, $2, NULL, 0)")
                .bind(store)
                .bind(format!("row-{row}"))
                .execute(&mut *inserting)
                .await
                .unwrap();
        }
        inserting.commit().await.unwrap();
        database.close().await;
    }

    /// What a killed process leaves of an upload: an image in saving and the attempt's row, due `lease` after the others.
    async fn break_off_upload(&self, store: &str, lease: i64, intent: Option<&str>) -> BrokenOff {
        let image = self.app.client.create_image().await;
        let attempt = format!("{lease:032x}");
        let key = format!("{image}/{attempt}");
        let database = self.app.database().await;
        sqlx::query("UPDATE images SET status = 'saving' WHERE id = $1")
            .bind(&image)
            .execute(&database)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO uploads (attempt_id, image_id, node, store, object_key, lease_until, reserved_bytes, intent) \
             VALUES ($1, $2, 'gone', $3, $4, $5, 0, $6)",
        )
        .bind(attempt)
        .bind(&image)
        .bind(store)
        .bind(&key)
        .bind(lease)
        .bind(intent)
        .execute(&database)
        .await
        .unwrap();
        database.close().await;
        BrokenOff { image, key }
    }

    /// Rows on the garbage list.
    async fn garbage(&self) -> i64 {
        let database = self.app.database().await;
        let rows = sqlx::query_scalar("SELECT COUNT(*) FROM garbage")
            .fetch_one(&database)
            .await
            .unwrap();
        database.close().await;
        rows
    }
}

struct BrokenOff {
    image: String,
    key: String,
}

const INTENT: &str = r#"{"facts": {"size": 1, "virtual_size": null, "checksum": "00", "os_hash_algo": "sha512", "os_hash_value": "00"}}"#;

#[tokio::test]
async fn deleted_images_are_swept_while_another_store_hangs() {
    let mut site = Site::start().await;
    let id = site.app.client.upload(content::bytes(1000)).await;
    site.app
        .proxy()
        .fail_operation("delete", Fault::Refuse, 0, ALWAYS);
    let deleted = site.app.client.delete(&format!("/v2/images/{id}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(site.app.bucket.keys().await.len(), 1);
    site.app.shut_down().await;
    let database = site.app.database().await;
    let due = sqlx::query("UPDATE garbage SET due_at = 1");
    assert_eq!(due.execute(&database).await.unwrap().rows_affected(), 1);
    database.close().await;
    site.add_garbage("away", 200).await;

    site.app.proxy().heal();
    site.restart_with_one_store_hanging().await;
    eventually("the bytes are gone", async || {
        site.app.bucket.keys().await.is_empty().then_some(())
    })
    .await;
    site.heal().await;
    eventually("the garbage list is empty", async || {
        (site.garbage().await == 0).then_some(())
    })
    .await;
    site.app.finish().await;
}

#[tokio::test]
async fn broken_off_uploads_are_settled_while_another_store_hangs() {
    let mut site = Site::start().await;
    let in_doubt = site.break_off_upload("away", 0, Some(INTENT)).await;
    let unpublished = site.break_off_upload("away", 1, None).await;
    let healthy = site.break_off_upload("main", 2, None).await;
    site.app.bucket.put(&healthy.key, content::bytes(10)).await;
    site.app.shut_down().await;

    site.restart_with_one_store_hanging().await;
    until_status(&site.app.client, &healthy.image, "queued").await;
    eventually("the bytes are gone", async || {
        site.app.bucket.keys().await.is_empty().then_some(())
    })
    .await;
    // Nothing was published: no store has to be asked.
    until_status(&site.app.client, &unpublished.image, "queued").await;
    assert_eq!(site.app.client.status(&in_doubt.image).await, "saving");
    site.heal().await;
    until_status(&site.app.client, &in_doubt.image, "queued").await;
    site.app.finish().await;
}

#[tokio::test]
async fn uploads_of_a_store_that_is_no_longer_configured_are_rolled_back() {
    let mut site = Site::start().await;
    let upload = site.break_off_upload("retired", 0, None).await;
    site.app.shut_down().await;
    site.add_garbage("retired", 1).await;
    site.app.restart().await;
    until_status(&site.app.client, &upload.image, "queued").await;
    eventually("what waits is counted", async || {
        let waiting = site.app.metric("oriel_garbage_rows{store=\"retired\"}");
        (waiting.await >= 1.0).then_some(())
    })
    .await;
    assert_eq!(site.garbage().await, 2, "nothing is forgotten");
    site.app.finish().await;
}

#[tokio::test]
async fn open_uploads_are_looked_for_while_another_store_hangs() {
    let mut site = Site::start().await;
    site.app.shut_down().await;
    let looked = site.app.proxy().count("list_uploads");
    site.restart_with_one_store_hanging().await;
    eventually("the healthy store is asked", async || {
        (site.app.proxy().count("list_uploads") > looked).then_some(())
    })
    .await;
    site.heal().await;
    site.app.finish().await;
}

#[tokio::test]
async fn one_round_of_the_sweep_empties_the_list() {
    let mut site = Site::start().await;
    site.app.shut_down().await;
    site.add_garbage("main", 1200).await;
    site.app.restart().await;
    eventually("the garbage list is empty", async || {
        (site.garbage().await == 0).then_some(())
    })
    .await;
    assert_eq!(site.app.proxy().count("delete"), 1200, "each row once");
    eventually("the round is counted", async || {
        let runs = "oriel_job_runs_total{job=\"sweep\",store=\"main\",outcome=\"ok\"}";
        (site.app.metric(runs).await == 1.0).then_some(())
    })
    .await;
    let last = "oriel_job_last_success_timestamp_seconds{job=\"sweep\",store=\"main\"}";
    assert!(site.app.metric(last).await > 1e9);
    site.app.finish().await;
}

#[tokio::test]
async fn store_that_fails_again_and_again_ends_its_round_of_the_sweep() {
    let mut site = Site::start().await;
    site.app.shut_down().await;
    site.add_garbage("away", 100).await;
    let busy = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    site.away.fail_operation("delete", busy, 0, ALWAYS);
    site.app.restart().await;
    eventually("the round is counted", async || {
        let runs = "oriel_job_runs_total{job=\"sweep\",store=\"away\",outcome=\"failed\"}";
        (site.app.metric(runs).await == 1.0).then_some(())
    })
    .await;
    let tried = site.away.count("delete");
    assert!((FAILURES..AT_ONCE + FAILURES).contains(&tried), "{tried}");
    let never = "oriel_job_last_success_timestamp_seconds{job=\"sweep\",store=\"away\"}";
    assert_eq!(site.app.metric(never).await, 0.0);
    eventually("what waits is counted", async || {
        let waiting = site.app.metric("oriel_garbage_rows{store=\"away\"}");
        (waiting.await == 100.0).then_some(())
    })
    .await;
    site.app.finish().await;
}
