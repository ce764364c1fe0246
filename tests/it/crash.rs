//! The process is killed during uploads (kill -9) and started again. The store stays in the test's process, so that it
//! can be looked at; the catalog is a file.
//!
//! The rule: what was answered 204 is there, whole; everything else is as if it had never begun.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::child::Server;
use crate::support::client::{Client, full};
use crate::support::proxy::{Fault, FaultProxy, is};
use crate::support::store::{Bucket, Embedded};
use crate::support::upload::{MIB, chunked_of, until_status};
use crate::support::{content, eventually};

const ALWAYS: usize = 1000;

/// A catalog and a store that outlive the service.
struct Site {
    dir: TempDir,
    _embedded: Embedded,
    bucket: Bucket,
    proxy: FaultProxy,
}

impl Site {
    async fn new() -> Self {
        let embedded = Embedded::start().await;
        let endpoint = embedded.endpoint();
        let proxy = FaultProxy::start(&endpoint.url).await;
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
            bucket: Bucket::new(&endpoint, "images"),
            _embedded: embedded,
            proxy,
        };
        let text = format!(
            "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n[catalog]\npath = {:?}\n\
             [store.main]\nendpoint = {:?}\nbucket = \"images\"\nprofile = \"embedded\"\ncreate_bucket = true\n\
             access_key = {:?}\nsecret_key = {:?}\nretries = 0\n",
            site.dir.path().join("catalog.sqlite"),
            site.proxy.url(),
            endpoint.access_key,
            endpoint.secret_key,
        );
        std::fs::write(site.config(), text).unwrap();
        site
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("oriel.toml")
    }

    async fn start(&self) -> Server {
        Server::start(&self.config()).await
    }

    /// The keys of objects and of open multipart uploads.
    async fn contents(&self) -> (Vec<String>, Vec<String>) {
        (
            self.bucket.keys().await.into_iter().collect(),
            self.bucket.open_uploads().await,
        )
    }

    /// Waits until the store holds the active ones of these images and nothing else.
    async fn until_settled(&self, client: &Client, images: &[Trial]) {
        eventually(
            "every upload is settled and nothing is left over",
            async || {
                let mut active = Vec::new();
                for trial in images {
                    match client.status(&trial.id).await.as_str() {
                        "active" => active.push(trial.id.clone()),
                        "queued" => {}
                        _ => return None,
                    }
                }
                let (keys, open) = self.contents().await;
                let of_active = |key: &String| active.iter().any(|id| key.starts_with(id.as_str()));
                (open.is_empty() && keys.len() == active.len() && keys.iter().all(of_active))
                    .then_some(())
            },
        )
        .await;
    }
}

/// An image that is uploaded while the process is killed.
struct Trial {
    id: String,
    bytes: Bytes,
    is_chunked: bool,
    /// Answered with 204 before the process was killed.
    was_accepted: bool,
}

impl Trial {
    async fn upload(&mut self, client: &Client) {
        let body = if self.is_chunked {
            let frames = (0..self.bytes.len()).step_by(64 * 1024);
            let end = |at: usize| self.bytes.len().min(at + 64 * 1024);
            crate::support::client::chunked(
                frames.map(|at| self.bytes.slice(at..end(at))).collect(),
            )
        } else {
            full(self.bytes.clone())
        };
        let path = format!("/v2/images/{}/file", self.id);
        let headers = [("content-type", "application/octet-stream")];
        let answer = client.open(Method::PUT, &path, &headers, body).await;
        self.was_accepted = match answer {
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::NO_CONTENT);
                true
            }
            Err(_) => false,
        };
    }
}

/// A number from the environment, to run more rounds or the same ones again.
fn setting(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a setting of the test, not of the service"
    )]
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// Says how to repeat the rounds when the test fails.
struct OnFailure(u64);

impl Drop for OnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat these rounds: ORIEL_CRASH_SEED={}", self.0);
        }
    }
}

