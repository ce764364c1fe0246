//! An image that two stores hold.

use http::StatusCode;

use super::app::{Options, TestApp};
use super::client::Client;
use super::content;
use super::store::{Bucket, Embedded};
use super::upload::MIB;

/// An image of 4 MiB in two stores, of which the first is behind the proxy.
pub struct Copies {
    pub app: TestApp,
    /// Of its data.
    pub path: String,
    pub second: Bucket,
    embedded: Embedded,
}

impl Copies {
    pub async fn new() -> Self {
        Self::with("auth = \"none\"", "", None).await
    }

    /// The same with more of the configuration, and the token of an administrator.
    pub async fn with(top: &str, tables: &str, token: Option<&str>) -> Self {
        let signed = |client: &Client| token.map_or(client.clone(), |t| client.with_token(t));
        let embedded = Embedded::start().await;
        let endpoint = embedded.endpoint();
        let mut app = TestApp::with(Options {
            top: format!("{top}\ndefault_store = \"main\""),
            tables: format!(
                "{tables}[store.other]\nendpoint = {:?}\nbucket = \"second\"\naccess_key = {:?}\nsecret_key = {:?}\n\
                 profile = \"embedded\"\ncreate_bucket = true\n",
                endpoint.url, endpoint.access_key, endpoint.secret_key
            ),
            store: "retries = 0\nweight = 10".into(),
            endpoint: Some(endpoint.clone()),
            faults: true,
            ..Options::default()
        })
        .await;
        app.client = signed(&app.client);
        let id = app.client.upload(content::bytes(4 * MIB)).await;
        let second = Bucket::new(&endpoint, "second");
        app.shut_down().await;
        copy(&app, &second, &id).await;
        app.restart().await;
        app.client = signed(&app.client);
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
    pub fn asked_first(&self) -> usize {
        self.app.proxy().count("get")
    }

    /// Deletes the image, and checks that both stores are empty.
    pub async fn finish(self) {
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
