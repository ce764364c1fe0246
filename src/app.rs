//! The one composition root: `build` makes everything and binds the sockets, `run` starts work and ends it in order.

mod connections;
mod listener;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Api, Policies, PropertyProtection};
use crate::auth::Authenticator;
use crate::catalog::Catalog;
use crate::config::{self, Config};
use crate::embedded::EmbeddedStore;
use crate::jobs;
use crate::net::Pace;
use crate::store::{Store, Stores};
use crate::telemetry::metrics::{self, Metrics};
use crate::transfer::{FormatRules, Rules, Transfers, largest_part, unfit_property};
use crate::web::Web;
use connections::Connections;
use listener::Limits;
use tls::Tls;

pub use crate::api::{ROUTES, Route};

/// Connections that outlast the grace period are cut after this long, time enough to write a last answer.
const FINAL_FLUSH: Duration = Duration::from_secs(2);

/// How long the start waits for the stores' buckets.
const BUCKET_WAIT: Duration = Duration::from_secs(1);

/// Connections to the metrics at once.
const MOST_WATCHERS: usize = 32;

/// Open files that are no connection's: the catalog, the listeners, files of the configuration, logs, jobs.
const OTHER_FILES: usize = 64;

/// The whole service, built and bound but not yet at work.
pub struct App {
    config: Config,
    api: Api,
    catalog: Catalog,
    transfers: Arc<Transfers>,
    metrics: Arc<Metrics>,
    embedded: Option<EmbeddedStore>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    metrics_listener: Option<TcpListener>,
}

impl App {
    /// Opens catalog and stores, starts the embedded store if one is configured, and binds the listeners.
    ///
    /// # Errors
    /// With the configuration key or the file that is at fault.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        check_memory(&config)?;
        let metrics = Arc::new(Metrics::new());
        let authenticator = Authenticator::open(&config, &metrics)?;
        let policies = Policies::open(&config)?;
        let protection = PropertyProtection::open(&config.images)?;
        let embedded = start_embedded(&config).await?;
        let stores = connect_stores(&config, embedded.as_ref(), &metrics).await?;
        let catalog = Catalog::open(
            &config.catalog.database,
            config.catalog.cache_entries,
            config.catalog.cache_size.bytes(),
            Arc::clone(&metrics),
        )
        .await?;
        let transfers = transfers(&config, &catalog, stores, &metrics)?;
        let tls = Tls::open(&config.server).await?.map(Arc::new);
        let listener = bind("server.listen", config.server.listen).await?;
        let metrics_listener = match config.metrics.listen {
            Some(addr) => Some(bind("metrics.listen", addr).await?),
            None => None,
        };
        let api = Api::new(
            &config,
            catalog.clone(),
            Arc::clone(&transfers),
            authenticator,
            policies,
            protection,
            Arc::clone(&metrics),
        );
        Ok(Self {
            config,
            api,
            catalog,
            transfers,
            metrics,
            embedded,
            listener,
            tls,
            metrics_listener,
        })
    }

    /// Where the API listens.
    ///
    /// # Errors
    /// When the socket is no longer there.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where metrics are served, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown` is ready, then drains: not ready any more for `server.drain_delay`, so that nobody sends
    /// clients here; then no new connections, transfers may finish within `server.drain_grace`, the rest is rolled back.
    /// Metrics are served to the end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        jobs::prepare_stores(&self.transfers, BUCKET_WAIT, &tasks, &stop).await;
        let site = jobs::Site {
            catalog: self.catalog.clone(),
            transfers: Arc::clone(&self.transfers),
            metrics: Arc::clone(&self.metrics),
        };
        let lease = self.config.transfer.lease.duration();
        let imports = import_bounds(&self.config);
        jobs::start(&site, lease, imports, &tasks, &stop);
        let limits = Limits {
            header_timeout: self.config.server.header_timeout.duration(),
            pace: Pace {
                idle: self.config.server.write_idle_timeout.duration(),
                bytes_per_second: self.config.server.min_download_rate.bytes(),
            },
        };
        let connections = Connections::new(most_connections(&self.config));
        let watchers = Connections::new(MOST_WATCHERS);
        let (unwatched, watching) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(listener::accept(
            self.listener,
            self.tls,
            self.api.router(),
            limits,
            connections.clone(),
            stop.clone(),
        ));
        if let Some(listener) = self.metrics_listener {
            let router = metrics_router(Arc::clone(&self.metrics));
            watching.spawn(listener::accept(
                listener,
                None,
                router,
                limits,
                watchers.clone(),
                unwatched.clone(),
            ));
        }

        shutdown.await;
        tracing::info!("draining");
        self.api.begin_stop();
        tokio::time::sleep(self.config.server.drain_delay.duration()).await;
        stop.cancel();
        self.api.stop().await;
        let grace = self.config.server.drain_grace.duration();
        let begun = tokio::time::Instant::now();
        connections.finish(grace).await;
        self.transfers
            .drain(grace.saturating_sub(begun.elapsed()))
            .await;
        connections.finish(FINAL_FLUSH).await;
        connections.cut().await;
        tasks.close();
        tasks.wait().await;
        self.catalog.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
        unwatched.cancel();
        watchers.finish(FINAL_FLUSH).await;
        watchers.cut().await;
        watching.close();
        watching.wait().await;
        tracing::info!("stopped");
    }
}

