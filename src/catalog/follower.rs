//! Keeps the memory of this process true where others write as well.
//!
//! A record in memory is given out only after a question to the database that began after the record was asked for, and
//! that has told what others changed: so no read is older than a write that was answered before it, whoever answered. The
//! question is one for all who wait for it, so it costs the database the same whether one reads or a thousand do, and a write
//! waits for nobody. No clock and no list of servers is needed; a server that was stopped for an hour asks before it answers,
//! and where the database does not answer nothing is given out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::cache::Cache;
use super::db::{Feed, News};
use super::{Error, Result};

/// Most who ask at once; more wait for their turn.
const QUESTIONS: usize = 4096;

/// Asks also when nobody reads, so that what is remembered does not grow too old to be asked about.
const IDLE: Duration = Duration::from_secs(15);

/// Asks the database for all who read from memory.
pub(super) struct Follower {
    questions: mpsc::Sender<oneshot::Sender<()>>,
    task: AbortOnDropHandle<()>,
}

impl Follower {
    pub(super) fn start(feed: Feed, cache: Arc<Cache>, tasks: &TaskTracker) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let task = tasks.spawn(follow(feed, cache, asked));
        Self {
            questions,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// Asks no more, and gives its connection back; nothing in memory is given out after that.
    pub(super) fn stop(&self) {
        self.task.abort();
    }

    /// Returns once what is in memory is as new as this call.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not tell.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let (told, telling) = oneshot::channel();
        let away = || Error::Unavailable("the database does not tell what has changed".into());
        self.questions.send(told).await.map_err(|_| away())?;
        telling.await.map_err(|_| away())
    }
}

async fn follow(mut feed: Feed, cache: Arc<Cache>, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
    let mut waiting = Vec::new();
    loop {
        // Whoever comes while a question is under way waits for the next.
        let begun = tokio::time::timeout(IDLE, asked.recv_many(&mut waiting, QUESTIONS));
        if begun.await == Ok(0) {
            return;
        }
        match feed.ask().await {
            Ok(News::Images(images)) => images.iter().for_each(|id| cache.forget(id)),
            Ok(News::Unknown) => cache.forget_all(),
            Err(e) => {
                tracing::warn!(
                    error = &e as &dyn std::error::Error,
                    "the catalog does not tell what others changed"
                );
                // Those who wait find out by it.
                waiting.clear();
            }
        }
        for told in waiting.drain(..) {
            let _ = told.send(());
        }
    }
}
