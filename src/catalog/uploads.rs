//! Uploads under way: leases, and the compare-and-set steps from queued to active, or to staged, or back.
//!
//! ```text
//! begin ─▶ (note_multipart, renew, reserve)* ─▶ intend ─▶ finish      image active, or its data staged
//!    └──────────────── roll_back ──────────────────┘                  image queued, bytes in the garbage list
//! ```
//! What is done before the intent does not wait for the disk: lost in a power cut, the upload is lost as well, and nothing was
//! published. The intent is on the disk before that, and what came before it too.
//!
//! A row exists as long as an attempt does. Its lease says that somebody works on it; a row whose lease ran out, or
//! whose process is gone, belongs to whoever finds it.

mod abandoned;
mod end;
mod purpose;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::db::{Builder, Connection, Row, query};
use super::rows::{self, bad_row, micros, signed};
use super::status::{self, Facts};
use super::usage::{self, Delta, Usage};
use super::{Catalog, Error, Judge, Limits, Result, imports};
use crate::image::{AttemptId, DataFacts, Image, ImageId, ProjectId, Status, StoreId};
pub(crate) use abandoned::{Abandoned, Lapsed};
pub(crate) use purpose::Purpose;

/// What an upload needs to begin.
#[derive(Debug, Clone)]
pub(crate) struct NewUpload {
    /// The new attempt.
    pub attempt: AttemptId,
    /// What it is for.
    pub purpose: Purpose,
    /// The image it is for.
    pub image: ImageId,
    /// The task that it works for; `None` for a client's own upload.
    pub task: Option<String>,
    /// The store that will hold the object.
    pub store: StoreId,
    /// The object's key.
    pub key: String,
    /// How long the attempt lives without a renewal.
    pub lease: Duration,
    /// Declared size in bytes, counted against the quota from now on; 0 when unknown.
    pub reserve: u64,
    /// What the owner may hold.
    pub limits: Limits,
}

/// An attempt as its row has it.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    /// The attempt.
    pub attempt: AttemptId,
    /// What it is for.
    pub purpose: Purpose,
    /// The image it is for.
    pub image: ImageId,
    /// The task that it works for; `None` for a client's own upload.
    pub task: Option<String>,
    /// The store that holds the object or its parts.
    pub store: StoreId,
    /// The object's key.
    pub key: String,
    /// The multipart upload, once the store has named it.
    pub upload_id: Option<String>,
    /// What the object must be, once the bytes have been reviewed.
    pub intent: Option<Intent>,
}

/// The reviewed result, recorded before the store is told to publish the object: recovery compares the object with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// What the record will say of the data.
    pub facts: DataFacts,
    /// What the data was judged as; `None` in a row of a release before this field.
    #[serde(default)]
    pub judged_as: Option<Formats>,
    /// Whether the plugins of the import have had it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_processed: bool,
    /// Why the image must not have the data, where an import tells that and not the upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// The formats of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Formats {
    disk: Option<String>,
    container: Option<String>,
}

impl Formats {
    /// Those of this record.
    pub(crate) fn of(image: &Image) -> Self {
        Self {
            disk: image.disk_format.clone(),
            container: image.container_format.clone(),
        }
    }
}

/// What became of a reservation.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// So many bytes are reserved in all.
    Bytes(u64),
    /// Nothing has changed. The quota is full, but not only with what is there: other uploads of the owner have reserved
    /// some of it, and one of those gives way first. The error is what to say when nothing becomes free.
    Contended(Error),
}

/// An upload reserves at most this part of what is left beyond its need, so that those at once do not exhaust the quota
/// with what none of them uses.
const SHARE_OF_ROOM: u64 = 16;

