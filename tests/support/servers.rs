//! Several processes of the service on one catalog and the same store.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;

use super::child::Server;
use super::client::Client;
use super::store::{Bucket, Embedded};
use super::told::told;
use super::{database, eventually};

pub const SERVERS: usize = 3;

/// The shortest lease there is, so that what a killed server leaves is soon another's.
pub const LEASE: Duration = Duration::from_secs(3);

/// Servers of the same configuration, each a process.
pub struct Site {
    dir: TempDir,
    _embedded: Embedded,
    pub bucket: Bucket,
    pub servers: Vec<Server>,
}

/// What a site may choose.
pub struct Options {
    /// Top-level keys.
    pub top: String,
    /// More tables; not `server`, `metrics`, `transfer`, `catalog` or `store.main`.
    pub tables: String,
    /// More keys of `[store.main]`.
    pub store: String,
    /// More stores, with a bucket of their name each.
    pub stores: &'static [&'static str],
    /// The key of `[catalog]`, for each server by itself.
    pub catalogs: [String; SERVERS],
}

impl Site {
    /// On a schema of its own, with these keys of `[images]`. `None` without a PostgreSQL, which is said.
    pub async fn start(images: &str) -> Option<Self> {
        Self::of_stores(&format!("[images]\n{images}\n"), &[]).await
    }

    /// The same with these tables, and with more stores than `main` on the same S3 server.
    pub async fn of_stores(tables: &str, stores: &'static [&'static str]) -> Option<Self> {
        let catalog = database::shared_setting().await?;
        let options = Options {
            top: "auth = \"none\"\ndefault_store = \"main\"".into(),
            tables: tables.to_owned(),
            store: String::new(),
            stores,
            catalogs: std::array::from_fn(|_| catalog.clone()),
        };
        Some(Self::with(options).await)
    }

    pub async fn with(options: Options) -> Self {
        let embedded = Embedded::start().await;
        let endpoint = embedded.endpoint();
        let mut site = Self {
            dir: tempfile::tempdir().unwrap(),
            bucket: Bucket::new(&endpoint, "images"),
            _embedded: embedded,
            servers: Vec::new(),
        };
        let store = |name: &str, bucket: &str, more: &str| {
            format!(
                "[store.{name}]\nendpoint = {:?}\nbucket = {bucket:?}\nprofile = \"embedded\"\ncreate_bucket = true\n\
                 access_key = {:?}\nsecret_key = {:?}\n{more}\n",
                endpoint.url, endpoint.access_key, endpoint.secret_key
            )
        };
        let others = options.stores.iter().map(|name| store(name, name, ""));
        let stores = store("main", "images", &options.store) + &others.collect::<String>();
        for (server, catalog) in options.catalogs.iter().enumerate() {
            let text = format!(
                "{top}\n{tables}\n[server]\nlisten = \"127.0.0.1:0\"\ndrain_delay = \"0s\"\n[metrics]\nlisten = \"off\"\n\
                 [transfer]\nlease = \"{lease}s\"\n[catalog]\n{catalog}\n\
                 {stores}",
                top = options.top,
                tables = options.tables,
                lease = LEASE.as_secs(),
            );
            std::fs::write(site.config(server), text).unwrap();
        }
        // All at once: one of them makes the tables.
        site.servers = join_all((0..SERVERS).map(|server| site.start_server(server))).await;
        site
    }

    fn config(&self, server: usize) -> PathBuf {
        self.dir.path().join(format!("oriel-{server}.toml"))
    }

    /// Another process with the configuration of this one.
    pub async fn start_server(&self, server: usize) -> Server {
        Server::start(&self.config(server)).await
    }

    pub fn client(&self, server: usize) -> &Client {
        &self.servers[server % SERVERS].client
    }

    pub fn random_client(&self) -> &Client {
        self.client(fastrand::usize(..SERVERS))
    }

    /// Waits until the store holds the active ones of these images and nothing else.
    pub async fn until_settled(&self, images: &[String]) {
        eventually("every upload is settled", async || {
            let mut active = 0;
            for id in images {
                match self.random_client().status(id).await.as_str() {
                    "active" => active += 1,
                    "queued" => {}
                    _ => return None,
                }
            }
            let left = self.bucket.open_uploads().await;
            (left.is_empty() && self.bucket.keys().await.len() == active).then_some(())
        })
        .await;
    }

    /// Has bucket and catalog compared by the command that operators have, counters included.
    pub async fn assert_sound(&self) {
        let told = told(&self.config(0), "fsck", &["--min-age", "0s"]).await;
        told.assert_sound();
    }
}
