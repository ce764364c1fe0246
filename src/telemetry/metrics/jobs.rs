//! Background work: what is told by job and store.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Metrics, by_store, to_gauge};
use crate::telemetry::labels::{ByJob, Job, JobOutcome, JobRun};

impl Metrics {
    /// Makes the series of a job, for a store that is known when the job is.
    pub(crate) fn job_started(&self, job: Job, store: &str) {
        for &outcome in JobOutcome::ALL {
            let store = store.to_owned();
            let run = JobRun {
                job,
                store,
                outcome,
            };
            drop(self.job_runs.get_or_create(&run));
        }
    }

    /// Counts a unit of a job.
    pub(crate) fn job_ran(&self, job: Job, store: &str, outcome: JobOutcome) {
        let store = store.to_owned();
        if outcome == JobOutcome::Ok {
            let store = store.clone();
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            self.job_last_success
                .get_or_create(&ByJob { job, store })
                .set(to_gauge(since.as_secs()));
        }
        let run = JobRun {
            job,
            store,
            outcome,
        };
        self.job_runs.get_or_create(&run).inc();
    }

    /// Sets how many rows of the garbage list wait, for each store.
    pub(crate) fn set_garbage_rows<'a>(&self, rows: impl IntoIterator<Item = (&'a str, u64)>) {
        for (store, rows) in rows {
            let gauge = self.garbage_rows.get_or_create(&by_store(store));
            gauge.set(to_gauge(rows));
        }
    }
}
