//! Image records: create, find, delete.

use std::sync::Arc;

use tokio::sync::SemaphorePermit;

use super::db::{Connection, query};
use super::rows;
use super::rows::signed;
use super::status::{self, Facts};
use super::usage::{self, Delta};
use super::{Catalog, Error, Garbage, Judge, Limits, OpenParts, Result, after, now, staging};
use crate::image::{
    Attributes, Image, ImageId, InvalidTransition, Location, ProjectId, Status, StoreId,
};

/// Bytes of records from which on they are read one read at a time.
const LARGE_READ: u64 = 4 * 1024 * 1024;

/// The two ends of deactivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Data only for administrators.
    Deactivated,
    /// Data for everybody who may download.
    Active,
}

/// A record as a client wants it.
#[derive(Debug)]
pub(crate) struct Change {
    /// What it may write.
    pub attributes: Attributes,
    /// Copies of the data that the image shall no longer have.
    pub given_up: Vec<Location>,
}

impl From<Attributes> for Change {
    fn from(attributes: Attributes) -> Self {
        Self {
            attributes,
            given_up: Vec::new(),
        }
    }
}

impl Catalog {
    /// Finds a live image: from the cache, else from the database.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the record is not cached and the database does not answer.
    pub(crate) async fn find_image(&self, id: &ImageId) -> Result<Option<Arc<Image>>> {
        if let Some(image) = self.cached(id).await? {
            self.metrics.cache_hit();
            return Ok(Some(image));
        }
        self.metrics.cache_miss();
        let begun = self.cache.begin_read();
        let mut reader = self.db.read().await?;
        let large = rows::text_bytes(&mut reader, &[id]).await?;
        let _large = self.large_read(large.values().sum()).await?;
        let Some(image) = rows::load(&mut reader, id).await? else {
            return Ok(None);
        };
        let image = Arc::new(image);
        self.cache.fill(begun, &image);
        Ok(Some(image))
    }