impl Catalog {
    /// Takes the image from queued to saving, or to uploading, and opens the attempt's row, in one transaction. Gives the record that it
    /// was judged on: from here to the end of the attempt its formats stay.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Transition`] for the loser of a race, [`Error::OverQuota`], [`Error::OverLimit`], [`Error::FormatsMissing`],
    /// [`Error::Missing`]; nothing is changed then.
    pub(crate) async fn begin_upload(&self, new: NewUpload, judge: Judge) -> Result<Arc<Image>> {
        let this = self.clone();
        self.detached(async move {
            let lease = this.leases.begin(&new.attempt, new.lease);
            let mut tx = this.db.write_soon().await?;
            let image = rows::lock(&mut tx, &new.image).await?.ok_or(Error::Missing)?;
            judge(&image)?;
            if let Some(status) = new.purpose.status() {
                image.status.check_transition(status)?;
            } else if !new.purpose.is_wanted(image.status) {
                return Err(Error::Missing);
            }
            if new.task.as_ref().is_some_and(|task| !imports::is_of(&image, task)) {
                return Err(Error::LeaseLost);
            }
            if !image.missing_formats().is_empty() {
                return Err(Error::FormatsMissing);
            }
            if let Some(to) = new.purpose.status() {
                let from = Status::Queued;
                status::change(&mut tx, &new.image, from, to, Facts::Cleared).await?;
            }
            let owner = image.owner.as_ref().map(ProjectId::as_str);
            let reserve = signed(new.reserve);
            let mut row = Builder::new(
                "INSERT INTO uploads (attempt_id, image_id, owner, task_id, purpose, node, store, object_key, reserved_bytes, lease_until) \
                 VALUES (",
            );
            let texts = [new.attempt.as_str(), new.image.as_str()];
            row.push_list(texts).push(", ").push_bind(owner);
            row.push(", ").push_bind(new.task.as_deref()).push(", ");
            row.push_list([new.purpose.as_str(), &*this.node, new.store.as_str(), &new.key]);
            row.push(", ").push_bind(reserve).push(", ");
            push_lease_end(&mut row, &tx, new.lease).push(")");
            row.build().execute(&mut tx).await?;
            tx.announce(new.image.as_str()).await?;
            // Last: all of the project's transactions wait for each other here.
            let usage = usage::change(&mut tx, owner, Delta::attempt(new.purpose, reserve)).await?;
            new.limits.check_bytes(owner, usage, new.reserve)?;
            new.limits.check_uploading(owner, usage)?;
            let begun = this.commit(tx, &new.image).await?.ok_or(Error::Missing)?;
            lease.keep();
            Ok(begun)
        })
        .await
    }

    /// Moves the end of the lease.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the row is gone, or another process has taken it.
    pub(crate) async fn renew_lease(&self, attempt: &AttemptId, lease: Duration) -> Result<()> {
        let (this, attempt) = (self.clone(), attempt.clone());
        self.detached(async move {
            let mut tx = this.db.write_soon().await?;
            let mut row = Builder::new("UPDATE uploads SET lease_until = ");
            push_lease_end(&mut row, &tx, lease);
            row.push(" WHERE attempt_id = ").push_bind(attempt.as_str());
            row.push(" AND node = ").push_bind(&*this.node);
            let renewed = row.build().execute(&mut tx).await?;
            tx.commit().await?;
            if renewed == 0 {
                return Err(Error::LeaseLost);
            }
            this.leases.hold(&attempt, lease);
            Ok(())
        })
        .await
    }

    /// Raises what the attempt counts against its owner's quota to `bytes` in all, and a little more as long as there is
    /// room: at most `ahead` bytes, and a sixteenth of what is left.
    ///
    /// # Errors
    /// [`Error::OverQuota`], [`Error::OverLimit`]; [`Error::LeaseLost`].
    pub(crate) async fn reserve(
        &self,
        attempt: &AttemptId,
        bytes: u64,
        ahead: u64,
        limits: Limits,
    ) -> Result<Reserved> {
        let (this, attempt) = (self.clone(), attempt.clone());
        self.detached(async move {
            let mut tx = this.db.write_soon().await?;
            let (owner, usage) = this.set_reserved(&mut tx, &attempt, bytes).await?;
            let owner = owner.as_deref();
            let Some(usage) = usage else {
                return Ok(Reserved::Bytes(bytes));
            };
            if let Err(full) = limits.check_bytes(owner, usage, bytes) {
                let waits = has_later(&mut tx, owner, &attempt).await?;
                return if waits {
                    Ok(Reserved::Contended(full))
                } else {
                    Err(full)
                };
            }
            let room = limits.room(usage);
            let ahead = room.map_or(ahead, |room| ahead.min(room / SHARE_OF_ROOM));
            this.set_reserved(&mut tx, &attempt, bytes + ahead).await?;
            tx.commit().await?;
            Ok(Reserved::Bytes(bytes + ahead))
        })
        .await
    }

