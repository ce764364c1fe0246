//! Imports as the catalog has them: the step that begins one, what a task finds of it, and the steps by which it goes on.
//!
//! ```text
//! begin ─▶ (a copy's attempt ends)* ─▶ activate ─▶ (a copy's attempt ends, or fails)* ─▶ end
//!   └──────────────────────────────────────────── fail ─▶ queued, or active as it was
//! ```
//! A task remembers nothing: what is done stands in the staged rows, the locations and three properties that clients look at.
//! So it can be taken up by another server after any of these transactions, and each holds the task's row.

mod progress;
mod steps;

use std::sync::Arc;

use super::db::{Connection, query};
use super::rows::{self, signed};
use super::status::{self, Facts};
use super::usage::{self, Delta};
use super::{Catalog, Error, Judge, Limits, Result, Task, now, staging, tasks};
use crate::image::{Image, ImageId, ProjectId, Status, StoreId};
use crate::task::{TaskStatus, TaskType};
pub(super) use progress::end as end_progress;
use progress::has_copied;
pub(crate) use progress::{ACTIVE_TASK, failed_stores};
use staging::STAGED;
pub(crate) use staging::StagedObject;
pub(crate) use steps::Activate;
pub(super) use steps::give_up;

/// An import that is asked for.
pub(crate) struct NewImport {
    /// The image, which has its data staged.
    pub image: ImageId,
    /// Id of the task.
    pub task: String,
    /// What the task is told, in the words of the API.
    pub input: serde_json::Value,
    /// The stores to hold the data.
    pub stores: Vec<StoreId>,
    /// The project that the task works for.
    pub owner: Option<ProjectId>,
    /// The request that asks for it.
    pub request_id: String,
    /// The user who asks for it.
    pub user_id: String,
    /// What the image's owner may hold.
    pub limits: Limits,
}

/// An import as a task finds it.
#[derive(Debug)]
pub(crate) struct ImportState {
    /// The image; `None` when it is gone.
    pub image: Option<Arc<Image>>,
    /// What is staged of it, what the client has staged first.
    pub staged: Vec<StagedObject>,
}

impl Catalog {
    /// Takes the image from uploading to importing and leaves the task to be done, in one transaction.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`]; [`Error::Transition`]; [`Error::NotStaged`] while the data is still on its way;
    /// [`Error::OverQuota`], [`Error::OverLimit`] for the copies.
    pub(crate) async fn begin_import(&self, new: NewImport, judge: Judge) -> Result<()> {
        let this = self.clone();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let image = rows::lock(&mut tx, &new.image)
                .await?
                .ok_or(Error::Missing)?;
            judge(&image)?;
            let id = &new.image;
            status::change(
                &mut tx,
                id,
                Status::Uploading,
                Status::Importing,
                Facts::Kept,
            )
            .await?;
            let staged = staging::list(&mut tx, id).await?;
            let first = staged.first().ok_or(Error::NotStaged)?;
            let size = first.reviewed.facts.size;
            let is_there = |store: &&StoreId| staged.iter().any(|it| it.location.store == **store);
            let copies = new.stores.iter().filter(|store| !is_there(store)).count() as u64;
            progress::begin(&mut tx, &image, &new.task, &new.stores).await?;
            let task = task_of(&new);
            tasks::work::insert(&mut tx, &task, size.saturating_mul(copies)).await?;
            // What is missing is not reserved, but what cannot fit now is not begun.
            let owner = image.owner.as_ref().map(ProjectId::as_str);
            let more = size.saturating_mul(copies);
            let usage = usage::change(&mut tx, owner, Delta::bytes(0)).await?;
            // What is staged is there already, and goes with the import.
            let limits = new.limits.without_staging();
            limits.check_bytes(owner, usage.with_bytes(more), more)?;
            this.commit(tx, id).await?;
            this.tasks_waiting.notify_one();
            Ok(())
        })
        .await
    }

    /// An import as it is now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn import_state(&self, image: &ImageId) -> Result<ImportState> {
        let mut reader = self.db.snapshot().await?;
        let record = rows::load(&mut reader, image).await?;
        let staged = staging::list(&mut reader, image).await?;
        Ok(ImportState {
            image: record.map(Arc::new),
            staged,
        })
    }
}

fn task_of(new: &NewImport) -> Task {
    let now = now();
    Task {
        id: new.task.clone(),
        kind: TaskType::ApiImageImport,
        status: TaskStatus::Pending,
        owner: new.owner.clone(),
        input: Some(new.input.clone()),
        result: None,
        message: String::new(),
        image: Some(new.image.to_string()),
        request_id: Some(new.request_id.clone()),
        user_id: Some(new.user_id.clone()),
        created_at: now,
        updated_at: now,
        expires_at: None,
        progress: None,
    }
}

/// Stores a copy of the data in a store where the image has none yet: as a location of an active image, else staged for the
/// end of the import. Gives what the image counts for by it.
///
/// # Errors
/// [`Error::Missing`] when there is no import any more; [`Error::Changed`] when the image has other data now, or data there.
pub(super) async fn take_copy(
    tx: &mut Connection,
    id: &ImageId,
    copy: &StagedObject,
) -> Result<Delta> {
    let image = rows::load(tx, id).await?.ok_or(Error::Missing)?;
    let store = &copy.location.store;
    match image.status {
        Status::Importing => {
            let staged = staging::list(tx, id).await?;
            let first = staged.first().ok_or(Error::Missing)?;
            let is_taken = staged.iter().any(|it| it.location.store == *store);
            if is_taken || first.reviewed.facts != copy.reviewed.facts {
                return Err(Error::Changed);
            }
            let last = staged.iter().map(|it| it.position).max();
            let copy = StagedObject {
                position: last.unwrap_or(STAGED) + 1,
                ..copy.clone()
            };
            staging::insert(tx, id, &copy).await?;
        }
        Status::Active | Status::Deactivated => {
            let facts = &copy.reviewed.facts;
            let is_taken = image.locations.iter().any(|it| it.store == *store);
            let is_same = image.checksum.as_ref() == Some(&facts.checksum)
                && image.os_hash_value.as_ref() == Some(&facts.os_hash_value)
                && image.size == Some(facts.size);
            if is_taken || !is_same {
                return Err(Error::Changed);
            }
            append_location(tx, id, copy).await?;
        }
        _ => return Err(Error::Missing),
    }
    has_copied(tx, &image, store).await?;
    Ok(Delta::bytes(signed(copy.reviewed.facts.size)))
}

/// Adds a location behind those that are there.
async fn append_location(tx: &mut Connection, id: &ImageId, copy: &StagedObject) -> Result<()> {
    query(
        "INSERT INTO image_locations (image_id, position, store, object_key, etag) \
         SELECT $1, COALESCE(MAX(position) + 1, 0), $2, $3, $4 FROM image_locations WHERE image_id = $1",
    )
    .bind(id.as_str())
    .bind(copy.location.store.as_str())
    .bind(&copy.location.key)
    .bind(&copy.location.etag)
    .execute(tx)
    .await?;
    Ok(())
}
