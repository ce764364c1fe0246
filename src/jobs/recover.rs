//! Recovery: settles uploads that nobody works on any more, since their process was killed or their lease ran out.

use std::sync::Arc;
use std::time::Duration;

use super::Site;
use super::bounded::work_off;
use super::sweep;
use super::worker::{NO_STORE, Work};
use crate::catalog::{Abandoned, Garbage, Upload, now};
use crate::store::Store;
use crate::telemetry::labels::{Direction, Job};
use crate::transfer::{Error, Result, Settled};

/// Units in the time of a lease.
const UNITS_PER_LEASE: u32 = 3;

pub(super) struct Recover {
    site: Site,
    /// `None` for the uploads to stores that are no longer configured.
    store: Option<Arc<Store>>,
    pause: Duration,
}

impl Recover {
    pub(super) fn new(site: &Site, store: Option<&Arc<Store>>, lease: Duration) -> Self {
        Self {
            site: site.clone(),
            store: store.cloned(),
            pause: lease / UNITS_PER_LEASE,
        }
    }

    fn is_ours(&self, upload: &Upload) -> bool {
        match &self.store {
            Some(store) => store.name() == upload.store.as_str(),
            None => self
                .site
                .transfers
                .stores()
                .find(upload.store.as_str())
                .is_none(),
        }
    }

    /// Settles uploads; what is to be removed of them goes to `garbage`.
    async fn settle(&self, found: &[Abandoned], garbage: &mut Vec<Garbage>) -> Option<Error> {
        let settled = work_off(found, async |found| {
            let (upload, settled) = (&found.upload, self.site.transfers.settle(found).await);
            settled.inspect_err(|e| {
                tracing::warn!(image.id = %upload.image, store.id = %upload.store, error = e as &dyn std::error::Error, "upload not settled, will try again");
            })
        })
        .await;
        for (Abandoned { upload, .. }, settled) in settled.done {
            let direction = match &settled {
                Settled::Forward => Direction::Forward,
                Settled::Back(_) => Direction::Back,
                Settled::Elsewhere => continue,
            };
            tracing::info!(image.id = %upload.image, upload.attempt = %upload.attempt, direction = direction.as_str(), "settled an upload that broke off");
            self.site.metrics.recovered(direction);
            if let Settled::Back(Some(bytes)) = settled {
                garbage.push(bytes);
            }
        }
        settled.error
    }
}

impl Work for Recover {
    const JOB: Job = Job::Recover;

    fn store(&self) -> &str {
        self.store.as_ref().map_or(NO_STORE, |store| store.name())
    }

    fn pause(&self) -> Duration {
        self.pause
    }

    async fn run_once(&self) -> Result<()> {
        let mut found = self.site.catalog.list_abandoned_uploads().await?;
        found.retain(|found| self.is_ours(&found.upload));
        // None can be put off, so chance sees to it that each has its turn.
        fastrand::shuffle(&mut found);
        // Where nothing was published the store is not asked: these images are queued again even while it is away.
        let (in_doubt, unpublished): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|found| found.upload.intent.is_some());
        let mut garbage = Vec::new();
        let mut error = self.settle(&unpublished, &mut garbage).await;
        error = self.settle(&in_doubt, &mut garbage).await.or(error);
        if let Some(store) = &self.store {
            let removed = sweep::remove(&self.site.catalog, store, &garbage, now()).await?;
            error = removed.error.or(error);
        }
        error.map_or(Ok(()), Err)
    }
}
