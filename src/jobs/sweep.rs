//! The sweep: removes what is due on the garbage list of a store.

use std::sync::Arc;
use std::time::Duration;

use super::Site;
use super::bounded::{Done, work_off};
use super::worker::Work;
use crate::catalog::{Catalog, Garbage, now};
use crate::image::{Micros, StoreId};
use crate::store::Store;
use crate::telemetry::labels::Job;
use crate::transfer::{Result, log_deferred, remove_garbage};

/// Deletions and roll-backs clean up at once; this is for what the store did not take then.
const EVERY: Duration = Duration::from_secs(15);

/// Rows taken at once. They are forgotten in one transaction, which keeps other writers waiting for some milliseconds.
const BATCH: u32 = 500;

pub(super) struct Sweep {
    catalog: Catalog,
    store: Arc<Store>,
    id: StoreId,
}

impl Sweep {
    pub(super) fn new(site: &Site, store: &Arc<Store>) -> Self {
        Self {
            catalog: site.catalog.clone(),
            store: Arc::clone(store),
            id: store.name().into(),
        }
    }
}

impl Work for Sweep {
    const JOB: Job = Job::Sweep;

    fn store(&self) -> &str {
        self.store.name()
    }

    fn pause(&self) -> Duration {
        EVERY
    }

    async fn run_once(&self) -> Result<()> {
        let until = now();
        let mut outcome = Ok(());
        loop {
            let batch = self.catalog.list_garbage(&self.id, until, BATCH).await?;
            let removed = remove(&self.catalog, &self.store, &batch, until).await?;
            outcome = removed.error.map_or(outcome, Err);
            if removed.is_given_up || batch.len() < BATCH as usize {
                return outcome;
            }
        }
    }
}

/// Removes garbage of one store, which was due at `until`, and brings the list up to date. What failed is put off, so that
/// the next round begins with others.
///
/// # Errors
/// When the catalog is away; what the store did not take is no error of this function.
pub(super) async fn remove<'a>(
    catalog: &Catalog,
    store: &Store,
    items: &'a [Garbage],
    until: Micros,
) -> Result<Done<'a, Garbage, ()>> {
    let removed = work_off(items, async |item| {
        let removed = remove_garbage(store, item).await.map_err(Into::into);
        removed.inspect_err(|e| log_deferred(item, e))
    })
    .await;
    let gone: Vec<_> = removed.done.iter().map(|(item, ())| *item).collect();
    catalog.forget_garbage(&gone, until).await?;
    catalog.defer_garbage(&removed.failed).await?;
    Ok(removed)
}
