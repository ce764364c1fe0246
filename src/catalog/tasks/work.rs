//! Tasks as work: claimed by one server, renewed while it is at them, anybody's when it is gone.
//!
//! ```text
//! pending ─▶ claim ─▶ processing ─▶ (renew)* ─▶ success, failure
//!              ▲          │
//!              └──────────┘ the lease has run out, or its server is gone
//! ```
//! Every write of a task's result is a compare-and-set on who has claimed it, so that a server which hung and was given up
//! can change nothing any more.

use std::time::Duration;

use super::{Task, task_of};
use crate::catalog::db::{Builder, Connection, query};
use crate::catalog::rows::{micros, signed};
use crate::catalog::{Catalog, Error, Result, now};
use crate::image::ProjectId;
use crate::task::{TaskStatus, TaskType};

/// Types that are work of this program; others are records alone.
const WORK: TaskType = TaskType::ApiImageImport;

/// A task that was taken up so often ends with a failure: whoever takes it up dies of it.
pub(crate) const MOST_CLAIMS: i64 = 20;

/// Rows that are removed at once.
const MOST_EXPIRED: u32 = 500;

/// A task that this process has claimed.
#[derive(Debug, Clone)]
pub(crate) struct ClaimedTask {
    /// As its row was found.
    pub task: Task,
    /// How often it was claimed, this time included.
    pub claims: i64,
}

/// How a task ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskEnd {
    /// Whether it did what it was for.
    pub has_succeeded: bool,
    /// What is said of it.
    pub message: String,
    /// How long the record is kept from now on.
    pub time_to_live: Duration,
}

/// What is claimed.
#[derive(Debug, Clone)]
pub(crate) struct TaskBounds {
    /// Tasks that this process is at.
    pub running: Vec<String>,
    /// Tasks of one project at once.
    pub per_project: u32,
    /// How long a claim holds without a renewal.
    pub lease: Duration,
}

impl Catalog {
    /// Waits until this process has made a task.
    pub(crate) async fn task_waits(&self) {
        self.tasks_waiting.notified().await;
    }

