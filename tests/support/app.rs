//! The service, run in the process of the test on free ports. `finish` ends it and checks that nothing is left behind.

use std::collections::BTreeSet;

use oriel::App;
use oriel::Config;
use oriel::Database;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{Answer, Client};
use super::eventually;
use super::proxy::FaultProxy;
use super::store::{Bucket, Embedded, Endpoint};

const CONFIG_FILE: &str = "oriel.toml";

/// What a test may choose.
pub struct Options {
    /// Top-level keys.
    pub top: String,
    /// More keys of `[server]`.
    pub server: String,
    /// More tables; not `server`, `metrics`, `catalog` or `store.main`.
    pub tables: String,
    /// More keys of `[store.main]`.
    pub store: String,
    /// `path` or `url` of `[catalog]`, for one that the test has made.
    pub catalog: Option<String>,
    /// A store other than the embedded one.
    pub endpoint: Option<Endpoint>,
    /// The bucket.
    pub bucket: String,
    /// Put a proxy between service and store.
    pub faults: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            top: "auth = \"none\"".into(),
            server: String::new(),
            tables: String::new(),
            store: String::new(),
            catalog: None,
            endpoint: None,
            bucket: "images".into(),
            faults: false,
        }
    }
}

/// A running service.
pub struct TestApp {
    pub client: Client,
    /// The store behind it, looked at directly.
    pub bucket: Bucket,
    /// Between service and store, when asked for.
    pub proxy: Option<FaultProxy>,
    metrics: Client,
    embedded: Option<Embedded>,
    config: Config,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    dir: TempDir,
}

impl TestApp {
    /// Auth none, one embedded store, every default.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// The same with a [`FaultProxy`] before the store.
    pub async fn with_faults() -> Self {
        Self::with(Options {
            faults: true,
            ..Options::default()
        })
        .await
    }

