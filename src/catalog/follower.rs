//! Keeps the memory of this process true where others write as well.
//!
//! A record in memory is given out only after a question to the database that began after the record was asked for, and
//! that has told what others changed: so no read is older than a write that was answered before it, whoever answered. The
//! question is one for all who wait for it, so it costs the database the same whether one reads or a thousand do, and a write
//! waits for nobody. No list of servers is needed; a server that was stopped for an hour asks before it answers, and where the
//! database does not answer nothing is given out.
//!
//! A server that is alone on its database holds a lease by which nobody else changes anything before the lease has ended
//! (`db/postgres/memory_lease.rs`). It asks a few times a second to keep that, and its readers do not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::cache::Cache;
use super::db::{Answer, Feed, News};
use super::{Error, Result};
use crate::telemetry::metrics::Metrics;

/// Most who ask at once; more wait for their turn.
const QUESTIONS: usize = 4096;

/// Asks the database for all who read from memory.
pub(super) struct Follower {
    questions: mpsc::Sender<oneshot::Sender<()>>,
    trust: Arc<Trust>,
    task: AbortOnDropHandle<()>,
}

/// Until when memory is true without a question.
struct Trust {
    begun: Instant,
    /// Microseconds since `begun`.
    until: AtomicU64,
    /// How often there was a reason not to trust what a question under way would tell.
    doubts: Mutex<u64>,
}

impl Follower {
    pub(super) fn start(
        feed: Feed,
        cache: Arc<Cache>,
        metrics: Arc<Metrics>,
        tasks: &TaskTracker,
    ) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let trust = Arc::new(Trust::none());
        let follow = Follow {
            feed,
            cache,
            metrics,
            trust: Arc::clone(&trust),
        };
        let task = tasks.spawn(follow.run(asked));
        Self {
            questions,
            trust,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// Asks no more, and gives its connection back; nothing in memory is given out after that.
    pub(super) fn stop(&self) {
        self.task.abort();
        self.trust.doubt();
    }

    /// A transaction of ours may or may not be committed, and it may be so later: nothing is trusted before it has ended.
    pub(super) fn doubt(&self) {
        self.trust.doubt();
    }

    /// Returns once what is in memory is as new as this call.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not tell.
    pub(super) async fn catch_up(&self) -> Result<()> {
        if self.trust.holds() {
            return Ok(());
        }
        let (told, telling) = oneshot::channel();
        let away = || Error::Unavailable("the database does not tell what has changed".into());
        self.questions.send(told).await.map_err(|_| away())?;
        telling.await.map_err(|_| away())
    }
}

impl Trust {
    fn none() -> Self {
        Self {
            begun: Instant::now(),
            until: AtomicU64::new(0),
            doubts: Mutex::new(0),
        }
    }

    fn holds(&self) -> bool {
        micros(self.begun.elapsed()) < self.until.load(Ordering::SeqCst)
    }

    fn doubts(&self) -> u64 {
        *self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubt(&self) {
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        *doubts += 1;
        self.until.store(0, Ordering::SeqCst);
    }

    /// Trusts until then, unless a doubt has come since there were so many.
    fn set(&self, until: Option<Instant>, known: u64) {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        let until = until.filter(|_| *doubts == known);
        let until = until.map_or(0, |until| micros(until - self.begun));
        self.until.store(until, Ordering::SeqCst);
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The task that asks.
struct Follow {
    feed: Feed,
    cache: Arc<Cache>,
    metrics: Arc<Metrics>,
    trust: Arc<Trust>,
}

impl Follow {
    async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
        let mut waiting = Vec::new();
        let mut doubts = 0;
        loop {
            // Whoever comes while a question is under way waits for the next.
            let pause = self.feed.pause();
            let begun = tokio::time::timeout(pause, asked.recv_many(&mut waiting, QUESTIONS));
            if begun.await == Ok(0) {
                return;
            }
            let known = self.trust.doubts();
            if known != doubts {
                doubts = known;
                self.feed.doubt();
            }
            if !self.ask(doubts).await {
                // Those who wait find out by it.
                waiting.clear();
            }
            for told in waiting.drain(..) {
                let _ = told.send(());
            }
        }
    }

    /// Asks once; false when there was no answer.
    async fn ask(&mut self, doubts: u64) -> bool {
        let begun = Instant::now();
        let answered = self.feed.ask().await;
        let trust = match answered {
            Ok(Answer { news, trust }) => {
                match news {
                    News::Images(images) => images.iter().for_each(|id| self.cache.forget(id)),
                    News::Unknown => self.cache.forget_all(),
                }
                trust
            }
            Err(e) => {
                tracing::warn!(
                    error = &e as &dyn std::error::Error,
                    "the catalog does not tell what others changed"
                );
                self.set_trust(None, doubts);
                return false;
            }
        };
        self.set_trust(trust.map(|trust| begun + trust), doubts);
        true
    }

    fn set_trust(&self, until: Option<Instant>, doubts: u64) {
        self.trust.set(until, doubts);
        self.metrics.set_is_alone(until.is_some());
    }
}