#[tokio::test]
async fn no_image_is_lost_or_stuck_when_the_process_is_killed_at_any_moment() {
    let rounds = setting("ORIEL_CRASH_ROUNDS").unwrap_or(50);
    let seed = setting("ORIEL_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let _hint = OnFailure(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let site = Site::new().await;
    let pool = content::bytes(48 * MIB);
    let mut server = site.start().await;
    // How long a batch takes when nobody kills it; moves along with what is seen.
    let mut usual = Duration::from_millis(500);
    let (mut accepted, mut rolled_forward, mut total) = (0, 0, 0);
    for round in 0..rounds {
        let mut trials = Vec::new();
        for _ in 0..random.usize(1..=4) {
            // Mostly about the border between one request and parts (8 MiB), sometimes well beyond.
            let most = if random.u8(..) < 64 { 40 } else { 12 } * MIB;
            let size = usize::try_from(random.u64(MIB..=most)).unwrap();
            let from = random.usize(0..8 * 1024 * 1024);
            trials.push(Trial {
                id: server.client.create_image().await,
                bytes: pool.slice(from..from + size),
                is_chunked: random.bool(),
                was_accepted: false,
            });
        }
        let client = server.client.clone();
        let begun = Instant::now();
        let moment = usual.mul_f64(1.2 * random.f64());
        let mut uploads =
            futures_util::future::join_all(trials.iter_mut().map(|trial| trial.upload(&client)));
        let done = tokio::time::timeout(moment, &mut uploads).await;
        usual = match done {
            Ok(_) => (usual + begun.elapsed()) / 2,
            Err(_) => usual.mul_f64(1.03),
        };
        server.kill().await;
        if done.is_err() {
            (&mut uploads).await;
        }
        drop(uploads);

        server = site.start().await;
        site.until_settled(&server.client, &trials).await;
        for trial in &trials {
            let is_active = server.client.status(&trial.id).await == "active";
            assert!(
                is_active || !trial.was_accepted,
                "round {round}: answered 204 and lost"
            );
            let file = format!("/v2/images/{}/file", trial.id);
            if is_active {
                let back = server.client.get(&file).await;
                assert!(
                    back.body == trial.bytes,
                    "round {round}: other bytes came back"
                );
            } else {
                let again = server.client.put_file(&trial.id, &[], full("again")).await;
                assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text());
            }
            accepted += u64::from(trial.was_accepted);
            rolled_forward += u64::from(is_active && !trial.was_accepted);
            total += 1;
            let path = format!("/v2/images/{}", trial.id);
            assert_eq!(
                server.client.delete(&path).await.status,
                StatusCode::NO_CONTENT
            );
        }
    }
    assert_eq!(site.contents().await, (vec![], vec![]));
    eprintln!(
        "{rounds} kills: of {total} uploads {accepted} were answered before and {rolled_forward} rolled forward after"
    );
}

/// Sends data until the store has done its last work, whose answer never comes, and kills the process there.
async fn publish_and_kill(operation: &'static str, to: &str, size: u64) -> (Site, String) {
    let site = Site::new().await;
    let server = site.start().await;
    let id = server.client.create_image().await;
    site.proxy
        .fail_operation(operation, Fault::LoseAnswer, 0, 1);
    site.proxy.fail_operation("head", Fault::Hang, 0, ALWAYS);
    kill_at_request(&site, server, &id, to, size, "head").await;
    (site, id)
}

/// An upload whose process is killed then is rolled forward by the next.
async fn killed_after_publication(operation: &'static str, size: u64) {
    let (site, id) = publish_and_kill(operation, "file", size).await;
    assert_eq!(
        site.bucket.keys().await.len(),
        1,
        "the object was published"
    );

    site.proxy.heal();
    let server = site.start().await;
    until_status(&server.client, &id, "active").await;
    let image = server.client.image(&id).await;
    assert_eq!(image["size"], size);
    assert!(image["os_hash_value"].is_string(), "{image}");
    let back = server.client.get(&format!("/v2/images/{id}/file")).await;
    assert!(back.body == content::bytes(size), "other bytes came back");
}