    pub async fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (embedded, endpoint) = match options.endpoint {
            Some(endpoint) => (None, endpoint),
            None => {
                let embedded = Embedded::start().await;
                let endpoint = embedded.endpoint();
                (Some(embedded), endpoint)
            }
        };
        let proxy = if options.faults {
            Some(FaultProxy::start(&endpoint.url).await)
        } else {
            None
        };
        let url = proxy
            .as_ref()
            .map_or_else(|| endpoint.url.clone(), FaultProxy::url);
        // A stop waits for nobody here, unless the test is about that.
        let server = match options.server.contains("drain_delay") {
            true => options.server,
            false => format!("drain_delay = \"0s\"\n{}", options.server),
        };
        let catalog = match options.catalog {
            Some(catalog) => catalog,
            None => super::database::setting(dir.path()).await,
        };
        let text = format!(
            "{top}\n{tables}\n[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
             [catalog]\n{catalog}\n\
             [store.main]\nendpoint = \"{url}\"\nbucket = \"{bucket}\"\naccess_key = \"{access}\"\n\
             secret_key = \"{secret}\"\nregion = \"{region}\"\nprofile = \"{profile}\"\ncreate_bucket = true\n{store}\n",
            top = options.top,
            tables = options.tables,
            catalog = catalog,
            bucket = options.bucket,
            access = endpoint.access_key,
            secret = endpoint.secret_key,
            region = endpoint.region,
            profile = endpoint.profile,
            store = options.store,
        );
        let config =
            Config::from_parts(&text, []).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        std::fs::write(dir.path().join(CONFIG_FILE), &text).unwrap();
        let bucket = Bucket::new(&endpoint, &options.bucket);
        let (client, metrics, stop, running) = run(config.clone()).await;
        // A store that has just been started takes its time over the first bucket; the service does not wait for it.
        eventually("the bucket is there", async || {
            let look = bucket.s3.head_bucket().bucket(&bucket.name);
            look.send().await.ok().map(drop)
        })
        .await;
        Self {
            client,
            bucket,
            proxy,
            metrics,
            embedded,
            config,
            stop: Some(stop),
            running: Some(running),
            dir,
        }
    }

    pub fn proxy(&self) -> &FaultProxy {
        self.proxy.as_ref().expect("started with faults")
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The catalog's database, to bring about what takes a long time or another release.
    pub async fn database(&self) -> sqlx::AnyPool {
        sqlx::any::install_default_drivers();
        let url = match &self.config.catalog.database {
            Database::Sqlite(path) => format!("sqlite:{}", path.display()),
            Database::Postgres(url) => url.expose().to_owned(),
        };
        sqlx::AnyPool::connect(&url).await.unwrap()
    }

    /// Whether the catalog is a file of this process alone.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.config.catalog.database, Database::Sqlite(_))
    }

    /// The same as a file, for a process of its own on the same catalog and store.
    pub fn config_file(&self) -> std::path::PathBuf {
        self.dir.path().join(CONFIG_FILE)
    }

    /// A folder of the test's own.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// `GET /metrics`.
    pub async fn scrape(&self) -> Answer {
        self.metrics.get("/metrics").await
    }

    /// The value of a metric line that begins with `name` (labels included), 0 when there is none.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.scrape().await.text();
        let line = text.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        line.and_then(|line| line.rsplit(' ').next())
            .map_or(0.0, |value| value.parse().unwrap())
    }

    /// Sends the stop signal and waits for the drain.
    pub async fn shut_down(&mut self) {
        self.signal_stop();
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }

    /// Sends the stop signal only.
    pub fn signal_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Runs the service again on the same catalog and store.
    pub async fn restart(&mut self) {
        self.shut_down().await;
        let (client, metrics, stop, running) = run(self.config.clone()).await;
        (self.client, self.metrics, self.stop, self.running) =
            (client, metrics, Some(stop), Some(running));
    }

    /// Checks that nothing is left over and ends the service: no image in between, as many objects as images with data, no open
    /// multipart upload, every gauge at zero.
    pub async fn finish(mut self) {
        if let Some(proxy) = &self.proxy {
            proxy.heal();
        }
        eventually(
            "the store holds exactly the active images' objects",
            async || {
                let expected = self.active_images().await?;
                let keys = self.bucket.keys().await;
                let owners: BTreeSet<String> = keys
                    .iter()
                    .filter_map(|key| key.rsplit('/').nth(1).map(str::to_owned))
                    .collect();
                (owners == expected && keys.len() == expected.len()).then_some(())
            },
        )
        .await;
        eventually("no multipart upload is open", async || {
            self.bucket.open_uploads().await.is_empty().then_some(())
        })
        .await;
        for gauge in [
            "oriel_uploads_in_flight",
            "oriel_downloads_in_flight",
            "oriel_memory_in_use_bytes",
        ] {
            eventually(gauge, async || {
                (self.metric(gauge).await == 0.0).then_some(())
            })
            .await;
        }
        self.shut_down().await;
        if let Some(embedded) = self.embedded.take() {
            embedded.server.stop().await;
        }
    }

    /// Ids of images with data, staged data too; `None` while one is in between.
    async fn active_images(&self) -> Option<BTreeSet<String>> {
        let mut active = BTreeSet::new();
        let mut path = "/v2/images?limit=100".to_owned();
        loop {
            let page = self.client.get(&path).await.json();
            for image in page["images"]
                .as_array()
                .expect("a list; sign in as administrator")
            {
                match image["status"].as_str().unwrap() {
                    "active" | "deactivated" | "uploading" => {
                        active.insert(image["id"].as_str().unwrap().to_owned());
                    }
                    "saving" | "importing" => return None,
                    _ => {}
                }
            }
            match page["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => return Some(active),
            }
        }
    }
}

async fn run(config: Config) -> (Client, Client, oneshot::Sender<()>, JoinHandle<()>) {
    // A child that another test is just starting holds every lock of this process until it has become its program.
    let app = eventually("the catalog is free", async || {
        match App::build(config.clone()).await {
            Err(e) if format!("{e:#}").contains("in use by another process") => None,
            built => Some(built.unwrap()),
        }
    })
    .await;
    let client = Client::new(app.local_addr().unwrap());
    let metrics = Client::new(app.metrics_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    #[expect(
        clippy::disallowed_methods,
        reason = "the test waits for it in shut_down"
    )]
    let running = tokio::spawn(app.run(async {
        let _ = stopped.await;
    }));
    (client, metrics, stop, running)
}
