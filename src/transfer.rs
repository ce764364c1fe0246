//! Where bytes and facts meet: `ingest` takes an image in, `deliver` gives it out.
//!
//! ```text
//!            ┌─▶ digest  (blocking threads) ─┐
//! body ─▶ read                               ├─▶ review ─▶ intend ─▶ publish ─▶ active
//!            └─▶ send    (parts in flight)  ─┘
//! ```
//! Bytes flow once. A part is one buffer, filled as frames arrive, then frozen and shared by the digests and the store.
//! It holds bytes only with a claim on the byte budget; waiting for the claim *is* the backpressure. An error in any stage
//! ends all of them, and no stage outlives the function that joins them.

mod attempt;
mod budget;
mod cleanup;
mod copy;
mod deliver;
mod digest;
mod fetch;
mod formats;
mod import;
mod incoming;
mod ingest;
mod intake;
mod key;
mod lease;
mod pipeline;
mod plan;
mod publish;
mod read;
mod recover;
mod send;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::{self, Catalog};
use crate::config::HashAlgorithm;
use crate::format;
use crate::net::Pace;
use crate::store::{self, Stores};
use crate::telemetry::labels::UploadOutcome;
use crate::telemetry::metrics::Metrics;
use crate::web::Web;

pub(crate) use cleanup::Settled;
pub(crate) use cleanup::{log_deferred, remove_garbage};
pub(crate) use formats::FormatRules;
pub(crate) use import::{ImportPlan, ImportSource, unfit_property};
pub(crate) use ingest::Ingest;
pub(crate) use key::ids_of_key;
pub(crate) use plan::largest_part;
pub(crate) use publish::{ATTEMPT_ID, IMAGE_ID};
pub(crate) use recover::Recovered;
pub(crate) use verify::ReadRate;

use budget::Budget;
use copy::UnfitPairs;
use digest::DigestPool;

/// Why an upload or download did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The catalog refused or failed.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The image was deleted while its data was on the way.
    #[error("the image was deleted during the upload")]
    Gone,
    /// More bytes than any image may have.
    #[error("the image data exceeds the size cap of {cap} bytes (image_size_cap)")]
    TooLarge {
        /// The cap, bytes.
        cap: u64,
    },
    /// The body has another length than the client declared.
    #[error("Size mismatch: {declared} bytes were declared, {received} received")]
    SizeMismatch {
        /// What the client declared, bytes.
        declared: u64,
        /// What came; for a body that is too long, what had come when that was clear.
        received: u64,
    },
    /// The bytes are not what the record says, or not safe.
    #[error(transparent)]
    Format(#[from] format::Refusal),
    /// No byte came for the idle limit.
    #[error("no image data came for {0:?}")]
    Stalled(Duration),
    /// Bytes came more slowly than the limit.
    #[error("image data came more slowly than {0} bytes a second")]
    TooSlow(u64),
    /// A part held memory for which others waited.
    #[error(
        "memory is short and others wait for it: image data came too slowly to fill a part in {0:?}"
    )]
    HeldMemory(Duration),
    /// No memory was free in time.
    #[error("no memory was free for image data for {0:?}")]
    NoMemory(Duration),
    /// The client went away, or broke the framing of its body.
    #[error("the client's body broke off")]
    ClientGone(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Active, but the object is in none of its stores.
    #[error("the image data is in none of its stores")]
    DataMissing,
    /// The record names a store that the configuration does not.
    #[error("store {0} of the image is not configured")]
    StoreUnknown(String),
    /// The service is going down.
    #[error("the service is shutting down")]
    Stopping,
    /// An import cannot succeed, for this reason.
    #[error("{0}")]
    Import(String),
    /// A task of ours died.
    #[error("a transfer task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    fn outcome(&self) -> UploadOutcome {
        match self {
            Error::ClientGone(_) | Error::Stalled(_) | Error::TooSlow(_) | Error::HeldMemory(_) => {
                UploadOutcome::Cancelled
            }
            Error::Catalog(
                catalog::Error::Unavailable(_)
                | catalog::Error::Other(_)
                | catalog::Error::LeaseLost,
            )
            | Error::Store(_)
            | Error::DataMissing
            | Error::StoreUnknown(_)
            | Error::NoMemory(_)
            | Error::Stopping
            | Error::Task(_) => UploadOutcome::Failed,
            Error::Catalog(
                catalog::Error::Missing
                | catalog::Error::NoNamespace
                | catalog::Error::Taken
                | catalog::Error::Transition(_)
                | catalog::Error::Protected
                | catalog::Error::Denied(_)
                | catalog::Error::Changed
                | catalog::Error::NulInText
                | catalog::Error::FormatsMissing
                | catalog::Error::NotShared
                | catalog::Error::TooManyMembers { .. }
                | catalog::Error::NamespaceFull { .. }
                | catalog::Error::LastLocation
                | catalog::Error::NotStaged
                | catalog::Error::OverQuota { .. }
                | catalog::Error::OverLimit { .. },
            )
            | Error::Gone
            | Error::TooLarge { .. }
            | Error::SizeMismatch { .. }
            | Error::Import(_)
            | Error::Format(_) => UploadOutcome::Refused,
        }
    }
}

