//! Counts what waits on the garbage list. A job of its own, so that the number is right while a sweep hangs, and includes
//! stores that are no longer configured, which nobody sweeps.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Site;
use super::worker::{NO_STORE, Work};
use crate::telemetry::labels::Job;
use crate::transfer::Result;

const EVERY: Duration = Duration::from_secs(15);

pub(super) struct Count {
    site: Site,
}

impl Count {
    pub(super) fn new(site: &Site) -> Self {
        Self { site: site.clone() }
    }
}

impl Work for Count {
    const JOB: Job = Job::Count;

    fn store(&self) -> &str {
        NO_STORE
    }

    fn pause(&self) -> Duration {
        EVERY
    }

    async fn run_once(&self) -> Result<()> {
        let counted = self.site.catalog.count_garbage().await?;
        let stores = self.site.transfers.stores().iter();
        let mut rows: BTreeMap<&str, u64> = stores.map(|store| (store.name(), 0)).collect();
        rows.extend(counted.iter().map(|(store, rows)| (store.as_str(), *rows)));
        self.site.metrics.set_garbage_rows(rows);
        Ok(())
    }
}