    /// Remembers the multipart upload, so that recovery can abort it.
    ///
    /// # Errors
    /// [`Error::LeaseLost`].
    pub(crate) async fn note_multipart(&self, attempt: &AttemptId, upload_id: &str) -> Result<()> {
        let (this, attempt, upload_id) = (self.clone(), attempt.clone(), upload_id.to_owned());
        self.detached(async move {
            let mut tx = this.db.write_soon().await?;
            let noted =
                query("UPDATE uploads SET upload_id = $1 WHERE attempt_id = $2 AND node = $3")
                    .bind(upload_id)
                    .bind(attempt.as_str())
                    .bind(&*this.node)
                    .execute(&mut tx)
                    .await?;
            tx.commit().await?;
            if noted == 0 {
                Err(Error::LeaseLost)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Records the reviewed result and settles the reservation. From here on a crash can roll forward.
    ///
    /// # Errors
    /// [`Error::Missing`] when the image was deleted meanwhile, [`Error::OverQuota`], [`Error::OverLimit`],
    /// [`Error::LeaseLost`].
    pub(crate) async fn record_intent(
        &self,
        attempt: &AttemptId,
        intent: &Intent,
        limits: Limits,
    ) -> Result<()> {
        let (this, attempt, intent) = (self.clone(), attempt.clone(), intent.clone());
        self.detached(async move {
            let text = serde_json::to_string(&intent).map_err(bad_row)?;
            let mut tx = this.db.write().await?;
            let size = intent.facts.size;
            let (owner, usage) = this.set_reserved(&mut tx, &attempt, size).await?;
            if let Some(usage) = usage {
                limits.check_bytes(owner.as_deref(), usage, size)?;
            }
            let row = query(
                "UPDATE uploads SET intent = $1 WHERE attempt_id = $2 RETURNING purpose, \
                 (SELECT status FROM images WHERE id = uploads.image_id) AS status",
            )
            .bind(text)
            .bind(attempt.as_str())
            .fetch_one(&mut tx)
            .await?;
            let purpose: Purpose = row.get::<String>("purpose")?.parse().map_err(bad_row)?;
            let status: Option<String> = row.get("status")?;
            let status: Status = status.ok_or(Error::Missing)?.parse().map_err(bad_row)?;
            tx.commit().await?;
            purpose
                .is_wanted(status)
                .then_some(())
                .ok_or(Error::Missing)
        })
        .await
    }
}

fn upload_of(row: &Row) -> Result<Upload> {
    let intent: Option<String> = row.get("intent")?;
    Ok(Upload {
        attempt: row.get::<String>("attempt_id")?.as_str().into(),
        purpose: row.get::<String>("purpose")?.parse().map_err(bad_row)?,
        image: row.get::<String>("image_id")?.parse().map_err(bad_row)?,
        task: row.get("task_id")?,
        store: row.get::<String>("store")?.as_str().into(),
        key: row.get("object_key")?,
        upload_id: row.get("upload_id")?,
        intent: intent
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(bad_row)?,
    })
}

/// The end of a lease that begins now.
fn push_lease_end<'a>(query: &'a mut Builder, db: &Connection, lease: Duration) -> &'a mut Builder {
    query
        .push(db.words().now)
        .push(" + ")
        .push_bind(micros(lease))
}

impl Catalog {
    /// Sets what an attempt has reserved, bytes; gives the owner and what he holds then, if that is not what it was.
    async fn set_reserved(
        &self,
        tx: &mut Connection,
        attempt: &AttemptId,
        bytes: u64,
    ) -> Result<(Option<String>, Option<Usage>)> {
        let row =
            query("SELECT owner, purpose, reserved_bytes FROM uploads WHERE attempt_id = $1 AND node = $2")
                .bind(attempt.as_str())
                .bind(&*self.node)
                .locking(tx)
                .fetch_optional(&mut *tx)
                .await?
                .ok_or(Error::LeaseLost)?;
        let owner: Option<String> = row.get("owner")?;
        let more = signed(bytes) - row.get::<i64>("reserved_bytes")?;
        if more == 0 {
            return Ok((owner, None));
        }
        query("UPDATE uploads SET reserved_bytes = $1 WHERE attempt_id = $2")
            .bind(signed(bytes))
            .bind(attempt.as_str())
            .execute(&mut *tx)
            .await?;
        let purpose: Purpose = row.get::<String>("purpose")?.parse().map_err(bad_row)?;
        let usage = usage::change(tx, owner.as_deref(), Delta::reserved(purpose, more)).await?;
        Ok((owner, Some(usage)))
    }
}

/// Whether the owner has an upload that gives way to this one. Any order serves as long as all agree on it: the last one
/// fails alone, and what it had reserved serves the others.
async fn has_later(tx: &mut Connection, owner: Option<&str>, attempt: &AttemptId) -> Result<bool> {
    let later = query(
        "SELECT 1 FROM uploads WHERE owner IS NOT DISTINCT FROM $1 AND attempt_id > $2 AND reserved_bytes > 0 LIMIT 1",
    )
    .bind(owner)
    .bind(attempt.as_str())
    .fetch_optional(tx)
    .await?;
    Ok(later.is_some())
}
