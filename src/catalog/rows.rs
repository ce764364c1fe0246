//! Rows to records and back.
//!
//! A record stands in five tables. It is read by one statement that answers one row, however many records are asked for:
//! each row of an answer costs a hand-over between threads, and what one statement reads is of one moment.

use std::collections::HashMap;

use serde::Deserialize;

use super::db::{Builder, Connection};
use super::{Error, Result};
use crate::image::{Image, ImageId, Location, Micros};

/// A record as an array, in the order of [`Record`].
const RECORD: &str = "json_array(i.id, i.name, i.status, i.visibility, i.owner, i.protected, i.os_hidden, i.disk_format, \
    i.container_format, i.min_disk, i.min_ram, i.size, i.virtual_size, i.checksum, i.os_hash_algo, i.os_hash_value, \
    i.created_at, i.updated_at, \
    (SELECT json_group_array(t.value) FROM image_tags t WHERE t.image_id = i.id), \
    (SELECT json_group_array(json_array(p.name, p.value)) FROM image_properties p WHERE p.image_id = i.id), \
    (SELECT json_group_array(json_array(l.position, l.store, l.object_key, l.etag)) FROM image_locations l \
       WHERE l.image_id = i.id), \
    (SELECT json_group_array(m.member_id) FROM image_members m \
       WHERE m.image_id = i.id AND i.visibility = 'shared'))";

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

/// The live ones of these images, in any order.
pub(super) async fn load_all(db: &mut Connection, ids: &[&ImageId]) -> Result<Vec<Image>> {
    let mut query = Builder::new("SELECT json_group_array(");
    query.push(RECORD).push(") AS records");
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
    let mut query = Builder::new("SELECT json_group_array(json_array(i.id, ");
    query.push(TEXT_BYTES).push(")) AS sizes");
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
