//! A worker: does units of one job for one store, one after the other, and remembers how it fares.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::telemetry::labels::{Job, JobOutcome};
use crate::telemetry::metrics::Metrics;
use crate::transfer::{Error, Result};

/// The store of work that is of no configured store.
pub(super) const NO_STORE: &str = "none";

/// How long a job goes on with its unit once it is to stop. A store may take minutes to fail, and what is left undone is
/// found again at the next start.
const LAST_UNIT: Duration = Duration::from_secs(2);

/// What a worker does.
pub(super) trait Work: Send + Sync + 'static {
    /// The job it belongs to.
    const JOB: Job;

    /// The name of the store it is about, or [`NO_STORE`].
    fn store(&self) -> &str;

    /// How long the worker waits after a unit.
    fn pause(&self) -> Duration;

    /// Ends when there is something to be done before the pause is over.
    fn woken(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Does a unit: what is to be done now. An error says that some of it was not; it is tried again after the pause.
    fn run_once(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Does the work until `stop` is cancelled.
pub(super) async fn run<W: Work>(work: W, metrics: Arc<Metrics>, stop: CancellationToken) {
    metrics.job_started(W::JOB, work.store());
    let mut progress = Progress::default();
    loop {
        let Some(done) = unless_stopped(&stop, work.run_once()).await else {
            tracing::warn!(
                job = W::JOB.as_str(),
                store.id = work.store(),
                "job given up in the middle"
            );
            return;
        };
        let outcome = done
            .as_ref()
            .map_or(JobOutcome::Failed, |()| JobOutcome::Ok);
        metrics.job_ran(W::JOB, work.store(), outcome);
        progress.note(&work, done);
        tokio::select! {
            () = tokio::time::sleep(work.pause()) => {}
            () = work.woken() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// How a worker fares.
#[derive(Debug, Default)]
struct Progress {
    last_success: Option<Instant>,
    /// Of the last unit, when that failed.
    last_error: Option<String>,
}

impl Progress {
    /// Remembers how a unit ended, and logs what is new: a store that is away for hours fails the same way each time.
    fn note<W: Work>(&mut self, work: &W, done: Result<()>) {
        let (job, store) = (W::JOB.as_str(), work.store());
        let Err(e) = done else {
            if self.last_error.take().is_some() {
                tracing::info!(job, store.id = store, "job works again");
            }
            self.last_success = Some(Instant::now());
            return;
        };
        let error = e.to_string();
        if self.last_error.as_ref() != Some(&error) {
            self.log_failure(job, store, &e);
            self.last_error = Some(error);
        }
    }

    fn log_failure(&self, job: &str, store: &str, e: &Error) {
        tracing::warn!(
            job,
            store.id = store,
            error = e as &dyn std::error::Error,
            seconds_since_success = self.last_success.map(|last| last.elapsed().as_secs()),
            "job failed, will try again"
        );
    }
}

/// Carries work out; `None` when it outlasts the stop by [`LAST_UNIT`].
pub(super) async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_UNIT).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = given_up => None,
    }
}
