//! Imports as the catalog has them: the step that begins one, what a task finds of it, and the steps by which it goes on.
//!
//! ```text
//! begin ─▶ (a copy's attempt ends)* ─▶ activate ─▶ (a copy's attempt ends, or fails)* ─▶ end
//!   └── of an active image ─────────────────┘
//!   └──────────────────────────────────────────── fail ─▶ queued, or active as it was
//! ```
//! A task remembers nothing: what is done stands in the staged rows, the locations and three properties that clients look at;
//! which stores are still to get the data is said by one of these alone. So it can be taken up by another server after any of these transactions, and each holds the task's row.

mod progress;
mod steps;

use std::sync::Arc;

use super::db::{Connection, query};
use super::rows::{self, signed};
use super::status::{self, Facts};
use super::usage::{self, Delta};
use super::{Catalog, Error, Judge, Limits, Purpose, Result, Task, Upload, now, staging, tasks};
use crate::image::{Image, ImageId, ProjectId, Status, StoreId};
use crate::task::{TaskStatus, TaskType};
use progress::has_copied;
pub(crate) use progress::{ACTIVE_TASK, failed_stores, importing_stores};
pub(super) use progress::{end as end_progress, is_of};
use staging::STAGED;
pub(crate) use staging::StagedObject;
pub(crate) use steps::Activate;
pub(super) use steps::give_up;

/// Where the data of an import comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportFrom {
    /// A client has staged it.
    Stage,
    /// It is yet to be fetched.
    Web,
    /// The image has it, and is to have it in more stores.
    Image,
}

/// An import that is asked for.
pub(crate) struct NewImport {
    /// The image.
    pub image: ImageId,
    /// Where its data is.
    pub from: ImportFrom,
    /// Id of the task.
    pub task: String,
    /// What the task is told, in the words of the API.
    pub input: serde_json::Value,
    /// The stores to hold the data; none of them has it, if the image has.
    pub stores: Vec<StoreId>,
    /// The project that the task works for.
    pub owner: Option<ProjectId>,
    /// The request that asks for it.
    pub request_id: String,
    /// The user who asks for it.
    pub user_id: String,
    /// Whether it is known how much has to be copied: not before packed data is unpacked.
    pub is_size_known: bool,
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
    /// Takes the image to importing, if it is not active, and leaves the task to be done, in one transaction.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`]; [`Error::Transition`]; [`Error::NotStaged`] while the data is still on its way;
    /// [`Error::Changed`] when the image is not, or not without a task, what the import was asked for;
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
            let (size, copies) = match new.from {
                ImportFrom::Stage => begin_with_staged(&mut tx, &new).await?,
                ImportFrom::Web => {
                    let (from, to) = (Status::Queued, Status::Importing);
                    status::change(&mut tx, id, from, to, Facts::Cleared).await?;
                    (0, 0)
                }
                ImportFrom::Image => begin_with_data(&image, &new)?,
            };
            progress::begin(&mut tx, &image, &new.task, &new.stores).await?;
            let task = task_of(&new);
            let total = if new.is_size_known { size } else { 0 };
            tasks::work::insert(&mut tx, &task, total.saturating_mul(copies)).await?;
            // What is missing is not reserved, but what cannot fit now is not begun.
            let owner = image.owner.as_ref().map(ProjectId::as_str);
            let more = size.saturating_mul(copies);
            let usage = usage::change(&mut tx, owner, Delta::bytes(0)).await?;
            // What is staged is there already, and goes with the import.
            let limits = new.limits.without_staging();
            limits.check_bytes(owner, usage.with_bytes(more), more)?;
            if new.from == ImportFrom::Web {
                limits.check_uploading(owner, usage.with_upload())?;
            }
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

/// An import of staged data begins; gives its size and how many copies are to be made.
async fn begin_with_staged(tx: &mut Connection, new: &NewImport) -> Result<(u64, u64)> {
    let (from, to) = (Status::Uploading, Status::Importing);
    status::change(tx, &new.image, from, to, Facts::Kept).await?;
    let staged = staging::list(tx, &new.image).await?;
    let first = staged.first().ok_or(Error::NotStaged)?;
    let is_there = |store: &&StoreId| staged.iter().any(|it| it.location.store == **store);
    let copies = new.stores.iter().filter(|store| !is_there(store)).count() as u64;
    Ok((first.reviewed.facts.size, copies))
}

/// The same for more copies of an image that has its data.
fn begin_with_data(image: &Image, new: &NewImport) -> Result<(u64, u64)> {
    let is_busy = image.properties.contains_key(ACTIVE_TASK);
    let mut stores = image.locations.iter().map(|it| &it.store);
    if is_busy || image.status != Status::Active || stores.any(|it| new.stores.contains(it)) {
        return Err(Error::Changed);
    }
    Ok((image.size.ok_or(Error::Changed)?, new.stores.len() as u64))
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

/// Takes what an attempt for an import has stored. Gives what the image counts for by it.
///
/// # Errors
/// [`Error::Missing`] when the image has no use for it any more; [`Error::Changed`] when this task does not wait for it, or the
/// image has other data now, or data there.
pub(super) async fn take(
    tx: &mut Connection,
    upload: &Upload,
    object: &StagedObject,
) -> Result<Delta> {
    let image = rows::load(tx, &upload.image).await?.ok_or(Error::Missing)?;
    let store = &object.location.store;
    // Another import may have begun since, of other data.
    let is_awaited = upload.task.as_ref().is_some_and(|task| is_of(&image, task))
        && importing_stores(&image).contains(store);
    if !is_awaited {
        return Err(Error::Changed);
    }
    let holds = match upload.purpose {
        Purpose::Fetch => take_first(tx, &image, object).await?,
        Purpose::Convert => take_place(tx, &image, object).await?,
        _ => take_copy(tx, &image, object).await?,
    };
    has_copied(tx, &image, store).await?;
    Ok(holds)
}

/// Stages what was fetched, as if a client had.
async fn take_first(tx: &mut Connection, image: &Image, object: &StagedObject) -> Result<Delta> {
    let size = object.reviewed.facts.size;
    if !staging::list(tx, &image.id).await?.is_empty() {
        return Err(Error::Changed);
    }
    status::set_facts(tx, &image.id, Status::Importing, Facts::Sized(size)).await?;
    staging::insert(tx, &image.id, object).await?;
    Ok(Delta::staged(signed(size)))
}

/// Stages what was made of the staged data in its place, which goes to the garbage list.
async fn take_place(tx: &mut Connection, image: &Image, object: &StagedObject) -> Result<Delta> {
    let staged = staging::list(tx, &image.id).await?;
    let is_the_first = staged.len() == 1 && !staged.iter().any(|it| it.reviewed.is_processed);
    if image.status != Status::Importing || !is_the_first {
        return Err(Error::Changed);
    }
    let before = staging::held(tx, image).await?;
    staging::give_up_all(tx, &image.id).await?;
    let size = object.reviewed.facts.size;
    status::set_facts(tx, &image.id, Status::Importing, Facts::Sized(size)).await?;
    staging::insert(tx, &image.id, object).await?;
    Ok(before.gone().and(Delta::staged(signed(size))))
}

/// Stores a copy of the data in a store where the image has none yet: as a location of an active image, else staged for the
/// end of the import.
async fn take_copy(tx: &mut Connection, image: &Image, copy: &StagedObject) -> Result<Delta> {
    let (id, store) = (&image.id, &copy.location.store);
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
