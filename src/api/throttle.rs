//! How much one project may ask at a time: requests a second, uploads and downloads at once.
//!
//! A project is remembered only while it uses something up, so memory follows those at work and not those that ever came.
//! The rate is kept as one moment a project (the generic cell rate algorithm): the moment up to which its requests so far
//! have used up its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

use super::caller::Caller;
use super::error::Error;
use crate::config::Limits;
use crate::telemetry::labels::LimitKind;
use crate::telemetry::metrics::Metrics;

/// How often projects that use nothing up are looked for, milliseconds. Each look goes through all that are remembered.
const SWEEP_EVERY_MS: u64 = 500;

/// What a client waits before it tries again for a slot among uploads or downloads.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What is limited in number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransferKind {
    /// An upload.
    Upload,
    /// A download.
    Download,
}

/// The limits, and what projects use of them.
#[derive(Debug)]
pub(super) struct Throttle {
    limits: Limits,
    projects: DashMap<String, Use>,
    begun: Instant,
    /// When projects that use nothing up are looked for next, in milliseconds since `begun`.
    next_sweep: AtomicU64,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    /// Up to when the share is used up.
    until: Instant,
    uploads: u32,
    downloads: u32,
}

impl Use {
    fn of(&mut self, kind: TransferKind) -> &mut u32 {
        match kind {
            TransferKind::Upload => &mut self.uploads,
            TransferKind::Download => &mut self.downloads,
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.until <= now && self.uploads == 0 && self.downloads == 0
    }
}

/// A slot, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    throttle: Arc<Throttle>,
    project: String,
    kind: TransferKind,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(mut used) = self.throttle.projects.get_mut(&self.project) {
            let count = used.of(self.kind);
            *count = count.saturating_sub(1);
        }
    }
}