#[tokio::test]
async fn data_that_was_published_before_the_kill_is_staged() {
    for (operation, size) in [("put", MIB), ("complete", 9 * MIB)] {
        let (site, id) = publish_and_kill(operation, "stage", size).await;
        site.proxy.heal();
        let server = site.start().await;
        eventually("the data is staged", async || {
            (server.client.image(&id).await["size"] == size).then_some(())
        })
        .await;
        let image = server.client.image(&id).await;
        assert_eq!(image["status"], "uploading", "{image}");
        assert!(image["checksum"].is_null(), "{image}");
        assert_eq!(site.bucket.keys().await.len(), 1);
        let deleted = server.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        eventually("nothing is left", async || {
            (site.contents().await == (vec![], vec![])).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn image_whose_object_was_put_before_the_kill_becomes_active() {
    killed_after_publication("put", MIB).await;
}

#[tokio::test]
async fn image_whose_parts_were_completed_before_the_kill_becomes_active() {
    killed_after_publication("complete", 9 * MIB).await;
}

#[tokio::test]
async fn upload_killed_before_its_publication_is_rolled_back() {
    for (route, operation, size) in [
        ("file", "put", MIB),
        ("file", "create_upload", 9 * MIB),
        ("file", "part", 9 * MIB),
        ("file", "complete", 9 * MIB),
        ("stage", "put", MIB),
        ("stage", "part", 9 * MIB),
        ("stage", "complete", 9 * MIB),
    ] {
        let site = Site::new().await;
        let server = site.start().await;
        let id = server.client.create_image().await;
        site.proxy.fail_operation(operation, Fault::Hang, 0, ALWAYS);
        kill_at_request(&site, server, &id, route, size, operation).await;

        site.proxy.heal();
        let server = site.start().await;
        until_status(&server.client, &id, "queued").await;
        eventually("nothing is left", async || {
            (site.contents().await == (vec![], vec![])).then_some(())
        })
        .await;
        let again = server.client.put_file(&id, &[], full("again")).await;
        assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text());
    }
}

/// The store opened a multipart upload and the process died before it learned the id.
#[tokio::test]
async fn multipart_upload_whose_id_was_never_learned_is_aborted() {
    let site = Site::new().await;
    let server = site.start().await;
    let id = server.client.create_image().await;
    site.proxy
        .fail_operation("create_upload", Fault::LoseAnswer, 0, 1);
    // The roll-back that follows asks for open uploads, and there the process dies.
    site.proxy
        .fail_operation("list_uploads", Fault::Hang, 0, ALWAYS);
    kill_at_request(&site, server, &id, "file", 9 * MIB, "list_uploads").await;
    assert_eq!(site.bucket.open_uploads().await.len(), 1);

    site.proxy.heal();
    let server = site.start().await;
    eventually("the upload is aborted", async || {
        site.bucket.open_uploads().await.is_empty().then_some(())
    })
    .await;
    assert_eq!(server.client.status(&id).await, "queued");
}

/// A store that is away at the start must not settle anything by guessing.
#[tokio::test]
async fn upload_is_not_settled_while_the_store_is_away() {
    let site = Site::new().await;
    let server = site.start().await;
    let id = server.client.create_image().await;
    site.proxy
        .fail_operation("complete", Fault::LoseAnswer, 0, 1);
    site.proxy.fail_operation("head", Fault::Hang, 0, 1);
    kill_at_request(&site, server, &id, "file", 9 * MIB, "head").await;

    site.proxy.heal();
    let away = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    let looked = site.proxy.count("head");
    site.proxy.fail_operation("head", away, 0, ALWAYS);
    let server = site.start().await;
    eventually("recovery looks at the store", async || {
        (site.proxy.count("head") > looked).then_some(())
    })
    .await;
    assert_eq!(server.client.status(&id).await, "saving");
    site.proxy.heal();
    server.kill().await;
    let server = site.start().await;
    until_status(&server.client, &id, "active").await;
}

/// Uploads and kills the process once the store has been asked for `operation` on this image; the jobs of the start
/// ask about others.
async fn kill_at_request(
    site: &Site,
    server: Server,
    id: &str,
    route: &str,
    size: u64,
    operation: &str,
) {
    let client = server.client.clone();
    let path = format!("/v2/images/{id}/{route}");
    let headers = [("content-type", "application/octet-stream")];
    let upload = client.open(Method::PUT, &path, &headers, chunked_of(size));
    let kill = async {
        eventually(operation, async || {
            let seen = site.proxy.seen();
            let mut requests = seen.iter().filter_map(|line| line.split_once(' '));
            requests
                .any(|(method, path)| path.contains(id) && is(operation, method, path))
                .then_some(())
        })
        .await;
        server.kill().await;
    };
    let (answer, ()) = tokio::join!(upload, kill);
    // The roll-back that asks for open uploads comes after the answer; everything else before.
    assert!(answer.is_err() || operation == "list_uploads");
}
