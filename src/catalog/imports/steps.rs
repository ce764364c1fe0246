//! The steps of an import under way, each a transaction that holds the task's row.

use std::collections::BTreeMap;

use super::progress;
use crate::catalog::db::Connection;
use crate::catalog::status::{self, Facts};
use crate::catalog::tasks::TaskEnd;
use crate::catalog::uploads::Formats;
use crate::catalog::usage::{self, Delta};
use crate::catalog::{Catalog, Error, Garbage, Result, images, rows, staging};
use crate::image::{Image, ImageId, Location, ProjectId, Status, StoreId};

/// What is known of an import when the image becomes active.
#[derive(Debug, Clone)]
pub(crate) struct Activate {
    /// The image.
    pub image: ImageId,
    /// Id of the task.
    pub task: String,
    /// The stores to hold the data, the first location first. What is staged elsewhere goes.
    pub stores: Vec<StoreId>,
    /// The stores that are still to get it.
    pub missing: Vec<StoreId>,
    /// Properties that the image gets with its data.
    pub inject: BTreeMap<String, String>,
    /// How the task ends with this; `None` when it goes on.
    pub end: Option<TaskEnd>,
}

impl Catalog {
    /// Makes what is staged the image's data, in the stores that shall have it: facts move, and no byte. What is staged
    /// elsewhere goes to the garbage list.
    ///
    /// # Errors
    /// [`Error::Missing`] when the image is gone; [`Error::Changed`] when it has other formats than the data was judged as;
    /// [`Error::LeaseLost`].
    pub(crate) async fn activate_import(&self, step: Activate) -> Result<Vec<Garbage>> {
        let this = self.clone();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let id = &step.image;
            let image = rows::lock(&mut tx, id).await?.ok_or(Error::Missing)?;
            this.hold_task(&mut tx, &step.task).await?;
            let staged = staging::list(&mut tx, id).await?;
            let reviewed = &staged.first().ok_or(Error::Missing)?.reviewed;
            let judged_as = reviewed.judged_as.as_ref();
            if judged_as.is_some_and(|formats| *formats != Formats::of(&image)) {
                return Err(Error::Changed);
            }
            let facts = Facts::Set(&reviewed.facts);
            status::change(&mut tx, id, Status::Importing, Status::Active, facts).await?;
            let held = staging::held(&mut tx, &image).await?;
            let mut position = 0;
            for store in &step.stores {
                let Some(object) = staged.iter().find(|it| it.location.store == *store) else {
                    continue;
                };
                images::insert_location_at(&mut tx, id, position, &object.location).await?;
                staging::forget(&mut tx, id, object.position).await?;
                position += 1;
            }
            let garbage = staging::give_up_all(&mut tx, id).await?;
            for (name, value) in &step.inject {
                images::put_property(&mut tx, &image, name, Some(value)).await?;
            }
            progress::set_importing(&mut tx, &image, &step.missing).await?;
            if let Some(end) = &step.end {
                progress::end(&mut tx, &image, true).await?;
                this.end_task(&mut tx, &step.task, end).await?;
            }
            let active = rows::load(&mut tx, id).await?.ok_or(Error::Missing)?;
            let copies = Delta {
                images: 0,
                ..Delta::of(&active)
            };
            let owner = image.owner.as_ref().map(ProjectId::as_str);
            usage::change(&mut tx, owner, held.gone().and(copies)).await?;
            this.commit(tx, id).await?;
            Ok(garbage)
        })
        .await
    }

    /// Notes a store that does not get the data.
    ///
    /// # Errors
    /// [`Error::Changed`] when it has got it since; [`Error::LeaseLost`]; [`Error::Missing`].
    pub(crate) async fn note_failed_store(
        &self,
        image: &ImageId,
        task: &str,
        store: &StoreId,
    ) -> Result<()> {
        let (this, id, task, store) = (self.clone(), image.clone(), task.to_owned(), store.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let image = rows::lock(&mut tx, &id).await?.ok_or(Error::Missing)?;
            this.hold_task(&mut tx, &task).await?;
            if !progress::importing_stores(&image).contains(&store) {
                return Err(Error::Changed);
            }
            progress::has_failed(&mut tx, &image, &store).await?;
            this.commit(tx, &id).await.map(drop)
        })
        .await
    }

    /// Ends an import and its task. One that has not made the image active leaves it queued, what is staged goes to the
    /// garbage list, and it can be tried again (contract 6.3). The copies that one has made of an active image go as well: `undo`
    /// names the stores.
    ///
    /// # Errors
    /// [`Error::LeaseLost`].
    pub(crate) async fn end_import(
        &self,
        image: Option<&ImageId>,
        task: &str,
        end: TaskEnd,
        undo: &[StoreId],
    ) -> Result<Vec<Garbage>> {
        let (this, id, task) = (self.clone(), image.cloned(), task.to_owned());
        let undo = undo.to_vec();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let image = match &id {
                Some(id) => rows::lock(&mut tx, id).await?,
                None => None,
            };
            this.end_task(&mut tx, &task, &end).await?;
            // Another task may be at work on it: this one was given up, and the image imported anew.
            let image = image.filter(|image| progress::is_of(image, &task));
            let Some(image) = image else {
                tx.commit().await?;
                return Ok(Vec::new());
            };
            progress::end(&mut tx, &image, end.has_succeeded).await?;
            let garbage = match image.status {
                Status::Importing => give_up(&mut tx, &image, Status::Importing).await?,
                Status::Active | Status::Deactivated => take_back(&mut tx, &image, &undo).await?,
                _ => Vec::new(),
            };
            this.commit(tx, &image.id).await?;
            Ok(garbage)
        })
        .await
    }
}

/// Takes the copies that were made from an image that had its data before. Where it has no other any more, one stays.
async fn take_back(tx: &mut Connection, image: &Image, stores: &[StoreId]) -> Result<Vec<Garbage>> {
    let not_made = [
        progress::importing_stores(image),
        progress::failed_stores(image),
    ]
    .concat();
    let is_made = |it: &&Location| stores.contains(&it.store) && !not_made.contains(&it.store);
    let made: Vec<&Location> = image.locations.iter().filter(is_made).collect();
    let kept = usize::from(made.len() == image.locations.len());
    let mut garbage = Vec::with_capacity(made.len());
    for location in made.into_iter().skip(kept) {
        garbage.push(images::give_up(tx, image, location.clone()).await?);
    }
    Ok(garbage)
}

/// Queues an image again, and gives up what is staged of it.
pub(in crate::catalog) async fn give_up(
    tx: &mut Connection,
    image: &Image,
    from: Status,
) -> Result<Vec<Garbage>> {
    let held = staging::held(tx, image).await?;
    status::change(tx, &image.id, from, Status::Queued, Facts::Cleared).await?;
    let garbage = staging::give_up_all(tx, &image.id).await?;
    let owner = image.owner.as_ref().map(ProjectId::as_str);
    usage::change(tx, owner, held.gone()).await?;
    Ok(garbage)
}
