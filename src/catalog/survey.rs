//! The catalog gone through from one end to the other, to be compared with what is in the stores: in pages that begin where
//! the one before has ended, each a statement of its own, while others go on writing. What looks wrong in a page has to be
//! looked at again, alone.
//!
//! And the way out for an object that nobody needs: onto the garbage list, in a transaction that sees that nobody does.

use super::db::{Builder, Row, query};
use super::rows::{self, bad_row};
use super::{Catalog, Garbage, OpenParts, Result, garbage, imports, now};
use crate::image::{AttemptId, ImageId, Status, StoreId};

/// A copy of an image's data as its record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedCopy {
    /// The image.
    pub image: ImageId,
    /// Where the image stands.
    pub status: Status,
    /// Bytes, once they are known.
    pub size: Option<u64>,
    /// Key of the object, the store's prefix included.
    pub key: String,
    /// ETag the store gave.
    pub etag: Option<String>,
}

/// Who says that an object is his.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holders {
    /// A record has it as its data.
    pub is_recorded: bool,
    /// It is of an upload under way.
    pub is_uploading: bool,
    /// It waits for an import.
    pub is_staged: bool,
    /// It stands on the garbage list.
    pub is_garbage: bool,
    /// Where the image stands, deleted or not; `None` for one that was never here.
    pub image: Option<Status>,
}

/// What of a record tells whether it hangs in the air.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The image.
    pub image: ImageId,
    /// Where it stands.
    pub status: Status,
    /// Whether there is data by the record.
    pub has_location: bool,
    /// Whether an upload to it is under way, data is staged for it, or a task imports it; only told of an image in between.
    pub has_upload: bool,
}

const COPY: &str =
    "SELECT l.image_id, l.object_key, l.etag, i.status, i.size FROM image_locations l";

const STANDING: &str = "SELECT i.id, i.status, \
    EXISTS (SELECT 1 FROM image_locations l WHERE l.image_id = i.id) AS has_location, \
    i.status IN ('saving', 'uploading') AND (EXISTS (SELECT 1 FROM uploads u WHERE u.image_id = i.id) \
    OR EXISTS (SELECT 1 FROM staged_objects s WHERE s.image_id = i.id)) \
    OR i.status = 'importing' AND EXISTS (SELECT 1 FROM tasks t WHERE t.image_id = i.id AND t.lease_until IS NOT NULL) \
    AS has_upload \
    FROM images i WHERE i.deleted_at IS NULL AND i.id ";