impl Throttle {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            projects: DashMap::new(),
            begun: Instant::now(),
            next_sweep: AtomicU64::new(SWEEP_EVERY_MS),
            metrics,
        })
    }

    /// Counts a request. A service, which acts for everybody, is not limited.
    ///
    /// # Errors
    /// 429.
    pub(super) fn admit(&self, caller: &Caller) -> Result<(), Error> {
        let counted = caller.limited_as().map_or(Ok(()), |name| self.count(name));
        counted.map_err(|wait| self.too_many(LimitKind::Requests, wait))
    }

    /// Takes a slot among the caller's uploads or downloads, or `None` where they are not limited.
    ///
    /// # Errors
    /// 429.
    pub(super) fn acquire(
        self: &Arc<Self>,
        caller: &Caller,
        kind: TransferKind,
    ) -> Result<Option<Slot>, Error> {
        let Some(name) = caller.limited_as() else {
            return Ok(None);
        };
        let limit = match kind {
            TransferKind::Upload => LimitKind::Uploads,
            TransferKind::Download => LimitKind::Downloads,
        };
        let slot = self.take_slot(name, kind);
        slot.map_err(|wait| self.too_many(limit, wait))
    }

    fn too_many(&self, kind: LimitKind, retry_after: Duration) -> Error {
        self.metrics.limited(kind);
        Error::TooMany {
            message: format!(
                "The project has too many {} at a time; please try again later.",
                kind.as_str()
            ),
            retry_after,
        }
    }

    /// Counts a request, or says how long the project has to wait.
    fn count(&self, project: &str) -> Result<(), Duration> {
        if self.limits.requests_per_second == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let share = Duration::from_secs(1) / self.limits.requests_per_second;
        let most_ahead = share * self.limits.burst;
        self.sweep(now);
        let mut used = self.using(project, now);
        let until = used.until.max(now) + share;
        let ahead = until - now;
        if ahead > most_ahead {
            return Err(ahead - most_ahead);
        }
        used.until = until;
        Ok(())
    }

    /// Takes a slot, or `None` within it where they are not limited, or says after how long to try again.
    fn take_slot(
        self: &Arc<Self>,
        project: &str,
        kind: TransferKind,
    ) -> Result<Option<Slot>, Duration> {
        let most = match kind {
            TransferKind::Upload => self.limits.uploads,
            TransferKind::Download => self.limits.downloads,
        };
        if most == 0 {
            return Ok(None);
        }
        let now = Instant::now();
        self.sweep(now);
        let mut used = self.using(project, now);
        let count = used.of(kind);
        if *count >= most {
            return Err(RETRY_AFTER);
        }
        *count += 1;
        Ok(Some(Slot {
            throttle: Arc::clone(self),
            project: project.to_owned(),
            kind,
        }))
    }

    fn using(&self, project: &str, now: Instant) -> dashmap::mapref::one::RefMut<'_, String, Use> {
        let nothing = Use {
            until: now,
            uploads: 0,
            downloads: 0,
        };
        self.projects.entry(project.to_owned()).or_insert(nothing)
    }

    /// Forgets projects that use nothing up; whoever finds it due does it alone.
    fn sweep(&self, now: Instant) {
        let elapsed = now.duration_since(self.begun).as_millis();
        let elapsed_ms = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let due = self.next_sweep.load(Ordering::Relaxed);
        let next = elapsed_ms.saturating_add(SWEEP_EVERY_MS);
        let is_due = elapsed_ms >= due;
        if is_due
            && (self.next_sweep)
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.projects.retain(|_, used| !used.is_idle(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(limits: Limits) -> Arc<Throttle> {
        Throttle::new(limits, Arc::default())
    }

    fn limits() -> Limits {
        Limits {
            requests_per_second: 10,
            burst: 3,
            uploads: 1,
            downloads: 2,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate_counts_for_each_project_alone() {
        let throttle = throttle(limits());
        for _ in 0..3 {
            assert_eq!(throttle.count("a"), Ok(()));
        }
        let wait = throttle.count("a").unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(throttle.count("b"), Ok(()), "another project");
        tokio::time::advance(wait).await;
        assert_eq!(throttle.count("a"), Ok(()), "after the wait it passes");
        assert!(throttle.count("a").is_err());
        // Refused requests cost nothing.
        tokio::time::advance(Duration::from_millis(300)).await;
        for _ in 0..3 {
            assert_eq!(throttle.count("a"), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_free_again_when_they_are_dropped() {
        let throttle = throttle(limits());
        let upload = throttle.take_slot("a", TransferKind::Upload).unwrap();
        assert!(throttle.take_slot("a", TransferKind::Upload).is_err());
        assert!(throttle.take_slot("b", TransferKind::Upload).is_ok());
        let downloads = [
            throttle.take_slot("a", TransferKind::Download).unwrap(),
            throttle.take_slot("a", TransferKind::Download).unwrap(),
        ];
        assert!(throttle.take_slot("a", TransferKind::Download).is_err());
        drop(downloads);
        assert!(throttle.take_slot("a", TransferKind::Download).is_ok());
        drop(upload);
        assert!(throttle.take_slot("a", TransferKind::Upload).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn projects_that_use_nothing_are_forgotten() {
        let throttle = throttle(limits());
        let kept = throttle
            .take_slot("at work", TransferKind::Download)
            .unwrap();
        for n in 0..50_000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let _ = throttle.count(&format!("project {n}"));
        }
        assert!(
            throttle.projects.len() <= 1024,
            "{}",
            throttle.projects.len()
        );
        assert!(throttle.projects.contains_key("at work"));
        drop(kept);
    }

    #[test]
    fn without_limits_nothing_is_remembered() {
        let throttle = throttle(Limits::default());
        for n in 0..100 {
            assert!(throttle.count(&n.to_string()).is_ok());
            assert!(
                throttle
                    .take_slot("a", TransferKind::Upload)
                    .unwrap()
                    .is_none()
            );
        }
        assert!(throttle.projects.is_empty());
    }
}
