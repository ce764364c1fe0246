//! The durable records: images, uploads under way, bytes to be removed; and the cache in front of them.
//!
//! The catalog decides, the cache answers. Every change of status is a compare-and-set in SQL; the in-process cache
//! (DashMap) serves reads and early refusals and is never the authority. Knows SQL, and neither HTTP nor S3.
//!
//! Every write runs as a task of its own, so that a caller who goes away cannot part a commit from the cache update
//! that belongs to it.

mod cache;
mod copy;
mod db;
mod follower;
mod garbage;
mod images;
mod imports;
mod leases;
mod limits;
mod list;
mod members;
mod metadefs;
mod recover;
mod rows;
mod staging;
mod status;
mod survey;
mod tasks;
#[cfg(test)]
mod testing;
mod uploads;
mod usage;

use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use crate::config::Database;
use crate::image::{Denial, Image, ImageId, InvalidTransition, Micros};
use crate::telemetry::metrics::Metrics;
pub(crate) use copy::copy_catalog;
use db::DatabaseProbe;
pub(crate) use garbage::{Garbage, OpenParts};
pub(crate) use images::{Activation, Change};
pub(crate) use imports::{
    ACTIVE_TASK, Activate, ImportFrom, ImportState, NewImport, StagedObject, failed_stores,
    importing_stores,
};
pub(crate) use limits::{Limits, UPLOADS_AT_ONCE};
pub(crate) use list::{
    Audience, Comparison, Direction, Filter, NumberColumn, Page, Scope, SortKey, TextColumn,
};
pub(crate) use members::Member;
pub(crate) use metadefs::{
    Loaded, NamespacePage, NamespaceSortKey, OnExisting, PartPage, PartSortKey,
};
pub(crate) use recover::RecoveredImage;
pub(crate) use survey::{RecordedCopy, Standing};
pub(crate) use tasks::{
    ClaimedTask, MOST_CLAIMS, Task, TaskBounds, TaskEnd, TaskPage, TaskSortKey,
};
pub(crate) use uploads::{
    Abandoned, Formats, Intent, Lapsed, NewUpload, Purpose, Reserved, Upload,
};
pub(crate) use usage::Counters;

/// What lies beneath an error.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the catalog did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such image, or it is deleted.
    #[error("the image does not exist")]
    Missing,
    /// The id belongs to an image already, perhaps a deleted one.
    #[error("the image id is taken")]
    Taken,
    /// The image is not in a status that allows the step.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// The image is protected against deletion.
    #[error("the image is protected")]
    Protected,
    /// The image has a visibility other than shared, so its member list is out of use.
    #[error("the image is not shared")]
    NotShared,
    /// The image would have more members than it may.
    #[error("the image would have {wanted} members of {quota} allowed (image_member_quota)")]
    TooManyMembers {
        /// Members an image may have.
        quota: u64,
        /// Members it would have.
        wanted: u64,
    },
    /// The namespace would hold more than it may.
    #[error("the namespace would hold more than {most} bytes of definitions")]
    NamespaceFull {
        /// Bytes a namespace may hold.
        most: i64,
    },
    /// The image's only copy of its data: without it the image could be filled anew (OSSA 2016-006).
    #[error("the last location of an image cannot be removed")]
    LastLocation,
    /// The data to import is still on its way.
    #[error("the image has no staged data; it may still be on its way")]
    NotStaged,
    /// A required attribute is not set yet.
    #[error("the image has no disk_format or no container_format")]
    FormatsMissing,
    /// The project would store more than its quota.
    #[error("the project would hold {wanted} bytes of {quota} allowed")]
    OverQuota {
        /// Bytes the project may hold.
        quota: u64,
        /// Bytes it would hold.
        wanted: u64,
    },
    /// The project would go over a limit of the identity service. The words are those of the reference service.
    #[error(
        "Project {project} is over a limit for [Resource {resource} is over limit of {limit} due to current usage {usage} \
         and delta {delta}]"
    )]
    OverLimit {
        /// Whose limit.
        project: String,
        /// Which limit.
        resource: &'static str,
        /// What the project may hold.
        limit: u64,
        /// What it holds.
        usage: u64,
        /// What is asked for.
        delta: u64,
    },
    /// The upload row is gone: the lease ran out and somebody else ended the attempt.
    #[error("the upload attempt was ended by another")]
    LeaseLost,
    /// A rule of the policy says no to the record as the transaction has it.
    #[error("the rule {0} does not allow it")]
    Denied(&'static str),
    /// No such namespace of metadata definitions, or it is hidden from who writes it.
    #[error("the namespace does not exist")]
    NoNamespace,
    /// The record is no longer what the request was about.
    #[error("the image was changed by another request")]
    Changed,
    /// A text has a character that the database cannot keep.
    #[error("a text must not contain U+0000, which the database of this site cannot keep")]
    NulInText,
    /// The database does not answer now; the same call may work later.
    #[error("the catalog is not available")]
    Unavailable(#[source] Cause),
    /// A fault of ours: bad data in a row, a broken statement.
    #[error("catalog fault")]
    Other(#[source] Cause),
}

/// The result of a catalog call.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Denial> for Error {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Hidden => Error::Missing,
            Denial::Rule(rule) => Error::Denied(rule),
            Denial::Changed => Error::Changed,
        }
    }
}

