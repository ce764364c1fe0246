//! The two ends of an attempt: its object is given to the image, or to the garbage list.

use std::sync::Arc;
use std::time::Duration;

use super::{Formats, Intent, Purpose, Upload, upload_of};
use crate::catalog::db::{Connection, query};
use crate::catalog::rows::{self, micros, signed};
use crate::catalog::staging::{self, StagedObject};
use crate::catalog::status::{self, Facts};
use crate::catalog::usage::{self, Delta};
use crate::catalog::{Catalog, Error, Garbage, OpenParts, Result, garbage, images, imports, now};
use crate::image::{AttemptId, Image, ImageId, Location, ProjectId, Status};

/// How long after it was given up a store may still carry out a request to publish an object: one that timed out here,
/// or whose sender was killed. Longer than any store holds on to a request.
const LATEST_PUBLICATION: Duration = Duration::from_secs(15 * 60);

impl Catalog {
    /// Gives the published object to the image: as its data, with what the upload owns (size, digests, location), or staged
    /// for an import, with its size alone. Everything else stays as it is, so that a PATCH during the upload is kept.
    ///
    /// # Errors
    /// [`Error::Missing`] when the image was deleted meanwhile; [`Error::Changed`] when it has other formats than the data
    /// was judged as; [`Error::LeaseLost`]. Nothing is changed then.
    pub(crate) async fn finish_upload(
        &self,
        attempt: &AttemptId,
        intent: &Intent,
        etag: Option<String>,
    ) -> Result<Arc<Image>> {
        let (this, attempt, intent) = (self.clone(), attempt.clone(), intent.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let taken = this.take(&mut tx, &attempt).await?;
            let (upload, held) = taken.ok_or(Error::LeaseLost)?;
            let location = Location {
                store: upload.store.clone(),
                key: upload.key.clone(),
                etag,
            };
            let judged_as = intent.judged_as.clone();
            let holds = match upload.purpose {
                Purpose::Upload => activate(&mut tx, &upload.image, &location, &intent).await?,
                Purpose::Stage => stage(&mut tx, &upload.image, &location, &intent).await?,
                Purpose::Fetch | Purpose::Convert | Purpose::Copy => {
                    let object = StagedObject {
                        position: staging::STAGED,
                        location,
                        reviewed: intent,
                    };
                    imports::take(&mut tx, &upload, &object).await?
                }
            };
            let image = rows::load(&mut tx, &upload.image).await?;
            let image = Arc::new(image.ok_or(Error::Missing)?);
            // What is staged is judged again when it is imported.
            if upload.purpose == Purpose::Upload
                && judged_as.is_some_and(|formats| formats != Formats::of(&image))
            {
                return Err(Error::Changed);
            }
            tx.announce(upload.image.as_str()).await?;
            // Last: all of the project's transactions wait for each other here.
            let owner = image.owner.as_ref().map(ProjectId::as_str);
            held.move_to(&mut tx, owner, holds).await?;
            this.commit_as(tx, &upload.image, Some(Arc::clone(&image)))
                .await?;
            this.leases.end(&attempt);
            Ok(image)
        })
        .await
    }

    /// Ends an attempt without a result: the image goes back to queued (unless it is deleted) and the bytes go to the
    /// garbage list, in one transaction. `None` when the attempt was ended already.
    ///
    /// The caller removes the bytes at once. Where the store had been told to publish them, the list has them removed
    /// once more a quarter of an hour later.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the lease will run out and recovery does the same.
    pub(crate) async fn roll_back(&self, attempt: &AttemptId) -> Result<Option<Garbage>> {
        let (this, attempt) = (self.clone(), attempt.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let Some((upload, held)) = this.take(&mut tx, &attempt).await? else {
                this.leases.end(&attempt);
                return Ok(None);
            };
            if let Some(from) = upload.purpose.status() {
                let to = Status::Queued;
                match status::change(&mut tx, &upload.image, from, to, Facts::Cleared).await {
                    Ok(()) | Err(Error::Missing | Error::Transition(_)) => {}
                    Err(e) => return Err(e),
                }
            }
            let parts = upload
                .upload_id
                .map_or(OpenParts::Unknown, OpenParts::Upload);
            let item = Garbage {
                store: upload.store,
                key: upload.key,
                parts,
            };
            // The store may still be at work on a publication whose answer did not come.
            let due_at = if upload.intent.is_some() {
                now().saturating_add(micros(LATEST_PUBLICATION))
            } else {
                now()
            };
            garbage::insert(&mut tx, &item, due_at).await?;
            held.give_back(&mut tx).await?;
            this.commit(tx, &upload.image).await?;
            this.leases.end(&attempt);
            Ok(Some(item))
        })
        .await
    }
}

/// The object is the image's data. Gives what the image counts for by it.
async fn activate(
    tx: &mut Connection,
    image: &ImageId,
    location: &Location,
    intent: &Intent,
) -> Result<Delta> {
    let facts = Facts::Set(&intent.facts);
    status::change(tx, image, Status::Saving, Status::Active, facts).await?;
    images::insert_location(tx, image, location).await?;
    Ok(Delta::bytes(signed(intent.facts.size)))
}

/// The object waits for an import. Gives what the image counts for by it.
async fn stage(
    tx: &mut Connection,
    image: &ImageId,
    location: &Location,
    intent: &Intent,
) -> Result<Delta> {
    let size = intent.facts.size;
    status::set_facts(tx, image, Status::Uploading, Facts::Sized(size)).await?;
    let object = StagedObject {
        position: staging::STAGED,
        location: location.clone(),
        reviewed: intent.clone(),
    };
    staging::insert(tx, image, &object).await?;
    Ok(Delta::staged(signed(size)))
}

/// What an attempt counted for, while its row is being removed.
struct Held {
    owner: Option<String>,
    counted: Delta,
}

impl Held {
    /// The owner of the attempt has it no longer.
    async fn give_back(self, tx: &mut Connection) -> Result<()> {
        usage::change(tx, self.owner.as_deref(), self.counted.gone()).await?;
        Ok(())
    }

    /// The same, and the image's owner has this instead. The two are one, unless the image was given away meanwhile.
    async fn move_to(self, tx: &mut Connection, owner: Option<&str>, holds: Delta) -> Result<()> {
        if self.owner.as_deref() == owner {
            usage::change(tx, owner, self.counted.gone().and(holds)).await?;
            return Ok(());
        }
        let mut steps = [(self.owner.as_deref(), self.counted.gone()), (owner, holds)];
        usage::change_in_order(tx, &mut steps).await
    }
}

impl Catalog {
    /// Removes an attempt's row and returns it with what it had reserved, which is still to be given back; `None` when it is
    /// gone or another process has it.
    async fn take(
        &self,
        tx: &mut Connection,
        attempt: &AttemptId,
    ) -> Result<Option<(Upload, Held)>> {
        let row = query("SELECT image_id FROM uploads WHERE attempt_id = $1")
            .bind(attempt.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        // The image's row before the attempt's: all who hold both take them in this order.
        rows::hold(tx, row.get("image_id")?).await?;
        let row = query("DELETE FROM uploads WHERE attempt_id = $1 AND node = $2 RETURNING *")
            .bind(attempt.as_str())
            .bind(&*self.node)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let upload = upload_of(&row)?;
        let held = Held {
            owner: row.get("owner")?,
            counted: Delta::attempt(upload.purpose, row.get("reserved_bytes")?),
        };
        Ok(Some((upload, held)))
    }
}
