//! The buckets of the stores, which have to be there before anything else.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::worker::unless_stopped;
use crate::store::Store;
use crate::transfer::Transfers;

/// A store that was away at the start is asked again so often.
const PREPARE_EVERY: Duration = Duration::from_secs(5);

/// Makes sure of every store's bucket, again and again where a store is away, and waits for it up to `patience`: a store
/// that is not there at the start does not keep the service down.
pub(crate) async fn prepare_stores(
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
