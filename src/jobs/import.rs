//! Imports: claims tasks that nobody is at, as many at once as the site allows, and has them carried out. Records of tasks
//! whose time is over go here as well.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Site;
use super::worker::{NO_STORE, Work};
use crate::catalog::TaskBounds;
use crate::telemetry::labels::Job;
use crate::transfer::Result;

/// How often tasks are looked for that another server has left. Those of this one's own requests are told at once.
const EVERY: Duration = Duration::from_secs(5);

/// How tasks are worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImportBounds {
    /// Tasks of this server at once.
    pub tasks: u32,
    /// Tasks of one project at once, on all servers.
    pub tasks_per_project: u32,
    /// How long a task's record is kept after its end.
    pub time_to_live: Duration,
    /// How long a claim holds without a renewal.
    pub lease: Duration,
}

pub(super) struct Import {
    site: Site,
    bounds: ImportBounds,
    running: Arc<Running>,
}

/// The tasks that this process is at.
#[derive(Debug, Default)]
struct Running {
    ids: Mutex<BTreeSet<String>>,
    has_ended: Notify,
}

/// A task's place among them.
struct Slot {
    id: String,
    running: Arc<Running>,
}

impl Running {
    fn ids(&self) -> Vec<String> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().cloned().collect()
    }

    fn add(self: &Arc<Self>, id: &str) -> Slot {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(id.to_owned());
        Slot {
            id: id.to_owned(),
            running: Arc::clone(self),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let ids = &self.running.ids;
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.remove(&self.id);
        self.running.has_ended.notify_one();
    }
}

impl Import {
    pub(super) fn new(site: &Site, bounds: ImportBounds) -> Self {
        Self {
            site: site.clone(),
            bounds,
            running: Arc::default(),
        }
    }
}

impl Work for Import {
    const JOB: Job = Job::Import;

    fn store(&self) -> &str {
        NO_STORE
    }

    fn pause(&self) -> Duration {
        EVERY
    }

    async fn woken(&self) {
        tokio::select! {
            () = self.site.catalog.task_waits() => {}
            () = self.running.has_ended.notified() => {}
        }
    }

    async fn run_once(&self) -> Result<()> {
        let catalog = &self.site.catalog;
        loop {
            let running = self.running.ids();
            if running.len() >= self.bounds.tasks as usize {
                break;
            }
            let bounds = TaskBounds {
                running,
                per_project: self.bounds.tasks_per_project,
                lease: self.bounds.lease,
            };
            let Some(claimed) = catalog.claim_task(bounds).await? else {
                break;
            };
            let slot = self.running.add(&claimed.task.id);
            let (transfers, time_to_live) = (&self.site.transfers, self.bounds.time_to_live);
            transfers.start_import(claimed, time_to_live, slot);
        }
        Ok(catalog.remove_expired_tasks().await?)
    }
}