    /// Waits for its turn when records of so many bytes are to be read; catalogs of older releases have images whose
    /// properties take a hundred mebibytes.
    pub(super) async fn large_read(&self, bytes: u64) -> Result<Option<SemaphorePermit<'_>>> {
        if bytes <= LARGE_READ {
            return Ok(None);
        }
        let permit = self.large_reads.acquire().await;
        permit.map(Some).map_err(rows::bad_row)
    }

    /// Stores a new record.
    ///
    /// # Errors
    /// [`Error::Taken`] when the id was ever used, also by a deleted or foreign image (contract 4.4);
    /// [`Error::OverLimit`].
    pub(crate) async fn create_image(&self, image: Image, limits: Limits) -> Result<Arc<Image>> {
        let this = self.clone();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            insert(&mut tx, &image).await?;
            let owner = image.owner.as_ref().map(ProjectId::as_str);
            tx.announce(image.id.as_str()).await?;
            // Last: all of the project's transactions wait for each other here.
            let usage = usage::change(&mut tx, owner, Delta::IMAGE).await?;
            limits.check_images(owner, usage)?;
            let image = Arc::new(image);
            this.commit_as(tx, &image.id, Some(Arc::clone(&image)))
                .await?;
            Ok(image)
        })
        .await
    }

    /// Changes the attributes a client may write, and only those: what an upload under way owns stays as it is. `change`
    /// sees the record as it is in the transaction and may refuse. Copies it gives up go to the garbage list.
    ///
    /// # Errors
    /// [`Error::Missing`]; the inner error is the refusal, with which nothing is changed.
    pub(crate) async fn update_image<E: Send + 'static>(
        &self,
        id: &ImageId,
        change: impl FnOnce(&Image) -> Result<Change, E> + Send + 'static,
    ) -> Result<Result<(Arc<Image>, Vec<Garbage>), E>> {
        let (this, id) = (self.clone(), id.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let mut image = rows::lock(&mut tx, &id).await?.ok_or(Error::Missing)?;
            let Change {
                attributes,
                given_up,
            } = match change(&image) {
                Ok(change) => change,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if attributes == Attributes::of(&image) && given_up.is_empty() {
                return Ok(Ok((Arc::new(image), Vec::new())));
            }
            let (before, owner) = (Attributes::of(&image), image.owner.clone());
            attributes.write_to(&mut image);
            image.updated_at = after(image.updated_at);
            update(&mut tx, &before, &image).await?;
            usage::change_owner(&mut tx, owner.as_ref(), &image).await?;
            let mut garbage = Vec::with_capacity(given_up.len());
            for location in given_up {
                garbage.push(give_up(&mut tx, &image, location).await?);
            }
            let image = this.commit(tx, &id).await?;
            Ok(Ok((image.ok_or(Error::Missing)?, garbage)))
        })
        .await
    }

    /// Takes an image from active to deactivated or back, by compare-and-set; being there already is fine.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`]; [`Error::Transition`] from any other status.
    pub(crate) async fn activate_image(
        &self,
        id: &ImageId,
        to: Activation,
        judge: Judge,
    ) -> Result<()> {
        let (this, id) = (self.clone(), id.clone());
        let (from, to) = match to {
            Activation::Deactivated => (Status::Active, Status::Deactivated),
            Activation::Active => (Status::Deactivated, Status::Active),
        };
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let image = rows::lock(&mut tx, &id).await?.ok_or(Error::Missing)?;
            judge(&image)?;
            if image.status == to {
                return Ok(());
            }
            status::change(&mut tx, &id, from, to, Facts::Kept).await?;
            this.commit(tx, &id).await.map(drop)
        })
        .await
    }

    /// Gives up the copy in one store and hands it to the garbage list, in one transaction.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`] when there is no such image or copy, [`Error::Transition`] unless the image
    /// is active, [`Error::LastLocation`].
    pub(crate) async fn delete_location(
        &self,
        id: &ImageId,
        store: &StoreId,
        judge: Judge,
    ) -> Result<Garbage> {
        let (this, id, store) = (self.clone(), id.clone(), store.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let image = rows::lock(&mut tx, &id).await?.ok_or(Error::Missing)?;
            judge(&image)?;
            if image.status != Status::Active {
                return Err(InvalidTransition {
                    from: image.status,
                    to: Status::Active,
                }
                .into());
            }
            if image.locations.len() < 2 {
                return Err(Error::LastLocation);
            }
            let mut locations = image.locations.iter();
            let location = locations
                .find(|location| location.store == store)
                .cloned()
                .ok_or(Error::Missing)?;
            query("UPDATE images SET updated_at = $1 WHERE id = $2")
                .bind(after(image.updated_at))
                .bind(id.as_str())
                .execute(&mut tx)
                .await?;
            let garbage = give_up(&mut tx, &image, location).await?;
            this.commit(tx, &id).await?;
            Ok(garbage)
        })
        .await
    }

    /// Marks an image deleted and hands its bytes, staged ones too, to the garbage list, in one transaction. An upload under way keeps
    /// its row and finds out at its end.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`], [`Error::Protected`], or a status that may not be deleted.
    pub(crate) async fn delete_image(&self, id: &ImageId, judge: Judge) -> Result<Vec<Garbage>> {
        let (this, id) = (self.clone(), id.clone());
        self.detached(async move { this.delete_in_transaction(&id, judge).await })
            .await
    }

    async fn delete_in_transaction(&self, id: &ImageId, judge: Judge) -> Result<Vec<Garbage>> {
        let mut tx = self.db.write().await?;
        let image = rows::lock(&mut tx, id).await?.ok_or(Error::Missing)?;
        judge(&image)?;
        if image.protected {
            return Err(Error::Protected);
        }
        status::change(&mut tx, id, image.status, Status::Deleted, Facts::Kept).await?;
        let held = Delta::of(&image).and(staging::held(&mut tx, &image).await?);
        let mut garbage = staging::give_up_all(&mut tx, id).await?;
        let owner = image.owner.as_ref().map(ProjectId::as_str);
        usage::change(&mut tx, owner, held.gone()).await?;
        for delete in [
            "DELETE FROM image_locations WHERE image_id = $1",
            "DELETE FROM image_members WHERE image_id = $1",
        ] {
            query(delete).bind(id.as_str()).execute(&mut tx).await?;
        }
        for location in image.locations {
            let item = Garbage {
                store: location.store,
                key: location.key,
                parts: OpenParts::None,
            };
            super::garbage::insert(&mut tx, &item, now()).await?;
            garbage.push(item);
        }
        self.commit_as(tx, id, None).await?;
        Ok(garbage)
    }
}

/// Takes a copy from its image and puts it in the garbage list.
pub(super) async fn give_up(
    tx: &mut Connection,
    image: &Image,
    location: Location,
) -> Result<Garbage> {
    query("DELETE FROM image_locations WHERE image_id = $1 AND store = $2 AND object_key = $3")
        .bind(image.id.as_str())
        .bind(location.store.as_str())
        .bind(&location.key)
        .execute(&mut *tx)
        .await?;
    let owner = image.owner.as_ref().map(ProjectId::as_str);
    let bytes = image.size.map_or(0, signed);
    usage::change(tx, owner, Delta::bytes(-bytes)).await?;
    let garbage = Garbage {
        store: location.store,
        key: location.key,
        parts: OpenParts::None,
    };
    super::garbage::insert(tx, &garbage, now()).await?;
    Ok(garbage)
}