/// The result of a transfer.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What the site allows.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Most bytes of an image.
    pub size_cap: u64,
    /// Algorithm of `os_hash_value`.
    pub algorithm: HashAlgorithm,
    /// How fast a client has to send its data.
    pub pace: Pace,
    /// How long an attempt lives without a renewal.
    pub lease: Duration,
    /// Bytes of parts in memory, all uploads together.
    pub memory_budget: u64,
    /// Most bytes that one part may have.
    pub largest_part: u64,
    /// How long an upload waits for memory, and how long it may take to fill a part while others wait.
    pub memory_timeout: Duration,
    /// How formats are inspected.
    pub(crate) formats: FormatRules,
}

/// Moves image data; one per process, shared by handlers and jobs.
pub(crate) struct Transfers {
    catalog: Catalog,
    stores: Arc<Stores>,
    metrics: Arc<Metrics>,
    web: Arc<Web>,
    rules: Rules,
    budget: Arc<Budget>,
    digests: DigestPool,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Stores that do not copy from each other.
    unfit_pairs: UnfitPairs,
}

impl Transfers {
    /// Puts the parts together. Nothing runs yet.
    pub(crate) fn new(
        catalog: Catalog,
        stores: Arc<Stores>,
        metrics: Arc<Metrics>,
        web: Web,
        rules: Rules,
    ) -> Self {
        Self {
            budget: Budget::new(
                rules.memory_budget,
                rules.largest_part,
                rules.memory_timeout,
                Arc::clone(&metrics),
            ),
            digests: DigestPool::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            unfit_pairs: UnfitPairs::default(),
            catalog,
            stores,
            metrics,
            web: Arc::new(web),
            rules,
        }
    }

    /// The configured stores.
    pub(crate) fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// Where data can be fetched from.
    pub(crate) fn web(&self) -> &Arc<Web> {
        &self.web
    }

    /// Most bytes of an image.
    pub(crate) fn size_cap(&self) -> u64 {
        self.rules.size_cap
    }

    /// Waits up to `grace` for the transfers under way, then rolls back the uploads that are left.
    pub(crate) async fn drain(&self, grace: Duration) {
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                transfers = self.tasks.len(),
                "transfers outlast the grace period and are rolled back"
            );
            self.stop.cancel();
            // Rolling back is two catalog statements and a few store calls; what they leave is in the garbage list.
            if tokio::time::timeout(ROLL_BACK_LIMIT, self.tasks.wait())
                .await
                .is_err()
            {
                tracing::warn!("roll-back unfinished; recovery ends it at the next start");
            }
        }
    }
}

const ROLL_BACK_LIMIT: Duration = Duration::from_secs(10);
