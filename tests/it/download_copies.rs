//! Downloads of an image that two stores hold: which one is read, and what happens when it fails.

use http::StatusCode;

use crate::support::app::{Options, TestApp};
use crate::support::content;
use crate::support::proxy::Fault;
use crate::support::store::{Bucket, Embedded};

const MIB: u64 = 1024 * 1024;
const AWAY: Fault = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");

/// An image of 4 MiB in two stores, of which the first is behind the proxy.
struct Copies {
    app: TestApp,
    path: String,
    second: Bucket,
    embedded: Embedded,
}

impl Copies {
    async fn new() -> Self {
        let embedded = Embedded::start().await;
        let endpoint = embedded.endpoint();
        let mut app = TestApp::with(Options {
            top: "auth = \"none\"\ndefault_store = \"main\"".into(),
            tables: format!(
                "[store.other]\nendpoint = {:?}\nbucket = \"second\"\naccess_key = {:?}\nsecret_key = {:?}\n\
                 profile = \"embedded\"\ncreate_bucket = true\n",
                endpoint.url, endpoint.access_key, endpoint.secret_key
            ),
            store: "retries = 0\nweight = 10".into(),
            endpoint: Some(endpoint.clone()),
            faults: true,
            ..Options::default()
        })
        .await;
        let id = app.client.upload(content::bytes(4 * MIB)).await;
        let second = Bucket::new(&endpoint, "second");
        app.shut_down().await;
        copy(&app, &second, &id).await;
        app.restart().await;
        assert_eq!(app.client.image(&id).await["stores"], "main,other");
        let path = format!("/v2/images/{id}/file");
        Self {
            app,
            path,
            second,
            embedded,
        }
    }

    /// How often the first store was asked for the image since the start.
    fn asked_first(&self) -> usize {
        self.app.proxy().count("get")
    }

    async fn finish(self) {
        let record = self.path.strip_suffix("/file").unwrap();
        let answer = self.app.client.delete(record).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(self.second.keys().await.is_empty(), "both copies go");
        self.app.finish().await;
        self.embedded.server.stop().await;
    }
}

/// What a copy to another store leaves behind: an object there, and a second location of the record.
async fn copy(app: &TestApp, second: &Bucket, id: &str) {
    let key = app.bucket.keys().await.pop_first().unwrap();
    let body = content::bytes(4 * MIB).into();
    let put = second.s3.put_object().bucket(&second.name).key(&key);
    let etag = put.body(body).send().await.unwrap().e_tag;
    let database = app.database().await;
    sqlx::query("INSERT INTO image_locations (image_id, position, store, object_key, etag) VALUES ($1, 1, 'other', $2, $3)")
        .bind(id)
        .bind(key)
        .bind(etag)
        .execute(&database)
        .await
        .unwrap();
    database.close().await;
}

#[tokio::test]
async fn heaviest_store_is_read_unless_another_is_preferred() {
    let copies = Copies::new().await;
    let client = &copies.app.client;
    for (query, asked) in [("", 1), ("?prefer=other", 1), ("?prefer=main,other", 2)] {
        let answer = client.get(&format!("{}{query}", copies.path)).await;
        assert_eq!(answer.body, content::bytes(4 * MIB), "{query:?}");
        assert_eq!(copies.asked_first(), asked, "{query:?}");
    }
    copies.finish().await;
}

#[tokio::test]
async fn store_that_is_away_or_has_lost_the_object_is_passed_over() {
    let copies = Copies::new().await;
    for fault in [AWAY, Fault::Answer(StatusCode::NOT_FOUND, "NoSuchKey")] {
        copies.app.proxy().fail_operation("get", fault, 0, 1);
        let answer = copies.app.client.get(&copies.path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, content::bytes(4 * MIB));
    }
    assert_eq!(copies.asked_first(), 2);
    copies.finish().await;
}

#[tokio::test]
async fn lost_in_one_store_and_the_other_away_is_503_not_404() {
    let copies = Copies::new().await;
    copies.app.proxy().fail_operation("get", AWAY, 0, 1);
    let s3 = &copies.second.s3;
    let key = copies.second.keys().await.pop_first().unwrap();
    let delete = s3.delete_object().bucket(&copies.second.name).key(&key);
    delete.send().await.unwrap();
    let answer = copies.app.client.get(&copies.path).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    copies.finish().await;
}

#[tokio::test]
async fn object_lost_in_the_middle_is_read_on_from_the_other_store() {
    let copies = Copies::new().await;
    let proxy = copies.app.proxy();
    proxy.fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    let lost = Fault::Answer(StatusCode::NOT_FOUND, "NoSuchKey");
    proxy.fail_operation("get", lost, 0, usize::MAX);
    let answer = copies.app.client.get(&copies.path).await;
    assert_eq!(answer.body, content::bytes(4 * MIB));
    assert_eq!(copies.asked_first(), 2);
    copies.finish().await;
}

#[tokio::test]
async fn store_that_stays_away_in_the_middle_is_given_up_for_the_other() {
    let copies = Copies::new().await;
    let proxy = copies.app.proxy();
    proxy.fail_operation("get", Fault::ResetAfter(MIB), 0, 1);
    proxy.fail_operation("get", AWAY, 0, usize::MAX);
    let answer = copies.app.client.get(&copies.path).await;
    assert_eq!(answer.body, content::bytes(4 * MIB));
    copies.finish().await;
}