/// `server.max_connections`, or fewer where the process may not open as many files: an exhausted process can accept
/// nobody, and fails those it has accepted.
fn most_connections(config: &Config) -> usize {
    // A transfer's client and its store; within the embedded store the other end and a file.
    let files_each = if config.store.values().any(|store| store.is_embedded()) {
        4
    } else {
        2
    };
    let wanted = config.server.max_connections as usize;
    let Some(files) = open_files_limit() else {
        return wanted;
    };
    let fitting = (files.saturating_sub(OTHER_FILES) / files_each).max(1);
    if fitting < wanted {
        tracing::warn!(
            fitting,
            wanted,
            files,
            "the limit of open files lowers server.max_connections"
        );
    }
    fitting.min(wanted)
}

/// The rules between sections and modules that the configuration cannot check alone, for imports; gives what they make.
///
/// # Errors
/// The key, and what is wrong with it.
pub(crate) fn check_import(config: &Config) -> anyhow::Result<Web> {
    if let Some(name) = unfit_property(&config.import.inject.0) {
        anyhow::bail!("import.inject: {name:?} is no name of a property");
    }
    Ok(Web::new(config.import.web.clone())?)
}

/// How imports are worked on.
fn import_bounds(config: &Config) -> jobs::ImportBounds {
    jobs::ImportBounds {
        tasks: config.import.tasks,
        tasks_per_project: config.import.tasks_per_project,
        time_to_live: config.import.task_time_to_live.duration(),
        lease: config.transfer.lease.duration(),
    }
}

/// The soft limit of open files, where the system tells it.
fn open_files_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The rule between two sections that the configuration cannot check alone: a part must fit the budget twice, one being
/// filled while one is sent.
pub(crate) fn check_memory(config: &Config) -> anyhow::Result<()> {
    for (name, store) in &config.store {
        let needed = 2 * largest_part_of(config, store);
        anyhow::ensure!(
            config.transfer.memory_budget.bytes() >= needed,
            "transfer.memory_budget: must be at least {needed} bytes for images.size_cap with parts of store.{name}"
        );
    }
    Ok(())
}

fn largest_part_of(config: &Config, store: &config::Store) -> u64 {
    largest_part(store.part_size.bytes(), config.images.size_cap.bytes())
}

/// Whether the files of TLS can be used.
pub(crate) async fn check_tls(config: &Config) -> anyhow::Result<()> {
    Tls::open(&config.server).await.map(drop)
}

/// What is wrong with single rules of the policy file, for `check`.
pub(crate) async fn check_policy(config: &Config) -> anyhow::Result<()> {
    PropertyProtection::open(&config.images)?;
    let policy = Policies::open(config)?.current().await;
    anyhow::ensure!(
        policy.problems().is_empty(),
        "{}",
        policy.problems().join("; ")
    );
    Ok(())
}

/// What moves image data by this configuration, for the service and for commands that work on its stores.
pub(crate) fn transfers(
    config: &Config,
    catalog: &Catalog,
    stores: Stores,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Arc<Transfers>> {
    let rules = Rules {
        size_cap: config.images.size_cap.bytes(),
        algorithm: config.images.hashing_algorithm,
        pace: Pace {
            idle: config.server.body_idle_timeout.duration(),
            bytes_per_second: config.server.min_upload_rate.bytes(),
        },
        lease: config.transfer.lease.duration(),
        memory_budget: config.transfer.memory_budget.bytes(),
        largest_part: config
            .store
            .values()
            .map(|store| largest_part_of(config, store))
            .max()
            .unwrap_or(0),
        memory_timeout: config.transfer.memory_timeout.duration(),
        formats: FormatRules::new(&config.images),
    };
    let (catalog, metrics) = (catalog.clone(), Arc::clone(metrics));
    let web = check_import(config)?;
    let stores = Arc::new(stores);
    Ok(Arc::new(Transfers::new(
        catalog, stores, metrics, web, rules,
    )))
}

/// Starts the embedded store when some store is it.
pub(crate) async fn start_embedded(config: &Config) -> anyhow::Result<Option<EmbeddedStore>> {
    if !config.store.values().any(|store| store.is_embedded()) {
        return Ok(None);
    }
    let store = EmbeddedStore::start(&config.embedded.data_dir, config.embedded.listen).await;
    Ok(Some(store.context("embedded: cannot start")?))
}

/// Makes the clients of the stores; nothing is sent yet.
pub(crate) async fn connect_stores(
    config: &Config,
    embedded: Option<&EmbeddedStore>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Stores> {
    let mut stores = Vec::with_capacity(config.store.len());
    for (name, options) in &config.store {
        let store = Store::connect(name, &located(options, embedded), Arc::clone(metrics)).await;
        stores.push(store.with_context(|| format!("store.{name}"))?);
    }
    Stores::new(stores, config.default_store_id())
        .context("default_store: must be the name of a store")
}

/// The options of a store with an address: the embedded one gets the port and keys it has right now and is spoken to
/// like any other, over S3's wire format.
pub(crate) fn located(options: &config::Store, embedded: Option<&EmbeddedStore>) -> config::Store {
    let options = options.clone();
    match embedded {
        Some(embedded) if options.is_embedded() => config::Store {
            endpoint: Some(embedded.endpoint()),
            access_key: Some(embedded.access_key().to_owned()),
            secret_key: Some(config::Secret::new(embedded.secret_key())),
            create_bucket: true,
            ..options
        },
        _ => options,
    }
}

async fn bind(key: &str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("{key}: cannot listen on {addr}"))
}

fn metrics_router(metrics: Arc<Metrics>) -> Router {
    let page = move || {
        let text = metrics.encode();
        async move { ([(http::header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text) }
    };
    Router::new().route("/metrics", axum::routing::get(page))
}
