//! The stores of the suite: which are there, and what is said of those that are not.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use bytes::Bytes;
use http::StatusCode;
use md5::{Digest, Md5};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::app::{Options, TestApp};
use crate::support::store::Endpoint;
use crate::support::{eventually, skipped_store};

const LIST: &str = "ORIEL_TEST_STORES_FILE";
const DEFAULT_LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/var/stores/available");

pub const MIB: u64 = 1024 * 1024;

/// The part size of most scenarios: the smallest S3 allows, so that images of several parts are small.
pub const PART: u64 = 5 * MIB;

/// Scenarios at once, all stores together: some of these servers choke on more, whatever the machine.
static TURNS: Semaphore = Semaphore::const_new(4);

/// Stores whose absence has been reported.
static MISSED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A store that is there.
pub struct Subject {
    /// `None` is the embedded store, a new one for every service.
    pub endpoint: Option<Endpoint>,
}

/// Runs a scenario on the store of that name, or says loudly why not.
pub async fn run(store: &str, scenario: &str, body: impl AsyncFnOnce(&Subject)) {
    let subject = match find(store) {
        Ok(subject) => subject,
        Err(reason) => {
            if MISSED.lock().unwrap().insert(store.to_owned()) {
                skipped_store(store, &reason);
            }
            return;
        }
    };
    run_on(&subject, store, scenario, body).await;
}

/// Runs a scenario on a store that is there.
#[expect(clippy::print_stdout, reason = "tells which scenarios ran")]
pub async fn run_on(
    subject: &Subject,
    store: &str,
    scenario: &str,
    body: impl AsyncFnOnce(&Subject),
) {
    let _turn = TURNS.acquire().await.unwrap();
    let begun = Instant::now();
    body(subject).await;
    let seconds = begun.elapsed().as_secs_f64();
    println!("RAN {store}::{scenario} in {seconds:.1} s");
}

#[expect(clippy::disallowed_methods, reason = "the one setting of these tests")]
fn find(store: &str) -> Result<Subject, String> {
    if store == "embedded" {
        return Ok(Subject { endpoint: None });
    }
    let list = std::env::var_os(LIST).map_or_else(|| PathBuf::from(DEFAULT_LIST), PathBuf::from);
    let text = std::fs::read_to_string(&list)
        .map_err(|e| format!("no list of stores in {}: {e}", list.display()))?;
    look_up(&text, store).unwrap_or_else(|| Err(format!("not named in {}", list.display())))
}

/// The store in the text of a list; the reason when the list says that it is not there.
fn look_up(list: &str, store: &str) -> Option<Result<Subject, String>> {
    list.lines().find_map(|line| {
        let remark = line
            .strip_prefix("# skipped ")
            .or_else(|| line.strip_prefix("# failed "));
        if let Some((name, reason)) = remark.and_then(|remark| remark.split_once(": ")) {
            return (name == store).then(|| Err(reason.to_owned()));
        }
        let fields: Vec<&str> = line.split(' ').collect();
        if line.starts_with('#') || fields[0] != store {
            return None;
        }
        let [_, profile, url, access_key, secret_key, region] = fields[..] else {
            panic!("not a line of a list of stores: {line}");
        };
        Some(Ok(Subject {
            endpoint: Some(Endpoint {
                profile: profile.to_owned(),
                url: url.to_owned(),
                access_key: access_key.to_owned(),
                secret_key: secret_key.to_owned(),
                region: region.to_owned(),
            }),
        }))
    })
}

impl Subject {
    /// The store, a bucket of the scenario's own, and the smallest parts.
    pub fn options(&self) -> Options {
        Options {
            endpoint: self.endpoint.clone(),
            bucket: format!("oriel-{}", uuid::Uuid::new_v4().simple()),
            store: format!("part_size = \"{}MiB\"", PART / MIB),
            ..Options::default()
        }
    }

    /// The service over this store.
    pub async fn app(&self) -> TestApp {
        self.ready(TestApp::with(self.options()).await).await
    }

    /// The same with a proxy in between.
    pub async fn app_with_faults(&self) -> TestApp {
        let options = Options {
            faults: true,
            ..self.options()
        };
        self.ready(TestApp::with(options).await).await
    }

    /// Waits until every part of a real server knows of the bucket that was just made: SeaweedFS may refuse an upload in
    /// parts to it for a moment.
    async fn ready(&self, app: TestApp) -> TestApp {
        if self.endpoint.is_some() {
            eventually("parts can be sent to the bucket", async || {
                let open = app.bucket.s3.create_multipart_upload();
                let open = open
                    .bucket(&app.bucket.name)
                    .key("probe")
                    .send()
                    .await
                    .ok()?;
                let abort = app.bucket.s3.abort_multipart_upload();
                let abort = abort.bucket(&app.bucket.name).key("probe");
                let aborted = abort.set_upload_id(open.upload_id).send().await;
                aborted.ok().map(drop)
            })
            .await;
        }
        app
    }

    /// Ends the service after the look for leftovers, and gives the bucket back.
    pub async fn finish(&self, app: TestApp) {
        let bucket = app.bucket.clone();
        app.finish().await;
        if self.endpoint.is_some() {
            bucket.remove().await;
        }
    }
}

/// The image is active, its record tells the truth about these bytes, and they come back.
pub async fn assert_holds(app: &TestApp, id: &str, bytes: &Bytes) {
    let image = app.client.image(id).await;
    assert_eq!(image["status"], "active", "{image}");
    assert_eq!(image["size"], bytes.len(), "{image}");
    assert_eq!(image["checksum"], hex(&Md5::digest(bytes)), "{image}");
    let sha512 = ring::digest::digest(&ring::digest::SHA512, bytes);
    assert_eq!(image["os_hash_value"], hex(sha512.as_ref()), "{image}");
    let back = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(back.status, StatusCode::OK);
    assert!(back.body == bytes, "other bytes came back than went in");
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn list_of_stores_tells_where_they_are_and_why_not() {
    let list = "a ceph http://127.0.0.1:1 k s r\n# skipped b: no python: none\n# failed c: port taken\n# d: e";
    let found = look_up(list, "a").unwrap().ok().unwrap().endpoint.unwrap();
    assert_eq!(
        (found.url.as_str(), found.profile.as_str()),
        ("http://127.0.0.1:1", "ceph")
    );
    assert_eq!(
        look_up(list, "b").unwrap().err().unwrap(),
        "no python: none"
    );
    assert_eq!(look_up(list, "c").unwrap().err().unwrap(), "port taken");
    assert!(look_up(list, "d").is_none());
}