/// Whether the caller may do what it asks for. What a handler has seen before, perhaps in the cache, can be old by the time
/// of the write, so every write of a record judges what its own transaction has loaded.
pub(crate) type Judge<T = Image> = Box<dyn FnOnce(&T) -> Result<(), Denial> + Send>;

/// A handle on the catalog; clones share everything.
#[derive(Clone)]
pub(crate) struct Catalog {
    db: Arc<db::Db>,
    cache: Arc<cache::Cache>,
    /// Held while records are read that are large together, so that these are one at a time in memory.
    large_reads: Arc<Semaphore>,
    writes: TaskTracker,
    /// Told when this process has made a task.
    tasks_waiting: Arc<Notify>,
    /// Where other processes write as well.
    follower: Option<Arc<follower::Follower>>,
    node: Arc<str>,
    leases: Arc<leases::Leases>,
    metrics: Arc<Metrics>,
}

impl Catalog {
    /// Opens the catalog's database and brings its tables up to date. A file is made when it is missing, and taken for this
    /// process alone.
    ///
    /// `cache_entries` bounds the number of records kept in memory, `cache_bytes` what they take.
    ///
    /// # Errors
    /// When the database cannot be opened, it is another program's, another process holds the file, or a migration fails.
    pub(crate) async fn open(
        database: &Database,
        cache_entries: usize,
        cache_bytes: u64,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let db = db::Db::open(database).await?;
        let cache = Arc::new(cache::Cache::new(cache_entries, cache_bytes));
        let follower = db.feed().map(|feed| {
            let (cache, metrics) = (Arc::clone(&cache), Arc::clone(&metrics));
            Arc::new(follower::Follower::start(
                feed,
                cache,
                metrics,
                &TaskTracker::new(),
            ))
        });
        Ok(Self {
            db: Arc::new(db),
            cache,
            large_reads: Arc::new(Semaphore::new(1)),
            writes: TaskTracker::new(),
            tasks_waiting: Arc::default(),
            follower,
            node: uuid::Uuid::new_v4().to_string().into(),
            leases: Arc::default(),
            metrics,
        })
    }

    /// Asks the database for a sign of life; when the last write found it full or broken, by a write.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it gives none.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.db.ping().await
    }

    /// What was found of a database that is not of this process alone, when it was opened.
    pub(crate) fn probe(&self) -> Option<&DatabaseProbe> {
        self.db.probe()
    }

    /// Waits for the writes under way and closes the database.
    pub(crate) async fn close(&self) {
        self.writes.close();
        self.writes.wait().await;
        if let Some(follower) = &self.follower {
            follower.stop();
        }
        self.db.close().await;
    }

    /// Commits and leaves the record in the cache as the commit left it in the database.
    async fn commit(&self, mut tx: db::WriteTx, id: &ImageId) -> Result<Option<Arc<Image>>> {
        let image = rows::load(&mut tx, id).await?.map(Arc::new);
        self.commit_as(tx, id, image.clone()).await?;
        Ok(image)
    }

    /// Commits what leaves an image so; `None` when it is gone.
    async fn commit_as(
        &self,
        mut tx: db::WriteTx,
        id: &ImageId,
        image: Option<Arc<Image>>,
    ) -> Result<()> {
        tx.announce(id.as_str()).await?;
        let turn = self.cache.begin_write(id);
        let committed = tx.commit().await;
        if let (Err(_), Some(follower)) = (&committed, &self.follower) {
            follower.doubt();
        }
        // Where others write, one of them may have done so since the commit.
        let is_known = committed.is_ok() && self.follower.is_none();
        self.cache.written(turn, id, image.filter(|_| is_known));
        committed
    }

    /// A record in memory, if it is there and as new as this call.
    async fn cached(&self, id: &ImageId) -> Result<Option<Arc<Image>>> {
        let cached = self.cache.get(id);
        match &self.follower {
            Some(follower) if cached.is_some() => {
                follower.catch_up().await?;
                Ok(self.cache.get(id))
            }
            _ => Ok(cached),
        }
    }

    /// Runs a write to its end even when the caller goes away.
    async fn detached<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.writes.spawn(write).await {
            Ok(result) => {
                self.db.note_write(&result);
                result
            }
            Err(panicked) => Err(Error::Other(Box::new(panicked))),
        }
    }
}

/// The present moment as the catalog writes it.
pub(crate) fn now() -> Micros {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The moment of a change, after the one before: lists tell by it whether a record in memory is the one they found, also when
/// a clock is set back or servers' clocks differ.
fn after(before: Micros) -> Micros {
    now().max(before.saturating_add(1))
}
