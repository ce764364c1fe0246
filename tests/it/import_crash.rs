//! The process is killed during imports (kill -9) and started again: the task goes on where it was.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::import::{ended_task, import};
use crate::support::child::Server;
use crate::support::client::full;
use crate::support::proxy::{Fault, FaultProxy};
use crate::support::store::{Bucket, Embedded};
use crate::support::upload::{MIB, stage};
use crate::support::web::{self, Page, WebServer};
use crate::support::{content, database, eventually};

const ALWAYS: usize = usize::MAX;

/// A catalog and two stores that outlive the service; a proxy stands before the second one.
struct Site {
    dir: TempDir,
    _embedded: Embedded,
    main: Bucket,
    second: Bucket,
    to_second: FaultProxy,
}

impl Site {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(tables: &str) -> Self {
        let embedded = Embedded::start().await;
        let endpoint = embedded.endpoint();
        let to_second = FaultProxy::start(&endpoint.url).await;
        let dir = tempfile::tempdir().unwrap();
        let catalog = database::setting(dir.path()).await;
        let store = |name: &str, url: &str| {
            format!(
                "[store.{name}]\nendpoint = {url:?}\nbucket = {name:?}\nprofile = \"embedded\"\ncreate_bucket = true\n\
                 access_key = {:?}\nsecret_key = {:?}\nretries = 0\n",
                endpoint.access_key, endpoint.secret_key
            )
        };
        let text = format!(
            "auth = \"none\"\ndefault_store = \"main\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n\
             [catalog]\n{catalog}\n{tables}\n[transfer]\nlease = \"3s\"\n{}{}",
            store("main", &endpoint.url),
            store("second", &to_second.url()),
        );
        std::fs::write(dir.path().join("oriel.toml"), text).unwrap();
        Self {
            main: Bucket::new(&endpoint, "main"),
            second: Bucket::new(&endpoint, "second"),
            dir,
            _embedded: embedded,
            to_second,
        }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("oriel.toml")
    }

    async fn started(&self) -> Server {
        let server = Server::start(&self.config()).await;
        eventually("the second bucket is there", async || {
            let look = self.second.s3.head_bucket().bucket(&self.second.name);
            look.send().await.ok().map(drop)
        })
        .await;
        server
    }

    /// Stages data and imports it to both stores, and kills the process when the second one is asked for `operation`.
    async fn kill_at(&self, size: u64, must_succeed: bool, operation: &'static str) -> String {
        let server = self.started().await;
        let id = server.client.create_image().await;
        let body = full(content::bytes(size));
        let staged = stage(&server.client, &id, &[], body).await;
        assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
        let more = json!({"all_stores": true, "all_stores_must_succeed": must_succeed});
        let expected = if must_succeed { "importing" } else { "active" };
        self.kill_in(server, &id, more, operation, expected).await;
        id
    }

    /// Begins an import, and kills the process when the second store is asked for `operation`.
    async fn kill_in(
        &self,
        server: Server,
        id: &str,
        more: Value,
        operation: &'static str,
        expected: &str,
    ) {
        let asked = self.to_second.count(operation);
        self.to_second
            .fail_operation(operation, Fault::Hang, 0, ALWAYS);
        let answer = import(&server.client, id, more).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        eventually(operation, async || {
            (self.to_second.count(operation) > asked).then_some(())
        })
        .await;
        assert_eq!(server.client.status(id).await, expected);
        server.kill().await;
        self.to_second.heal();
    }
}

#[tokio::test]
async fn import_goes_on_after_a_kill_and_leaves_nothing_beside_the_image() {
    let site = Site::new().await;
    for (size, must_succeed, operation) in [
        (MIB, true, "put"),
        (MIB, false, "put"),
        (9 * MIB, true, "part"),
        (9 * MIB, true, "complete"),
    ] {
        let id = site.kill_at(size, must_succeed, operation).await;
        let server = Server::start(&site.config()).await;
        let task = ended_task(&server.client, &id).await;
        assert_eq!(task["status"], "success", "{operation}: {task}");
        let image = server.client.image(&id).await;
        assert_eq!(image["status"], "active", "{operation}: {image}");
        assert_eq!(image["stores"], "main,second", "{operation}: {image}");
        let file = format!("/v2/images/{id}/file?prefer=second");
        let back = server.client.get(&file).await;
        assert!(back.body == content::bytes(size), "other bytes came back");
        eventually("each store has the one object", async || {
            let whole = site.main.keys().await.len() == 1 && site.second.keys().await.len() == 1;
            (whole && site.second.open_uploads().await.is_empty()).then_some(())
        })
        .await;
        let deleted = server.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        eventually("nothing is left", async || {
            let keys = [site.main.keys().await, site.second.keys().await];
            keys.iter().all(|keys| keys.is_empty()).then_some(())
        })
        .await;
        server.kill().await;
    }
}

/// The quota has room for the copy once: the one that broke off holds it until it is settled.
#[tokio::test]
async fn copy_of_an_active_image_goes_on_after_a_kill_within_the_quota() {
    let quota = format!("[images]\nuser_storage_quota = {}", 20 * MIB);
    let site = Site::with(&quota).await;
    for operation in ["part", "complete"] {
        let server = site.started().await;
        let id = server.client.upload(content::bytes(9 * MIB)).await;
        let more = json!({"method": {"name": "copy-image"}, "stores": ["second"]});
        site.kill_in(server, &id, more, operation, "active").await;
        let server = Server::start(&site.config()).await;
        let task = ended_task(&server.client, &id).await;
        assert_eq!(task["status"], "success", "{operation}: {task}");
        let image = server.client.image(&id).await;
        assert_eq!(image["stores"], "main,second", "{operation}: {image}");
        let deleted = server.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        eventually("nothing is left", async || {
            let keys = [site.main.keys().await, site.second.keys().await];
            let is_empty = keys.iter().all(|keys| keys.is_empty());
            (is_empty && site.second.open_uploads().await.is_empty()).then_some(())
        })
        .await;
        server.kill().await;
    }
}

