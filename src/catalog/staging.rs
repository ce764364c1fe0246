//! Objects that belong to an image and are not its data yet: what was staged for an import (contract 6.2).
//!
//! A row is written in the transaction in which its attempt ends, and goes in the one that makes the object a location or
//! garbage. So an object always has one owner: an attempt, a row here, a location, or the garbage list.

use super::db::{Connection, Row, query};
use super::rows::{bad_row, signed};
use super::usage::Delta;
use super::{Garbage, Intent, OpenParts, Result, now};
use crate::image::{Image, ImageId, Location, Status};

/// Position of what a client has staged; copies that an import makes come behind.
pub(super) const STAGED: i64 = 0;

/// An object that waits to be an image's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedObject {
    /// Its place among those of the image.
    pub position: i64,
    /// Where it is.
    pub location: Location,
    /// What was found out about the data.
    pub reviewed: Intent,
}

/// What is staged of an image, what the client has staged first.
pub(super) async fn list(db: &mut Connection, image: &ImageId) -> Result<Vec<StagedObject>> {
    let rows = query("SELECT * FROM staged_objects WHERE image_id = $1 ORDER BY position")
        .bind(image.as_str())
        .fetch_all(db)
        .await?;
    let objects = rows.iter().map(|row| {
        Ok(StagedObject {
            position: row.get("position")?,
            location: Location {
                store: row.get::<String>("store")?.as_str().into(),
                key: row.get("object_key")?,
                etag: row.get("etag")?,
            },
            reviewed: serde_json::from_str(row.get("reviewed")?).map_err(bad_row)?,
        })
    });
    objects.collect()
}

/// Takes an object that has become a location from those of its image.
pub(super) async fn forget(tx: &mut Connection, image: &ImageId, position: i64) -> Result<()> {
    query("DELETE FROM staged_objects WHERE image_id = $1 AND position = $2")
        .bind(image.as_str())
        .bind(position)
        .execute(tx)
        .await?;
    Ok(())
}

/// Stores an object that waits.
pub(super) async fn insert(
    tx: &mut Connection,
    image: &ImageId,
    object: &StagedObject,
) -> Result<()> {
    let StagedObject {
        position,
        location,
        reviewed,
    } = object;
    let text = serde_json::to_string(reviewed).map_err(bad_row)?;
    query(
        "INSERT INTO staged_objects (image_id, position, store, object_key, etag, size, reviewed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(image.as_str())
    .bind(*position)
    .bind(location.store.as_str())
    .bind(&location.key)
    .bind(&location.etag)
    .bind(signed(reviewed.facts.size))
    .bind(text)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes all that is staged from its image and puts it in the garbage list.
pub(super) async fn give_up_all(tx: &mut Connection, image: &ImageId) -> Result<Vec<Garbage>> {
    let rows = query("DELETE FROM staged_objects WHERE image_id = $1 RETURNING store, object_key")
        .bind(image.as_str())
        .fetch_all(&mut *tx)
        .await?;
    let mut garbage = Vec::with_capacity(rows.len());
    for row in &rows {
        let item = garbage_of(row)?;
        super::garbage::insert(tx, &item, now()).await?;
        garbage.push(item);
    }
    Ok(garbage)
}

fn garbage_of(row: &Row) -> Result<Garbage> {
    Ok(Garbage {
        store: row.get::<String>("store")?.as_str().into(),
        key: row.get("object_key")?,
        parts: OpenParts::None,
    })
}

/// What an image counts for by what is staged of it.
pub(super) async fn held(tx: &mut Connection, image: &Image) -> Result<Delta> {
    if !matches!(image.status, Status::Uploading | Status::Importing) {
        return Ok(Delta::default());
    }
    let row = query(
        "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes, \
         CAST(COALESCE(SUM(CASE WHEN position = 0 THEN size ELSE 0 END), 0) AS BIGINT) AS staged, \
         CAST(COALESCE(SUM(CASE WHEN position = 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS uploads \
         FROM staged_objects WHERE image_id = $1",
    )
    .bind(image.id.as_str())
    .fetch_one(tx)
    .await?;
    Ok(Delta {
        bytes: row.get("bytes")?,
        staged: row.get("staged")?,
        uploads: row.get("uploads")?,
        ..Delta::default()
    })
}