    /// Claims the oldest task that nobody is at, of a project that has not as many at work as it may.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn claim_task(&self, bounds: TaskBounds) -> Result<Option<ClaimedTask>> {
        let this = self.clone();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let mut free = Builder::new("SELECT t.* FROM tasks t WHERE t.type = ");
            free.push_bind(WORK.as_str());
            free.push(" AND t.status IN ('pending', 'processing') AND (t.lease_until < ");
            free.push(tx.words().now);
            // Where this process has the database alone, another's task is a dead one's.
            if this.db.is_exclusive() {
                free.push(" OR t.node <> ").push_bind(&*this.node);
            }
            free.push(") AND t.lease_until IS NOT NULL");
            if !bounds.running.is_empty() {
                free.push(" AND t.id NOT IN (");
                free.push_list(bounds.running).push(")");
            }
            free.push(
                " AND (SELECT COUNT(*) FROM tasks r WHERE r.id <> t.id AND r.owner IS NOT DISTINCT FROM t.owner AND ",
            );
            this.push_at_work(&mut free, &tx).push(") < ");
            free.push_bind(bounds.per_project);
            free.push(" ORDER BY t.created_at, t.id LIMIT 1");
            let row = free.build().skipping_locked(&tx).fetch_optional(&mut tx);
            let Some(row) = row.await? else {
                return Ok(None);
            };
            let (task, claims) = (task_of(&row)?, row.get::<i64>("claims")? + 1);
            let at_work = this.others_at_work(&mut tx, &task).await?;
            if at_work >= i64::from(bounds.per_project) {
                return Ok(None);
            }
            let mut claim = Builder::new("UPDATE tasks SET status = 'processing', node = ");
            claim.push_bind(&*this.node).push(", lease_until = ");
            claim.push(tx.words().now).push(" + ");
            claim.push_bind(micros(bounds.lease)).push(", claims = ");
            claim.push_bind(claims).push(", updated_at = ");
            claim.push_bind(now()).push(" WHERE id = ");
            claim.push_bind(&task.id);
            claim.build().execute(&mut tx).await?;
            tx.commit().await?;
            Ok(Some(ClaimedTask { task, claims }))
        })
        .await
    }

    /// Moves the end of the lease, and remembers how far the task is: bytes done, of those it has to do, as far as is known by now.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when another has claimed or ended it.
    pub(crate) async fn renew_task(
        &self,
        id: &str,
        lease: Duration,
        (done_bytes, total_bytes): (u64, u64),
    ) -> Result<()> {
        let (this, id) = (self.clone(), id.to_owned());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let mut renew = Builder::new("UPDATE tasks SET lease_until = ");
            renew.push(tx.words().now).push(" + ");
            renew.push_bind(micros(lease)).push(", done_bytes = ");
            renew.push_bind(signed(done_bytes));
            renew.push(", total_bytes = CASE WHEN total_bytes < ");
            renew.push_bind(signed(total_bytes)).push(" THEN ");
            renew.push_bind(signed(total_bytes));
            renew.push(" ELSE total_bytes END, updated_at = ");
            renew.push_bind(now()).push(" WHERE id = ").push_bind(&id);
            renew.push(" AND status = 'processing' AND node = ");
            renew.push_bind(&*this.node);
            let renewed = renew.build().execute(&mut tx).await?;
            tx.commit().await?;
            if renewed == 1 {
                Ok(())
            } else {
                Err(Error::LeaseLost)
            }
        })
        .await
    }

    /// Leaves a task to whoever takes it up next.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; then its lease runs out.
    pub(crate) async fn release_task(&self, id: &str) -> Result<()> {
        let (this, id) = (self.clone(), id.to_owned());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            // Whoever leaves in order has not died of it.
            query("UPDATE tasks SET lease_until = 0, claims = claims - 1 WHERE id = $1 AND status = 'processing' AND node = $2")
                .bind(id)
                .bind(&*this.node)
                .execute(&mut tx)
                .await?;
            tx.commit().await
        })
        .await
    }

    /// Removes records of tasks whose time is over.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn remove_expired_tasks(&self) -> Result<()> {
        let this = self.clone();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            query(
                "DELETE FROM tasks WHERE id IN \
                 (SELECT id FROM tasks WHERE expires_at IS NOT NULL AND expires_at < $1 LIMIT $2)",
            )
            .bind(now())
            .bind(MOST_EXPIRED)
            .execute(&mut tx)
            .await?;
            tx.commit().await
        })
        .await
    }

    /// Ends a task of this process within the transaction that does its last work.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when it is another's, or has ended.
    pub(in crate::catalog) async fn end_task(
        &self,
        tx: &mut Connection,
        id: &str,
        end: &TaskEnd,
    ) -> Result<()> {
        let now = now();
        let status = if end.has_succeeded {
            TaskStatus::Success
        } else {
            TaskStatus::Failure
        };
        let ended = query(
            "UPDATE tasks SET status = $1, message = $2, updated_at = $3, expires_at = $4, \
             done_bytes = CASE WHEN $1 = 'success' THEN total_bytes ELSE done_bytes END, lease_until = NULL \
             WHERE id = $5 AND status = 'processing' AND node = $6",
        )
        .bind(status.as_str())
        .bind(&end.message)
        .bind(now)
        .bind(now.saturating_add(micros(end.time_to_live)))
        .bind(id)
        .bind(&*self.node)
        .execute(tx)
        .await?;
        if ended == 1 {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    /// Holds a task's row for this transaction.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when it is not this process's.
    pub(in crate::catalog) async fn hold_task(&self, tx: &mut Connection, id: &str) -> Result<()> {
        let row =
            query("SELECT id FROM tasks WHERE id = $1 AND status = 'processing' AND node = $2")
                .bind(id)
                .bind(&*self.node);
        let row = row.locking(tx).fetch_optional(tx).await?;
        row.map(drop).ok_or(Error::LeaseLost)
    }
}

impl Catalog {
    /// Asks of a task `r` whether a server is at it: one that was left counts against nobody. The words of the partial index
    /// come first, so that it is used.
    fn push_at_work<'a>(&self, query: &'a mut Builder, db: &Connection) -> &'a mut Builder {
        query.push("r.status IN ('pending', 'processing') AND r.status = 'processing' AND r.lease_until >= ");
        query.push(db.words().now);
        if self.db.is_exclusive() {
            query.push(" AND r.node = ").push_bind(&*self.node);
        }
        query
    }

    /// How many other tasks of its owner are at work. Held to the end of the transaction, by the row that all of the owner's
    /// transactions come to: two servers at once do not claim one too many.
    async fn others_at_work(&self, tx: &mut Connection, task: &Task) -> Result<i64> {
        let owner = task.owner.as_ref().map(ProjectId::as_str);
        let row = query("SELECT project FROM project_usage WHERE project = $1")
            .bind(owner.unwrap_or_default());
        row.locking(tx).fetch_optional(&mut *tx).await?;
        let mut count = Builder::new("SELECT COUNT(*) AS others FROM tasks r WHERE r.id <> ");
        count.push_bind(&task.id);
        count
            .push(" AND r.owner IS NOT DISTINCT FROM ")
            .push_bind(owner);
        count.push(" AND ");
        self.push_at_work(&mut count, tx);
        let row = count.build().fetch_one(tx).await?;
        row.get("others")
    }
}

/// Stores a new task, to be done.
pub(in crate::catalog) async fn insert(
    tx: &mut Connection,
    task: &Task,
    total_bytes: u64,
) -> Result<()> {
    let input = task.input.as_ref().map(ToString::to_string);
    query(
        "INSERT INTO tasks (id, type, status, owner, input, message, image_id, request_id, user_id, created_at, \
         updated_at, lease_until, total_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12)",
    )
    .bind(&task.id)
    .bind(task.kind.as_str())
    .bind(task.status.as_str())
    .bind(task.owner.as_ref().map(ProjectId::as_str))
    .bind(input)
    .bind(&task.message)
    .bind(&task.image)
    .bind(&task.request_id)
    .bind(&task.user_id)
    .bind(task.created_at)
    .bind(task.updated_at)
    .bind(signed(total_bytes))
    .execute(tx)
    .await?;
    Ok(())
}