#[tokio::test]
async fn unpacking_goes_on_after_a_kill() {
    let site = Site::with("[import]\nplugins = [\"image_decompression\"]").await;
    let bytes = content::bytes(20 * MIB);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    let packed = encoder.finish().unwrap();
    for operation in ["part", "complete"] {
        let server = site.started().await;
        let id = server.client.create_image().await;
        let staged = stage(&server.client, &id, &[], full(packed.clone())).await;
        assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
        let more = json!({"stores": ["second"]});
        site.kill_in(server, &id, more, operation, "importing")
            .await;
        let server = Server::start(&site.config()).await;
        let task = ended_task(&server.client, &id).await;
        assert_eq!(task["status"], "success", "{operation}: {task}");
        let file = server.client.get(&format!("/v2/images/{id}/file")).await;
        assert!(file.body == bytes, "other bytes came back");
        eventually("only the image's object is left", async || {
            let whole = site.main.keys().await.is_empty() && site.second.keys().await.len() == 1;
            (whole && site.second.open_uploads().await.is_empty()).then_some(())
        })
        .await;
        server.client.delete(&format!("/v2/images/{id}")).await;
        eventually("nothing is left", async || {
            site.second.keys().await.is_empty().then_some(())
        })
        .await;
        server.kill().await;
    }
}

#[tokio::test]
async fn download_from_the_web_goes_on_after_a_kill() {
    let web = WebServer::start().await;
    let site = Site::with(&format!(
        "[import]\nallow_private_addresses = true\nallowed_ports = [{}]",
        web.port()
    ))
    .await;
    let bytes = content::bytes(20 * MIB);
    let page = Page::new(bytes.clone());
    web.put("/image", page.failing([web::Fault::HangAfter(17_000_000)]));
    let server = site.started().await;
    let id = server.client.create_image().await;
    let method = json!({"name": "web-download", "uri": web.url("/image")});
    let more = json!({"method": method, "all_stores": true});
    let answer = import(&server.client, &id, more).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    eventually("the data is on its way", async || {
        (!site.main.open_uploads().await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(server.client.status(&id).await, "importing");
    server.kill().await;
    let server = Server::start(&site.config()).await;
    let task = ended_task(&server.client, &id).await;
    assert_eq!(task["status"], "success", "{task}");
    let image = server.client.image(&id).await;
    assert_eq!(image["stores"], "main,second", "{image}");
    let file = server.client.get(&format!("/v2/images/{id}/file")).await;
    assert!(file.body == bytes, "other bytes came back");
    eventually("each store has the one object", async || {
        let whole = site.main.keys().await.len() == 1 && site.second.keys().await.len() == 1;
        (whole && site.main.open_uploads().await.is_empty()).then_some(())
    })
    .await;
    server.kill().await;
}

/// What was fetched was there, whole, when its server died, and the source gives it once.
#[tokio::test]
async fn download_that_was_published_before_the_kill_is_found_and_not_asked_for_again() {
    let web = WebServer::start().await;
    let site = Site::with(&format!(
        "[import]\nallow_private_addresses = true\nallowed_ports = [{}]",
        web.port()
    ))
    .await;
    let bytes = content::bytes(MIB);
    web.put("/once", Page::new(bytes.clone()));
    let server = site.started().await;
    let id = server.client.create_image().await;
    site.to_second
        .fail_operation("put", Fault::LoseAnswer, 0, 1);
    let method = json!({"name": "web-download", "uri": web.url("/once")});
    let more = json!({"method": method, "stores": ["second"]});
    site.kill_in(server, &id, more, "head", "importing").await;
    assert_eq!(site.second.keys().await.len(), 1);
    web.put("/once", Page::of_status(404));
    let server = Server::start(&site.config()).await;
    let task = ended_task(&server.client, &id).await;
    assert_eq!(task["status"], "success", "{task}");
    assert_eq!(web.count("/once"), 1);
    let file = server.client.get(&format!("/v2/images/{id}/file")).await;
    assert!(file.body == bytes, "other bytes came back");
    server.kill().await;
}

/// The copy was there, whole, and its server died before it was told.
#[tokio::test]
async fn copy_that_was_published_before_the_kill_is_found() {
    let site = Site::new().await;
    site.to_second
        .fail_operation("put", Fault::LoseAnswer, 0, 1);
    let id = site.kill_at(MIB, true, "head").await;
    assert_eq!(site.second.keys().await.len(), 1);
    let server = Server::start(&site.config()).await;
    let task = ended_task(&server.client, &id).await;
    assert_eq!(task["status"], "success", "{task}");
    let image = server.client.image(&id).await;
    assert_eq!(image["stores"], "main,second", "{image}");
    eventually("each store has the one object", async || {
        let whole = site.main.keys().await.len() == 1 && site.second.keys().await.len() == 1;
        whole.then_some(())
    })
    .await;
    server.kill().await;
}
