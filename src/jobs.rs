//! Background work: each job does one unit and waits; each may run twice, stop anywhere, and begins again from what is
//! stored.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::Store;
use crate::transfer::{self, Transfers};

/// Deletions and roll-backs clean up at once; this is for what the store did not take then.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// A store that was away at the start is asked again so often.
const PREPARE_EVERY: Duration = Duration::from_secs(5);

/// How long a job goes on with its unit once it is to stop. A store may take minutes to fail, and what is left undone is
/// found again at the next start.
const LAST_UNIT: Duration = Duration::from_secs(2);

/// Nothing waits for it, and listing a bucket's uploads is not free.
const REAP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Starts every job; they end when `stop` is cancelled, each after its unit, or in the middle of one that takes too long.
pub fn start(
    transfers: &Arc<Transfers>,
    lease: Duration,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let every = |name, period, job: Job| {
        let (transfers, stop) = (Arc::clone(transfers), stop.clone());
        tasks.spawn(async move { repeat(name, period, job, &transfers, &stop).await });
    };
    every("recover", lease / 3, |t| {
        Box::pin(async move { t.recover().await })
    });
    every("sweep", SWEEP_EVERY, |t| {
        Box::pin(async move { t.sweep().await })
    });
    every("reap", REAP_EVERY, |t| {
        Box::pin(async move { t.reap().await })
    });
}

/// Makes sure of every store's bucket, again and again where a store is away, and waits for it up to `patience`: a store
/// that is not there at the start does not keep the service down.
pub async fn prepare_stores(
    transfers: &Arc<Transfers>,
    patience: Duration,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let (transfers, stop) = (Arc::clone(transfers), stop.clone());
    let preparing = tasks.spawn(async move {
        let stores = transfers.stores().iter();
        let prepared = futures_util::future::join_all(stores.map(|store| prepare(store, &stop)));
        let _ = unless_stopped(&stop, prepared).await;
    });
    let _ = tokio::time::timeout(patience, preparing).await;
}

async fn prepare(store: &Store, stop: &CancellationToken) {
    while let Err(e) = store.ensure_bucket().await {
        tracing::error!(
            store.id = store.name(),
            error = &e as &dyn std::error::Error,
            "bucket not reachable"
        );
        tokio::select! {
            () = tokio::time::sleep(PREPARE_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

type Unit<'a> = std::pin::Pin<Box<dyn Future<Output = transfer::Result<()>> + Send + 'a>>;
type Job = for<'a> fn(&'a Transfers) -> Unit<'a>;

async fn repeat(
    name: &str,
    period: Duration,
    job: Job,
    transfers: &Transfers,
    stop: &CancellationToken,
) {
    loop {
        let Some(done) = unless_stopped(stop, job(transfers)).await else {
            tracing::warn!(job = name, "job given up in the middle");
            return;
        };
        if let Err(e) = done {
            tracing::warn!(
                job = name,
                error = &e as &dyn std::error::Error,
                "job failed, will try again"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Carries work out; `None` when it outlasts the stop by [`LAST_UNIT`].
async fn unless_stopped<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_UNIT).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = given_up => None,
    }
}
