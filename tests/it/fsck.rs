//! `oriel fsck`: bucket and catalog are brought out of step by hand, one way after the other, and the command has to say so.

mod findings;
mod pages;
mod repairs;
mod running;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::support::app::{Options, TestApp};
use crate::support::child::oriel;
use crate::support::store::Embedded;
use crate::support::told::{Told, told};
use crate::support::{content, eventually};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An attempt that no catalog knows.
const ATTEMPT: &str = "00112233445566778899aabbccddeeff";

/// A service that was shut down, with what it has left behind.
struct Site {
    app: TestApp,
    embedded: Embedded,
    /// One active image.
    image: String,
    /// The key of its object.
    key: String,
}

impl Site {
    /// With one active image of a thousand bytes.
    async fn start() -> Self {
        let embedded = Embedded::start().await;
        let mut app = TestApp::with(Options {
            endpoint: Some(embedded.endpoint()),
            ..Options::default()
        })
        .await;
        let image = app.client.upload(content::bytes(1000)).await;
        app.shut_down().await;
        let key = app.bucket.keys().await.pop_first().unwrap();
        Self {
            app,
            embedded,
            image,
            key,
        }
    }

    /// Runs the command with `--json`, for objects of any age.
    async fn fsck(&self, more: &[&str]) -> Told {
        let mut arguments = vec!["--min-age", "0s"];
        arguments.extend_from_slice(more);
        self.fsck_plainly(&arguments).await
    }

    /// The same without an age.
    async fn fsck_plainly(&self, more: &[&str]) -> Told {
        told(&self.app.config_file(), "fsck", more).await
    }

    /// Changes the catalog by hand.
    async fn sql(&self, statement: &'static str, values: &[&str]) {
        let database = self.app.database().await;
        let mut query = sqlx::query(statement);
        for value in values {
            query = query.bind(*value);
        }
        assert!(query.execute(&database).await.unwrap().rows_affected() > 0);
        database.close().await;
    }

    /// Asks the catalog for a number.
    async fn number(&self, question: &'static str) -> i64 {
        let database = self.app.database().await;
        let number = sqlx::query_scalar(question).fetch_one(&database).await;
        database.close().await;
        number.unwrap()
    }

    /// An object that no record has, of the image that is there. Gives its key.
    async fn orphan(&self) -> String {
        let key = format!("{}/{ATTEMPT}", self.image);
        self.app.bucket.put(&key, content::bytes(123)).await;
        key
    }

    /// A multipart upload that no attempt has. Gives its key.
    async fn open_multipart(&self) -> String {
        let key = format!("{}/{ATTEMPT}", self.image);
        let bucket = &self.app.bucket;
        let open = bucket.s3.create_multipart_upload().bucket(&bucket.name);
        open.key(&key).send().await.unwrap();
        key
    }

    /// An upload whose process was killed long ago: an image in saving and the attempt's row. Gives image and key.
    async fn abandoned_upload(&self) -> (String, String) {
        let key = format!("{}/{ATTEMPT}", self.image);
        self.sql(
            "UPDATE images SET status = 'saving', size = NULL WHERE id = $1",
            &[&self.image],
        )
        .await;
        self.sql(
            "DELETE FROM image_locations WHERE image_id = $1",
            &[&self.image],
        )
        .await;
        self.sql(
            "INSERT INTO uploads (attempt_id, image_id, owner, node, store, object_key, lease_until, reserved_bytes) \
             VALUES ($1, $2, (SELECT owner FROM images WHERE id = $2), 'gone', 'main', $3, 0, 0)",
            &[ATTEMPT, &self.image, &key],
        )
        .await;
        self.sql("UPDATE project_usage SET uploads = 1, bytes = 0", &[])
            .await;
        (self.image.clone(), key)
    }
}

/// The bytes of another object of the same size.
fn other_bytes() -> Bytes {
    content::slice(7, 1000)
}
