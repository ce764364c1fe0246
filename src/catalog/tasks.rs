//! Records of tasks: reading them. What makes them work is in `work`.

pub(super) mod work;

use serde_json::Value;

use super::db::{Builder, Row};
use super::rows::bad_row;
use super::{Catalog, Direction, Result, now};
use crate::image::{ImageId, Micros, ProjectId};
use crate::task::{TaskStatus, TaskType};
pub(crate) use work::{ClaimedTask, MOST_CLAIMS, TaskBounds, TaskEnd};

/// A task (contract 6.6).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Task {
    /// Its id, a UUID.
    pub id: String,
    /// What it does.
    pub kind: TaskType,
    /// How far it is.
    pub status: TaskStatus,
    /// The project it works for.
    pub owner: Option<ProjectId>,
    /// What it was told.
    pub input: Option<Value>,
    /// What it has found or made.
    pub result: Option<Value>,
    /// How it ended, in words.
    pub message: String,
    /// The image it works on.
    pub image: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// The user who asked for it.
    pub user_id: Option<String>,
    /// When it was asked for.
    pub created_at: Micros,
    /// When its record last changed.
    pub updated_at: Micros,
    /// When its record goes; known once the task has ended.
    pub expires_at: Option<Micros>,
    /// Bytes that it has copied, of those it has to; `None` where it copies none.
    pub progress: Option<(u64, u64)>,
}

/// A column that tasks can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskSortKey {
    /// `id`.
    Id,
    /// `type`.
    Type,
    /// `status`.
    Status,
    /// `created_at`.
    CreatedAt,
    /// `updated_at`.
    UpdatedAt,
    /// `expires_at`.
    ExpiresAt,
}

impl TaskSortKey {
    /// Every key.
    pub(crate) const ALL: [TaskSortKey; 6] = [
        TaskSortKey::Id,
        TaskSortKey::Type,
        TaskSortKey::Status,
        TaskSortKey::CreatedAt,
        TaskSortKey::UpdatedAt,
        TaskSortKey::ExpiresAt,
    ];

    /// The key of this name in a query.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let mut all = TaskSortKey::ALL.into_iter();
        all.find(|key| key.as_sql() == name)
    }

    /// The column, which has the name of the key.
    pub(crate) fn as_sql(self) -> &'static str {
        match self {
            TaskSortKey::Id => "id",
            TaskSortKey::Type => "type",
            TaskSortKey::Status => "status",
            TaskSortKey::CreatedAt => "created_at",
            TaskSortKey::UpdatedAt => "updated_at",
            TaskSortKey::ExpiresAt => "expires_at",
        }
    }
}

/// One page of tasks to ask for.
#[derive(Debug, Clone)]
pub(crate) struct TaskPage {
    /// Only tasks of this project.
    pub owner: Option<ProjectId>,
    /// Only tasks in this status.
    pub status: Option<TaskStatus>,
    /// Only tasks of this type.
    pub kind: Option<TaskType>,
    /// First key of the order; ties by `created_at`, then `id`.
    pub sort_key: TaskSortKey,
    /// Its direction, and that of the ties.
    pub direction: Direction,
    /// Id of the last task of the page before.
    pub after: Option<String>,
    /// Most tasks to return.
    pub limit: u32,
}

/// Tasks of an image that are listed: its list has no pages.
const MOST_OF_IMAGE: u32 = 1000;

/// Times have a moment from which a record counts as gone.
const ALIVE: &str = "(expires_at IS NULL OR expires_at > ";

impl Catalog {
    /// Finds a task that has not expired.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn find_task(&self, id: &str) -> Result<Option<Task>> {
        let mut query = Builder::new("SELECT * FROM tasks WHERE id = ");
        query
            .push_bind(id)
            .push(" AND ")
            .push(ALIVE)
            .push_bind(now())
            .push(")");
        let row = query
            .build()
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        row.as_ref().map(task_of).transpose()
    }

    /// Lists tasks.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn list_tasks(&self, page: TaskPage) -> Result<Vec<Task>> {
        let mut query = Builder::new("SELECT * FROM tasks WHERE ");
        query.push(ALIVE).push_bind(now()).push(")");
        if let Some(owner) = &page.owner {
            query.push(" AND owner = ").push_bind(owner.as_str());
        }
        if let Some(status) = page.status {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        if let Some(kind) = page.kind {
            query.push(" AND type = ").push_bind(kind.as_str());
        }
        let (direction, comparison) = match page.direction {
            Direction::Ascending => (" ASC", " > "),
            Direction::Descending => (" DESC", " < "),
        };
        // Null sorts lowest in either direction; as -1 it compares so as well.
        let key = match page.sort_key {
            TaskSortKey::ExpiresAt => "COALESCE(expires_at, -1)",
            key => key.as_sql(),
        };
        if let Some(after) = &page.after {
            query
                .push(format!(" AND ({key}, created_at, id){comparison}(SELECT {key}, created_at, id FROM tasks WHERE id = "))
                .push_bind(after)
                .push(")");
        }
        query
            .push(format!(
                " ORDER BY {key}{direction}, created_at{direction}, id{direction} LIMIT "
            ))
            .push_bind(page.limit);
        let rows = query.build().fetch_all(&mut self.db.read().await?).await?;
        rows.iter().map(task_of).collect()
    }

    /// Lists the newest tasks of an image, newest first; of one project alone unless `owner` is `None`.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn list_image_tasks(
        &self,
        image: &ImageId,
        owner: Option<&ProjectId>,
    ) -> Result<Vec<Task>> {
        let mut query = Builder::new("SELECT * FROM tasks WHERE image_id = ");
        query
            .push_bind(image.as_str())
            .push(" AND ")
            .push(ALIVE)
            .push_bind(now())
            .push(")");
        if let Some(owner) = owner {
            query.push(" AND owner = ").push_bind(owner.as_str());
        }
        query.push(" ORDER BY created_at DESC, id DESC LIMIT ");
        query.push_bind(MOST_OF_IMAGE);
        let rows = query.build().fetch_all(&mut self.db.read().await?).await?;
        rows.iter().map(task_of).collect()
    }
}

fn task_of(row: &Row) -> Result<Task> {
    let json = |column: &str| -> Result<Option<Value>> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(bad_row)
    };
    let owner: Option<String> = row.get("owner")?;
    Ok(Task {
        id: row.get("id")?,
        kind: row.get::<String>("type")?.parse().map_err(bad_row)?,
        status: row.get::<String>("status")?.parse().map_err(bad_row)?,
        owner: owner.map(|owner| owner.as_str().into()),
        input: json("input")?,
        result: json("result")?,
        message: row.get("message")?,
        image: row.get("image_id")?,
        request_id: row.get("request_id")?,
        user_id: row.get("user_id")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        expires_at: row.get("expires_at")?,
        progress: progress_of(row)?,
    })
}

fn progress_of(row: &Row) -> Result<Option<(u64, u64)>> {
    let bytes = |column| row.get::<i64>(column).map(i64::unsigned_abs);
    let (done, total) = (bytes("done_bytes")?, bytes("total_bytes")?);
    Ok((total > 0).then_some((done, total)))
}
