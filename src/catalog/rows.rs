//! Rows to records and back.
//!
//! A record stands in five tables. It is read by one statement that answers one row, however many records are asked for:
//! each row of an answer costs a hand-over between threads, and what one statement reads is of one moment.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use super::db::{Builder, Connection, Words, query};
use super::{Error, Result};
use crate::image::{Image, ImageId, Location, Micros};

/// A record as an array, in the order of [`Record`].
fn record(words: &Words) -> String {
    let (array, rows) = (words.json_array, words.json_of_rows);
    format!(
        "{array}(i.id, i.name, i.status, i.visibility, i.owner, CAST(i.protected AS INTEGER), \
         CAST(i.os_hidden AS INTEGER), i.disk_format, i.container_format, i.min_disk, i.min_ram, i.size, i.virtual_size, \
         i.checksum, i.os_hash_algo, i.os_hash_value, i.created_at, i.updated_at, \
         (SELECT {tags} FROM image_tags t WHERE t.image_id = i.id), \
         (SELECT {properties} FROM image_properties p WHERE p.image_id = i.id), \
         (SELECT {locations} FROM image_locations l WHERE l.image_id = i.id), \
         (SELECT {members} FROM image_members m WHERE m.image_id = i.id AND i.visibility = 'shared'))",
        tags = rows("t.value"),
        properties = rows(&format!("{array}(p.name, p.value)")),
        locations = rows(&format!(
            "{array}(l.position, l.store, l.object_key, l.etag)"
        )),
        members = rows("m.member_id"),
    )
}

/// What of a record has no narrow bound of its own, in bytes; [`Image::text_bytes`] of a record that is not read yet.
const TEXT_BYTES: &str = "(\
    COALESCE((SELECT SUM(octet_length(p.name) + COALESCE(octet_length(p.value), 0)) FROM image_properties p \
       WHERE p.image_id = i.id), 0) \
    + COALESCE((SELECT SUM(octet_length(t.value)) FROM image_tags t WHERE t.image_id = i.id), 0) \
    + COALESCE((SELECT SUM(octet_length(m.member_id)) FROM image_members m \
       WHERE m.image_id = i.id AND i.visibility = 'shared'), 0))";

pub(super) fn bad_row(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(e))
}

fn bytes(value: Option<i64>) -> Result<Option<u64>> {
    value.map(u64::try_from).transpose().map_err(bad_row)
}

/// A size as the database takes it.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A span of time as the database takes it.
pub(super) fn micros(time: Duration) -> Micros {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[derive(Deserialize)]
struct Record {
    id: String,
    name: Option<String>,
    status: String,
    visibility: String,
    owner: Option<String>,
    protected: i64,
    os_hidden: i64,
    disk_format: Option<String>,
    container_format: Option<String>,
    min_disk: i64,
    min_ram: i64,
    size: Option<i64>,
    virtual_size: Option<i64>,
    checksum: Option<String>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
    created_at: Micros,
    updated_at: Micros,
    tags: Vec<String>,
    properties: Vec<(String, Option<String>)>,
    locations: Vec<(i64, String, String, Option<String>)>,
    members: Vec<String>,
}

impl Record {
    fn into_image(mut self) -> Result<Image> {
        self.locations.sort_unstable();
        let location = |(_, store, key, etag): (i64, String, String, Option<String>)| Location {
            store: store.as_str().into(),
            key,
            etag,
        };
        Ok(Image {
            id: self.id.parse().map_err(bad_row)?,
            name: self.name,
            status: self.status.parse().map_err(bad_row)?,
            visibility: self.visibility.parse().map_err(bad_row)?,
            owner: self.owner.map(|owner| owner.as_str().into()),
            protected: self.protected != 0,
            os_hidden: self.os_hidden != 0,
            disk_format: self.disk_format,
            container_format: self.container_format,
            min_disk: self.min_disk,
            min_ram: self.min_ram,
            size: bytes(self.size)?,
            virtual_size: bytes(self.virtual_size)?,
            checksum: self.checksum,
            os_hash_algo: self.os_hash_algo,
            os_hash_value: self.os_hash_value,
            created_at: self.created_at,
            updated_at: self.updated_at,
            tags: self.tags.into_iter().collect(),
            properties: self.properties.into_iter().collect(),
            locations: self.locations.into_iter().map(location).collect(),
            members: self.members.iter().map(|id| id.as_str().into()).collect(),
        })
    }
}

/// One live image with all that belongs to it.
pub(super) async fn load(db: &mut Connection, id: &ImageId) -> Result<Option<Image>> {
    Ok(load_all(db, &[id]).await?.pop())
}

/// The same, held by this transaction, so that what it says stays true to the end.
pub(super) async fn lock(tx: &mut Connection, id: &ImageId) -> Result<Option<Image>> {
    hold(tx, id.as_str()).await?;
    load(tx, id).await
}

/// Holds an image's row where others could write it; everything that belongs to an image is written under it.
pub(super) async fn hold(tx: &mut Connection, id: &str) -> Result<()> {
    if !tx.words().locking.is_empty() {
        let row = query("SELECT id FROM images WHERE id = $1").bind(id);
        row.locking(tx).fetch_optional(tx).await?;
    }
    Ok(())
}

/// The live ones of these images, in any order.
pub(super) async fn load_all(db: &mut Connection, ids: &[&ImageId]) -> Result<Vec<Image>> {
    let words = db.words();
    let records = (words.json_of_rows)(&record(words));
    let mut query = Builder::new(format!("SELECT CAST({records} AS TEXT) AS records"));
    push_of_images(&mut query, ids);
    let row = query.build().fetch_one(db).await?;
    let records: Vec<Record> = serde_json::from_str(row.get("records")?).map_err(bad_row)?;
    records.into_iter().map(Record::into_image).collect()
}

/// How large the live ones of these images are, before they are read.
pub(super) async fn text_bytes(
    db: &mut Connection,
    ids: &[&ImageId],
) -> Result<HashMap<String, u64>> {
    let words = db.words();
    let sizes = (words.json_of_rows)(&format!("{}(i.id, {TEXT_BYTES})", words.json_array));
    let mut query = Builder::new(format!("SELECT CAST({sizes} AS TEXT) AS sizes"));
    push_of_images(&mut query, ids);
    let row = query.build().fetch_one(db).await?;
    let sizes: Vec<(String, u64)> = serde_json::from_str(row.get("sizes")?).map_err(bad_row)?;
    Ok(sizes.into_iter().collect())
}

fn push_of_images(query: &mut Builder, ids: &[&ImageId]) {
    query.push(" FROM images i WHERE i.deleted_at IS NULL AND i.id IN (");
    query.push_list(ids.iter().map(|id| id.as_str().to_owned()));
    query.push(")");
}
