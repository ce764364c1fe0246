//! Background work: each job does one unit and waits; each may run twice, stop anywhere, and begins again from what is
//! stored.
//!
//! Every store has workers of its own ([`worker`]), so that one that hangs delays nobody's work but its own. What a unit
//! does stands in the file of its job.

mod bounded;
mod buckets;
mod count;
mod import;
mod reap;
mod recover;
mod sweep;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::Catalog;
use crate::telemetry::metrics::Metrics;
use crate::transfer::Transfers;

pub(crate) use buckets::prepare_stores;

use count::Count;
use import::Import;
pub(crate) use import::ImportBounds;
use reap::Reap;
use recover::Recover;
use sweep::Sweep;
use worker::{Work, run};

/// What the jobs work with.
#[derive(Clone)]
pub(crate) struct Site {
    /// The lists of what is to be done.
    pub catalog: Catalog,
    /// Does it, with its stores.
    pub transfers: Arc<Transfers>,
    /// Told of every unit.
    pub metrics: Arc<Metrics>,
}

/// Starts every job; they end when `stop` is cancelled, each after its unit, or in the middle of one that takes too long.
/// `lease` is how long an upload lives without a renewal, `imports` how many there are at once.
pub(crate) fn start(
    site: &Site,
    lease: Duration,
    imports: ImportBounds,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let starter = Starter { site, tasks, stop };
    starter.start(Count::new(site));
    starter.start(Import::new(site, imports));
    starter.start(Recover::new(site, None, lease));
    for store in site.transfers.stores().iter() {
        starter.start(Recover::new(site, Some(store), lease));
        starter.start(Sweep::new(site, store));
        starter.start(Reap::new(site, store));
    }
}

struct Starter<'a> {
    site: &'a Site,
    tasks: &'a TaskTracker,
    stop: &'a CancellationToken,
}

impl Starter<'_> {
    fn start(&self, work: impl Work) {
        let metrics = Arc::clone(&self.site.metrics);
        self.tasks.spawn(run(work, metrics, self.stop.clone()));
    }
}