impl Catalog {
    /// The copies that live images have in a store, in the order of their keys and within that of their images; those
    /// behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn list_copies(
        &self,
        store: &StoreId,
        after: Option<&RecordedCopy>,
        limit: u32,
    ) -> Result<Vec<RecordedCopy>> {
        let mut reader = self.db.read().await?;
        let words = reader.words();
        let mut query = Builder::new(COPY);
        query.push((words.by_index)("image_locations_by_key"));
        query.push(words.in_this_order).push("images i");
        query.push(" WHERE i.id = l.image_id AND i.deleted_at IS NULL AND l.store = ");
        query.push_bind(store.as_str());
        if let Some(after) = after {
            query.push(" AND (l.object_key, l.image_id) > (");
            query
                .push_list([&after.key, after.image.as_str()])
                .push(")");
        }
        query.push(" ORDER BY l.object_key, l.image_id LIMIT ");
        query.push_bind(limit);
        let rows = query.build().fetch_all(&mut reader).await?;
        rows.iter().map(copy_of).collect()
    }

    /// The copy that this image has under this key, as its record is now.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn find_copy(
        &self,
        store: &StoreId,
        key: &str,
        image: &ImageId,
    ) -> Result<Option<RecordedCopy>> {
        let mut query = Builder::new(COPY);
        query.push(" JOIN images i ON i.id = l.image_id WHERE i.deleted_at IS NULL AND i.id = ");
        query.push_bind(image.as_str());
        query.push(" AND l.store = ").push_bind(store.as_str());
        query.push(" AND l.object_key = ").push_bind(key);
        let row = query
            .build()
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        row.as_ref().map(copy_of).transpose()
    }

    /// Names of stores that copies are in, with how many.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn count_copies(&self) -> Result<Vec<(StoreId, u64)>> {
        let rows = query(
            "SELECT store, COUNT(*) AS copies FROM image_locations GROUP BY store ORDER BY store",
        )
        .fetch_all(&mut self.db.read().await?)
        .await?;
        let counted = rows.iter().map(|row| {
            let copies: i64 = row.get("copies")?;
            let store = row.get::<String>("store")?.as_str().into();
            Ok((store, copies.unsigned_abs()))
        });
        counted.collect()
    }

    /// Who has an object of this key, by one statement, so that one who hands it on is seen before or after.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn holders(
        &self,
        store: &StoreId,
        key: &str,
        image: &ImageId,
        attempt: &AttemptId,
    ) -> Result<Holders> {
        let row = query(
            "SELECT EXISTS (SELECT 1 FROM image_locations WHERE store = $1 AND object_key = $2) AS is_recorded, \
             EXISTS (SELECT 1 FROM uploads WHERE attempt_id = $3) AS is_uploading, \
             EXISTS (SELECT 1 FROM staged_objects WHERE store = $1 AND object_key = $2) AS is_staged, \
             EXISTS (SELECT 1 FROM garbage WHERE store = $1 AND object_key = $2) AS is_garbage, \
             (SELECT status FROM images WHERE id = $4) AS status",
        )
        .bind(store.as_str())
        .bind(key)
        .bind(attempt.as_str())
        .bind(image.as_str())
        .fetch_one(&mut self.db.read().await?)
        .await?;
        let status: Option<String> = row.get("status")?;
        Ok(Holders {
            is_recorded: row.get("is_recorded")?,
            is_uploading: row.get("is_uploading")?,
            is_staged: row.get("is_staged")?,
            is_garbage: row.get("is_garbage")?,
            image: status
                .map(|text| text.parse())
                .transpose()
                .map_err(bad_row)?,
        })
    }

    /// Every live image in the order of its id, of those behind `after` at most `limit`.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn list_standings(
        &self,
        after: Option<&ImageId>,
        limit: u32,
    ) -> Result<Vec<Standing>> {
        let mut query = Builder::new(STANDING);
        query
            .push("> ")
            .push_bind(after.map_or("", ImageId::as_str));
        query.push(" ORDER BY i.id LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&mut self.db.read().await?).await?;
        rows.iter().map(standing_of).collect()
    }

    /// How an image stands now; `None` when it is gone.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn find_standing(&self, image: &ImageId) -> Result<Option<Standing>> {
        let mut query = Builder::new(STANDING);
        query.push("= ").push_bind(image.as_str());
        let row = query
            .build()
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        row.as_ref().map(standing_of).transpose()
    }

    /// Puts an object on the garbage list that no record, no attempt and no row of the list has; `None` when somebody has
    /// it after all, or the image was never here: then it is another catalog's.
    ///
    /// The caller removes the bytes at once.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn give_up_unheld(
        &self,
        store: &StoreId,
        key: &str,
        image: &ImageId,
        attempt: &AttemptId,
    ) -> Result<Option<Garbage>> {
        let (this, attempt, image) = (self.clone(), attempt.clone(), image.clone());
        let item = Garbage {
            store: store.clone(),
            key: key.to_owned(),
            parts: OpenParts::Unknown,
        };
        self.detached(async move {
            let mut tx = this.db.write().await?;
            // Attempts begin, end and leave their object to the record under the row of the image.
            rows::hold(&mut tx, image.as_str()).await?;
            let unheld = query(
                "SELECT 1 FROM images WHERE id = $4 \
                 AND NOT EXISTS (SELECT 1 FROM image_locations WHERE store = $1 AND object_key = $2) \
                 AND NOT EXISTS (SELECT 1 FROM uploads WHERE attempt_id = $3) \
                 AND NOT EXISTS (SELECT 1 FROM staged_objects WHERE store = $1 AND object_key = $2) \
                 AND NOT EXISTS (SELECT 1 FROM garbage WHERE store = $1 AND object_key = $2)",
            )
            .bind(item.store.as_str())
            .bind(&item.key)
            .bind(attempt.as_str())
            .bind(image.as_str())
            .fetch_optional(&mut tx)
            .await?;
            if unheld.is_none() {
                return Ok(None);
            }
            garbage::insert(&mut tx, &item, now()).await?;
            tx.commit().await?;
            Ok(Some(item))
        })
        .await
    }

    /// Takes an image from saving or uploading back to queued that neither an attempt nor staged data is there for, and one from
    /// importing that no task is there for; false when it is no longer so.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn requeue_unattended(&self, image: &ImageId) -> Result<bool> {
        let (this, image) = (self.clone(), image.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let Some(record) = rows::lock(&mut tx, &image).await? else {
                return Ok(false);
            };
            let attendants = match record.status {
                Status::Saving | Status::Uploading => {
                    "SELECT 1 FROM uploads WHERE image_id = $1 \
                     UNION ALL SELECT 1 FROM staged_objects WHERE image_id = $1 LIMIT 1"
                }
                Status::Importing => {
                    "SELECT 1 FROM tasks WHERE image_id = $1 AND lease_until IS NOT NULL LIMIT 1"
                }
                _ => return Ok(false),
            };
            let attended = query(attendants).bind(image.as_str());
            if attended.fetch_optional(&mut tx).await?.is_some() {
                return Ok(false);
            }
            if record.status == Status::Importing {
                imports::end_progress(&mut tx, &record, false).await?;
            }
            imports::give_up(&mut tx, &record, record.status).await?;
            this.commit(tx, &image).await?;
            Ok(true)
        })
        .await
    }
}

fn copy_of(row: &Row) -> Result<RecordedCopy> {
    let size: Option<i64> = row.get("size")?;
    Ok(RecordedCopy {
        image: row.get::<String>("image_id")?.parse().map_err(bad_row)?,
        status: row.get::<String>("status")?.parse().map_err(bad_row)?,
        size: size.map(u64::try_from).transpose().map_err(bad_row)?,
        key: row.get("object_key")?,
        etag: row.get("etag")?,
    })
}

fn standing_of(row: &Row) -> Result<Standing> {
    Ok(Standing {
        image: row.get::<String>("id")?.parse().map_err(bad_row)?,
        status: row.get::<String>("status")?.parse().map_err(bad_row)?,
        has_location: row.get("has_location")?,
        has_upload: row.get("has_upload")?,
    })
}