/// Stores where an image's only data is.
pub(super) async fn insert_location(
    tx: &mut Connection,
    image: &ImageId,
    location: &Location,
) -> Result<()> {
    insert_location_at(tx, image, 0, location).await
}

/// Stores where an image's data is, at a place that is free.
pub(super) async fn insert_location_at(
    tx: &mut Connection,
    image: &ImageId,
    position: i64,
    location: &Location,
) -> Result<()> {
    query("INSERT INTO image_locations (image_id, position, store, object_key, etag) VALUES ($1, $2, $3, $4, $5)")
        .bind(image.as_str())
        .bind(position)
        .bind(location.store.as_str())
        .bind(&location.key)
        .bind(&location.etag)
        .execute(tx)
        .await?;
    Ok(())
}

/// Stores what a client may write of a new record, and its status.
///
/// # Errors
/// [`Error::Taken`].
pub(super) async fn insert(tx: &mut Connection, image: &Image) -> Result<()> {
    let inserted = query(
        "INSERT INTO images (id, name, status, visibility, owner, protected, os_hidden, disk_format, container_format, \
         min_disk, min_ram, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         ON CONFLICT DO NOTHING",
    )
    .bind(image.id.as_str())
    .bind(&image.name)
    .bind(image.status.as_str())
    .bind(image.visibility.as_str())
    .bind(image.owner.as_ref().map(|owner| owner.as_str()))
    .bind(image.protected)
    .bind(image.os_hidden)
    .bind(&image.disk_format)
    .bind(&image.container_format)
    .bind(image.min_disk)
    .bind(image.min_ram)
    .bind(image.created_at)
    .bind(image.updated_at)
    .execute(&mut *tx)
    .await?;
    if inserted == 0 {
        return Err(Error::Taken);
    }
    insert_sets(tx, image).await
}

/// Writes the columns of [`Attributes`], and of tags and properties what is another than `before`.
async fn update(tx: &mut Connection, before: &Attributes, image: &Image) -> Result<()> {
    query(
        "UPDATE images SET name = $1, visibility = $2, owner = $3, protected = $4, os_hidden = $5, disk_format = $6, \
         container_format = $7, min_disk = $8, min_ram = $9, updated_at = $10 WHERE id = $11",
    )
    .bind(&image.name)
    .bind(image.visibility.as_str())
    .bind(image.owner.as_ref().map(|owner| owner.as_str()))
    .bind(image.protected)
    .bind(image.os_hidden)
    .bind(&image.disk_format)
    .bind(&image.container_format)
    .bind(image.min_disk)
    .bind(image.min_ram)
    .bind(image.updated_at)
    .bind(image.id.as_str())
    .execute(&mut *tx)
    .await?;
    for tag in before.tags.difference(&image.tags) {
        query("DELETE FROM image_tags WHERE image_id = $1 AND value = $2")
            .bind(image.id.as_str())
            .bind(tag)
            .execute(&mut *tx)
            .await?;
    }
    for tag in image.tags.difference(&before.tags) {
        insert_tag(tx, image, tag).await?;
    }
    for name in before.properties.keys() {
        if !image.properties.contains_key(name) {
            query("DELETE FROM image_properties WHERE image_id = $1 AND name = $2")
                .bind(image.id.as_str())
                .bind(name)
                .execute(&mut *tx)
                .await?;
        }
    }
    for (name, value) in &image.properties {
        if before.properties.get(name) != Some(value) {
            put_property(tx, image, name, value.as_deref()).await?;
        }
    }
    Ok(())
}

async fn insert_sets(tx: &mut Connection, image: &Image) -> Result<()> {
    for tag in &image.tags {
        insert_tag(tx, image, tag).await?;
    }
    for (name, value) in &image.properties {
        put_property(tx, image, name, value.as_deref()).await?;
    }
    Ok(())
}

async fn insert_tag(tx: &mut Connection, image: &Image, tag: &str) -> Result<()> {
    query("INSERT INTO image_tags (image_id, value, created_at) VALUES ($1, $2, $3)")
        .bind(image.id.as_str())
        .bind(tag)
        .bind(image.created_at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn put_property(
    tx: &mut Connection,
    image: &Image,
    name: &str,
    value: Option<&str>,
) -> Result<()> {
    query(
        "INSERT INTO image_properties (image_id, name, value, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (image_id, name) DO UPDATE SET value = excluded.value",
    )
    .bind(image.id.as_str())
    .bind(name)
    .bind(value)
    .bind(image.created_at)
    .execute(tx)
    .await?;
    Ok(())
}
