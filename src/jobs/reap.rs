//! The reaper: aborts old multipart uploads under our prefixes that belong to no attempt: what a lost answer of a store or a
//! lost catalog leaves. Keys that are not of our making are left alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Site;
use super::bounded::work_off;
use super::worker::Work;
use crate::image::AttemptId;
use crate::store::{MultipartUpload, OpenUpload, Store};
use crate::telemetry::labels::Job;
use crate::transfer::{Result, ids_of_key};

/// Nothing waits for it, and listing a bucket's uploads is not free.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// A multipart upload that no attempt owns is aborted at this age. The age protects a neighbour with the same prefix
/// and a catalog of its own.
const UNOWNED_AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Reap {
    site: Site,
    store: Arc<Store>,
}

impl Reap {
    pub(super) fn new(site: &Site, store: &Arc<Store>) -> Self {
        Self {
            site: site.clone(),
            store: Arc::clone(store),
        }
    }

    /// Aborts an upload unless an attempt owns it.
    async fn abort_unowned(&self, attempt: &AttemptId, upload: &MultipartUpload) -> Result<()> {
        if self.site.catalog.is_upload_known(attempt).await? {
            return Ok(());
        }
        self.store.abort_upload(upload).await?;
        tracing::info!(
            store.id = self.store.name(),
            object.key = upload.key,
            "aborted a multipart upload that nobody owns"
        );
        self.site.metrics.upload_reaped(self.store.name());
        Ok(())
    }
}

impl Work for Reap {
    const JOB: Job = Job::Reap;

    fn store(&self) -> &str {
        self.store.name()
    }

    fn pause(&self) -> Duration {
        EVERY
    }

    async fn run_once(&self) -> Result<()> {
        let prefix = self.store.prefix();
        let open = self.store.list_uploads(prefix).await?;
        let mut old: Vec<_> = open
            .into_iter()
            .filter(is_old)
            .filter_map(|open| {
                let (_, attempt) = ids_of_key(&open.upload.key, prefix)?;
                Some((attempt, open.upload))
            })
            .collect();
        // Some may never go, so chance sees to it that each has its turn.
        fastrand::shuffle(&mut old);
        let reaped = work_off(&old, |(attempt, upload)| {
            self.abort_unowned(attempt, upload)
        })
        .await;
        reaped.error.map_or(Ok(()), Err)
    }
}

fn is_old(open: &OpenUpload) -> bool {
    let age = open
        .initiated
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age >= UNOWNED_AGE)
}
