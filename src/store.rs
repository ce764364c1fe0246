//! Named S3 stores: keys and bytes, nothing of images and nothing of HTTP.
//!
//! One [`Store`] is a bucket (or a prefix of one) behind the AWS SDK. What S3 servers disagree on is decided by the
//! store's options; what their errors mean is decided once, in `error`.

mod answer;
mod client;
mod copy;
mod credentials;
mod download;
mod error;
mod listing;
mod location;
mod multipart;
mod objects;
mod probe;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::Instant;

use crate::config;
use crate::telemetry::labels::{StoreOperation, StoreOutcome};
use crate::telemetry::metrics::Metrics;

pub(crate) use answer::is_same_etag;
pub(crate) use copy::{LARGEST_COPY, Original, count_parts, etag_of_parts};
pub(crate) use download::{ByteSpan, Download};
pub(crate) use error::Error;
pub(crate) use listing::ListedObject;
pub(crate) use multipart::{Aborted, MultipartUpload, OpenUpload, UploadedPart};
pub(crate) use objects::ObjectFacts;
pub(crate) use probe::Probe;

/// The result of a store call.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The stores of the site by name.
pub(crate) struct Stores {
    by_name: BTreeMap<String, Arc<Store>>,
    default: Arc<Store>,
}

impl Stores {
    /// Gathers the stores; `None` when `default` names none of them.
    pub(crate) fn new(stores: Vec<Store>, default: &str) -> Option<Self> {
        let by_name: BTreeMap<_, _> = stores
            .into_iter()
            .map(|s| (s.name().to_owned(), Arc::new(s)))
            .collect();
        let default = Arc::clone(by_name.get(default)?);
        Some(Self { by_name, default })
    }

    /// The store of that name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Store>> {
        self.by_name.get(name)
    }

    /// The store of uploads that name none.
    pub(crate) fn default(&self) -> &Arc<Store> {
        &self.default
    }

    /// Every store, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Store>> {
        self.by_name.values()
    }

    /// Sorts names of stores as `stores` shows them and downloads try them: heaviest first, then by name.
    pub(crate) fn by_weight<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut names: Vec<&str> = names.collect();
        names.sort_by_key(|name| (-self.find(name).map_or(0, |s| s.options.weight), *name));
        names
    }
}

/// One configured store.
pub(crate) struct Store {
    name: String,
    client: aws_sdk_s3::Client,
    options: Options,
    metrics: Arc<Metrics>,
}

/// What the configuration and the profile decide about a store.
#[derive(Debug, Clone)]
struct Options {
    account: client::Account,
    bucket: String,
    prefix: String,
    region: String,
    is_aws: bool,
    sign_payload: bool,
    part_size: u64,
    parts_in_flight: usize,
    connect_timeout: Duration,
    read_timeout: Duration,
    complete_timeout: Duration,
    retries: u32,
    /// Whether the ETag of an object that one request stored is the MD5 of its bytes.
    etag_is_md5: bool,
    weight: i32,
    description: String,
    /// What the URL of an object begins with.
    location_base: String,
    create_bucket: bool,
}

impl Store {
    /// Makes the client of a store. Nothing is sent yet.
    ///
    /// # Errors
    /// When a file of the configuration (certificates, credentials) cannot be read.
    pub(crate) async fn connect(
        name: &str,
        config: &config::Store,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let client = client::connect(config).await?;
        Ok(Self {
            name: name.to_owned(),
            client,
            options: client::options(config),
            metrics,
        })
    }

    /// The configured name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the operator says of it.
    pub(crate) fn description(&self) -> &str {
        &self.options.description
    }

    /// Its place in the order of reading; heavier is read first.
    pub(crate) fn weight(&self) -> i32 {
        self.options.weight
    }

    /// Where the object of a key is, as a URL without credentials.
    pub(crate) fn location(&self, key: &str) -> String {
        format!("{}/{key}", self.options.location_base)
    }

    /// Smallest size of an upload's parts, bytes.
    pub(crate) fn part_size(&self) -> u64 {
        self.options.part_size
    }

    /// How many parts of one upload are sent at once.
    pub(crate) fn parts_in_flight(&self) -> usize {
        self.options.parts_in_flight
    }

    /// What every key of this store begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.options.prefix
    }

    /// Counts a call and classifies its error.
    async fn call<T, E>(
        &self,
        operation: StoreOperation,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.call_checked(operation, call, Ok).await
    }

    /// The same for an answer that is compared with what was asked: one that does not fit counts as a failed call.
    async fn call_checked<T, U, E>(
        &self,
        operation: StoreOperation,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        check: impl FnOnce(T) -> Result<U>,
    ) -> Result<U>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let begun = Instant::now();
        let answer = call.await.map_err(|e| Error::read(operation, e));
        let result = answer.and_then(check);
        let outcome = result
            .as_ref()
            .map_or_else(Error::outcome, |_| StoreOutcome::Ok);
        self.metrics
            .store_call(&self.name, operation, outcome, begun.elapsed());
        result
    }
}
