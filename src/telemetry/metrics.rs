//! Every metric, with its unit and labels. `docs/metrics.md` explains them to operators; a test compares the two.

mod jobs;

use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::body::Counted;
use super::histogram::Histogram;
use super::labels::{
    BodyEnd, Build, ByJob, ByOperation, ByRoute, ByStore, Direction, Download, JobRun, LimitKind,
    Limited, Lookup, LookupResult, Method, Recovery, Request, StoreCall, StoreOperation,
    StoreOutcome, Upload, UploadOutcome, Validation, ValidationOutcome,
};

/// The media type of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route of a request that no route of the API matches.
const NO_ROUTE: &str = "none";

/// Seconds. From a cached record to the upload of a large image.
const REQUEST_SECONDS: [f64; 12] = [
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 600.0, 3600.0,
];

/// Seconds. From a store on the same host to the completion of a large upload.
const STORE_SECONDS: [f64; 10] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 300.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics. Clones share their values.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Request, Counter>,
    request_duration: Histograms<ByRoute>,
    upload_bytes: Counter,
    download_bytes: Counter,
    uploads_in_flight: Gauge,
    downloads_in_flight: Gauge,
    uploads: Family<Upload, Counter>,
    downloads: Family<Download, Counter>,
    download_resumes: Family<ByStore, Counter>,
    parts_uploaded: Family<ByStore, Counter>,
    store_calls: Family<StoreCall, Counter>,
    store_call_duration: Histograms<ByOperation>,
    memory_budget: Gauge,
    memory_in_use: Gauge,
    cache_hits: Counter,
    cache_misses: Counter,
    catalog_alone: Gauge,
    recoveries: Family<Recovery, Counter>,
    reaped_uploads: Family<ByStore, Counter>,
    job_runs: Family<JobRun, Counter>,
    job_last_success: Family<ByJob, Gauge>,
    garbage_rows: Family<ByStore, Gauge>,
    token_lookups: Family<Lookup, Counter>,
    token_validations: Family<Validation, Counter>,
    token_cache_entries: Gauge,
    limited: Family<Limited, Counter>,
    panics: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Declares every metric, all at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("oriel");
        let build = Info::new(Build {
            version: env!("CARGO_PKG_VERSION"),
        });
        registry.register("build", "The running build", build);
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(|| Histogram::new(&REQUEST_SECONDS)),
            upload_bytes: Counter::default(),
            download_bytes: Counter::default(),
            uploads_in_flight: Gauge::default(),
            downloads_in_flight: Gauge::default(),
            uploads: Family::default(),
            downloads: Family::default(),
            download_resumes: Family::default(),
            parts_uploaded: Family::default(),
            store_calls: Family::default(),
            store_call_duration: Family::new_with_constructor(|| Histogram::new(&STORE_SECONDS)),
            memory_budget: Gauge::default(),
            memory_in_use: Gauge::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            catalog_alone: Gauge::default(),
            recoveries: Family::default(),
            reaped_uploads: Family::default(),
            job_runs: Family::default(),
            job_last_success: Family::default(),
            garbage_rows: Family::default(),
            token_lookups: Family::default(),
            token_validations: Family::default(),
            token_cache_entries: Gauge::default(),
            limited: Family::default(),
            panics: Counter::default(),
        };
        metrics.register(&mut registry);
        metrics.start_at_zero();
        metrics.registry = Arc::new(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from the head of a request to the head of its answer",
            Unit::Seconds,
            self.request_duration.clone(),
        );
        registry.register_with_unit(
            "upload",
            "Image data received from clients",
            Unit::Bytes,
            self.upload_bytes.clone(),
        );
        registry.register_with_unit(
            "download",
            "Image data sent to clients",
            Unit::Bytes,
            self.download_bytes.clone(),
        );
        registry.register(
            "uploads_in_flight",
            "Uploads running now",
            self.uploads_in_flight.clone(),
        );
        registry.register(
            "downloads_in_flight",
            "Downloads running now",
            self.downloads_in_flight.clone(),
        );
        registry.register("uploads", "Uploads ended, by outcome", self.uploads.clone());
        registry.register(
            "downloads",
            "Downloads ended, by how they ended",
            self.downloads.clone(),
        );
        registry.register(
            "download_resumes",
            "Downloads taken up again after the store broke off",
            self.download_resumes.clone(),
        );
        registry.register(
            "parts_uploaded",
            "Parts of uploads sent to a store",
            self.parts_uploaded.clone(),
        );
        registry.register("store_calls", "Calls of stores", self.store_calls.clone());
        registry.register_with_unit(
            "store_call_duration",
            "Time of a call of a store, with its retries",
            Unit::Seconds,
            self.store_call_duration.clone(),
        );
        registry.register_with_unit(
            "memory_budget",
            "Memory that parts of uploads may take",
            Unit::Bytes,
            self.memory_budget.clone(),
        );
        registry.register_with_unit(
            "memory_in_use",
            "Memory that parts of uploads take now",
            Unit::Bytes,
            self.memory_in_use.clone(),
        );
        registry.register(
            "cache_hits",
            "Image records found in memory",
            self.cache_hits.clone(),
        );
        registry.register(
            "cache_misses",
            "Image records read from the database",
            self.cache_misses.clone(),
        );
        registry.register(
            "catalog_alone",
            "Whether records in memory are given out without a question to the database that others write too",
            self.catalog_alone.clone(),
        );
        registry.register(
            "recoveries",
            "Broken-off uploads settled",
            self.recoveries.clone(),
        );
        registry.register(
            "reaped_uploads",
            "Abandoned multipart uploads aborted in a store",
            self.reaped_uploads.clone(),
        );
        registry.register(
            "job_runs",
            "Units of background jobs, by outcome",
            self.job_runs.clone(),
        );
        registry.register_with_unit(
            "job_last_success_timestamp",
            "When a unit of a job last ended well, since the Unix epoch",
            Unit::Seconds,
            self.job_last_success.clone(),
        );
        registry.register(
            "garbage_rows",
            "Removals that wait on the garbage list",
            self.garbage_rows.clone(),
        );
        registry.register(
            "token_lookups",
            "Keystone tokens looked up, by how",
            self.token_lookups.clone(),
        );
        registry.register(
            "token_validations",
            "Questions put to Keystone about a token, by the answer",
            self.token_validations.clone(),
        );
        registry.register(
            "token_cache_entries",
            "Valid Keystone tokens kept in memory",
            self.token_cache_entries.clone(),
        );
        registry.register(
            "limited",
            "Requests over a limit of their project",
            self.limited.clone(),
        );
        registry.register(
            "panics",
            "Requests answered 500 because their handler panicked",
            self.panics.clone(),
        );
    }

    /// Makes the series whose labels are known beforehand, so that a first failure shows as a rise from zero.
    fn start_at_zero(&self) {
        for &outcome in UploadOutcome::ALL {
            drop(self.uploads.get_or_create(&Upload { outcome }));
        }
        for &end in BodyEnd::ALL {
            drop(self.downloads.get_or_create(&Download { end }));
        }
        for &direction in Direction::ALL {
            drop(self.recoveries.get_or_create(&Recovery { direction }));
        }
        for &result in LookupResult::ALL {
            drop(self.token_lookups.get_or_create(&Lookup { result }));
        }
        for &limit in LimitKind::ALL {
            drop(self.limited.get_or_create(&Limited { limit }));
        }
        for &outcome in ValidationOutcome::ALL {
            drop(
                self.token_validations
                    .get_or_create(&Validation { outcome }),
            );
        }
    }

    /// The metrics in the OpenMetrics text format; its media type is [`CONTENT_TYPE`].
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a String does not fail");
        text
    }

    /// Counts an answered request. `route` is the pattern that matched, such as `/v2/images/{image_id}`, never the
    /// path; `elapsed` lasts till the head of the answer.
    pub(crate) fn request(
        &self,
        method: &http::Method,
        route: Option<&str>,
        status: http::StatusCode,
        elapsed: Duration,
    ) {
        let route = route.unwrap_or(NO_ROUTE);
        self.request_duration
            .get_or_create(&ByRoute {
                route: route.to_owned(),
            })
            .observe(elapsed);
        self.requests
            .get_or_create(&Request {
                method: Method::from(method),
                route: route.to_owned(),
                status: status.as_u16(),
            })
            .inc();
    }

    /// Counts an upload as running until the guard is dropped.
    pub(crate) fn upload_in_flight(&self) -> InFlight {
        InFlight::new(&self.uploads_in_flight, 1)
    }

    /// Counts the data of an upload's body as it is read. How the upload ends is told by [`Metrics::upload_ended`].
    pub(crate) fn count_upload<B: Body + Unpin>(&self, body: B) -> Counted<B> {
        Counted::new(body, self.upload_bytes.clone())
    }

    /// Counts an upload that ended.
    pub(crate) fn upload_ended(&self, outcome: UploadOutcome) {
        self.uploads.get_or_create(&Upload { outcome }).inc();
    }

    /// Counts a download as running until the guard is dropped.
    pub(crate) fn download_in_flight(&self) -> InFlight {
        InFlight::new(&self.downloads_in_flight, 1)
    }

    /// Counts the data of a download's body as it is sent, the download as running till the body ends, and how it
    /// ended. `length` is the number of bytes promised to the client.
    pub(crate) fn count_download<B: Body + Unpin>(&self, body: B, length: u64) -> Counted<B> {
        let downloads = self.downloads.clone();
        Counted::new(body, self.download_bytes.clone())
            .expecting(length)
            .holding(self.download_in_flight())
            .on_end(move |end| {
                downloads.get_or_create(&Download { end }).inc();
            })
    }

    /// Counts a download that was taken up again at its offset.
    pub(crate) fn download_resumed(&self, store: &str) {
        self.download_resumes.get_or_create(&by_store(store)).inc();
    }

    /// Counts a part that a store has taken.
    pub(crate) fn part_uploaded(&self, store: &str) {
        self.parts_uploaded.get_or_create(&by_store(store)).inc();
    }

    /// Counts a call of a store; `elapsed` includes its retries.
    pub(crate) fn store_call(
        &self,
        store: &str,
        operation: StoreOperation,
        outcome: StoreOutcome,
        elapsed: Duration,
    ) {
        self.store_call_duration
            .get_or_create(&ByOperation { operation })
            .observe(elapsed);
        self.store_calls
            .get_or_create(&StoreCall {
                store: store.to_owned(),
                operation,
                outcome,
            })
            .inc();
    }

    /// Sets the size of the memory budget in bytes.
    pub(crate) fn set_memory_budget(&self, bytes: u64) {
        self.memory_budget.set(to_gauge(bytes));
    }

    /// Counts bytes of the budget as taken.
    pub(crate) fn add_memory_in_use(&self, bytes: u64) {
        self.memory_in_use.inc_by(to_gauge(bytes));
    }

    /// Counts bytes of the budget as given back.
    pub(crate) fn remove_memory_in_use(&self, bytes: u64) {
        self.memory_in_use.dec_by(to_gauge(bytes));
    }

    /// Counts an image record found in memory.
    pub(crate) fn cache_hit(&self) {
        self.cache_hits.inc();
    }

    /// Says whether this process is alone on a database that others could write.
    pub(crate) fn set_is_alone(&self, is_alone: bool) {
        self.catalog_alone.set(i64::from(is_alone));
    }

    /// Counts an image record that had to be read from the database.
    pub(crate) fn cache_miss(&self) {
        self.cache_misses.inc();
    }

    /// Counts a broken-off upload that was settled.
    pub(crate) fn recovered(&self, direction: Direction) {
        self.recoveries.get_or_create(&Recovery { direction }).inc();
    }

    /// Counts an abandoned multipart upload that was aborted.
    pub(crate) fn upload_reaped(&self, store: &str) {
        self.reaped_uploads.get_or_create(&by_store(store)).inc();
    }

    /// Counts a request that was over a limit of its project.
    pub(crate) fn limited(&self, limit: LimitKind) {
        self.limited.get_or_create(&Limited { limit }).inc();
    }

    /// Counts a request whose handler panicked.
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts a Keystone token that was looked up.
    pub(crate) fn token_looked_up(&self, result: LookupResult) {
        self.token_lookups.get_or_create(&Lookup { result }).inc();
    }

    /// Counts a question put to Keystone about a token, with its retries.
    pub(crate) fn token_validated(&self, outcome: ValidationOutcome) {
        self.token_validations
            .get_or_create(&Validation { outcome })
            .inc();
    }

    /// Sets how many valid tokens are kept in memory.
    pub(crate) fn set_token_cache_entries(&self, entries: usize) {
        self.token_cache_entries
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}

fn by_store(store: &str) -> ByStore {
    ByStore {
        store: store.to_owned(),
    }
}

fn to_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Keeps a gauge raised while it lives.
#[derive(Debug)]
#[must_use = "the gauge falls again when this is dropped"]
pub(crate) struct InFlight {
    gauge: Gauge,
    amount: i64,
}

impl InFlight {
    fn new(gauge: &Gauge, amount: i64) -> Self {
        gauge.inc_by(amount);
        Self {
            gauge: gauge.clone(),
            amount,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec_by(self.amount);
    }
}

#[cfg(test)]
mod tests;
