//! Rows to records and back.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Error, Result};
use crate::image::{Image, ImageId, Location, ProjectId, Visibility};

/// The columns of an image, in the order [`image_of`] expects none of: they are read by name.
pub(super) const COLUMNS: &str = "id, name, status, visibility, owner, protected, os_hidden, disk_format, \
    container_format, min_disk, min_ram, size, virtual_size, checksum, os_hash_algo, os_hash_value, created_at, \
    updated_at";

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

/// The record of a row of `images`, without what stands in other tables.
fn image_of(row: &SqliteRow) -> Result<Image> {
    Ok(Image {
        id: row.try_get::<String, _>("id")?.parse().map_err(bad_row)?,
        name: row.try_get("name")?,
        status: row
            .try_get::<String, _>("status")?
            .parse()
            .map_err(bad_row)?,
        visibility: row
            .try_get::<String, _>("visibility")?
            .parse()
            .map_err(bad_row)?,
        owner: row
            .try_get::<Option<String>, _>("owner")?
            .map(|owner| owner.as_str().into()),
        protected: row.try_get("protected")?,
        os_hidden: row.try_get("os_hidden")?,
        disk_format: row.try_get("disk_format")?,
        container_format: row.try_get("container_format")?,
        min_disk: row.try_get("min_disk")?,
        min_ram: row.try_get("min_ram")?,
        size: bytes(row.try_get("size")?)?,
        virtual_size: bytes(row.try_get("virtual_size")?)?,
        checksum: row.try_get("checksum")?,
        os_hash_algo: row.try_get("os_hash_algo")?,
        os_hash_value: row.try_get("os_hash_value")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        tags: Default::default(),
        properties: Default::default(),
        locations: Vec::new(),
        members: Default::default(),
    })
}

/// One live image with all that belongs to it.
pub(super) async fn load(db: &mut SqliteConnection, id: &ImageId) -> Result<Option<Image>> {
    let mut select = QueryBuilder::<Sqlite>::new("SELECT ");
    select
        .push(COLUMNS)
        .push(" FROM images WHERE deleted_at IS NULL AND id = ")
        .push_bind(id.as_str());
    let Some(row) = select.build().fetch_optional(&mut *db).await? else {
        return Ok(None);
    };
    let mut images = [image_of(&row)?];
    attach(db, &mut images).await?;
    let [mut image] = images;
    if image.visibility == Visibility::Shared {
        let rows = sqlx::query("SELECT member_id FROM image_members WHERE image_id = $1")
            .bind(id.as_str())
            .fetch_all(db)
            .await?;
        for row in rows {
            let member: String = row.try_get("member_id")?;
            image.members.insert(member.as_str().into());
        }
    }
    Ok(Some(image))
}

/// The records of a page of rows, with the membership of one project.
pub(super) async fn load_page(
    db: &mut SqliteConnection,
    rows: &[SqliteRow],
    project: Option<&ProjectId>,
) -> Result<Vec<Image>> {
    let mut images = rows.iter().map(image_of).collect::<Result<Vec<_>>>()?;
    attach(db, &mut images).await?;
    let is_foreign = |image: &&mut Image| {
        image.visibility == Visibility::Shared && image.owner.as_ref() != project
    };
    let Some(project) = project else {
        return Ok(images);
    };
    let mut foreign: Vec<&mut Image> = images.iter_mut().filter(is_foreign).collect();
    if foreign.is_empty() {
        return Ok(images);
    }
    let mut query =
        QueryBuilder::<Sqlite>::new("SELECT image_id FROM image_members WHERE member_id = ");
    query.push_bind(project.as_str()).push(" AND image_id IN (");
    let mut ids = query.separated(", ");
    for image in &foreign {
        ids.push_bind(image.id.to_string());
    }
    query.push(")");
    for row in query.build().fetch_all(db).await? {
        let id: String = row.try_get("image_id")?;
        if let Some(image) = foreign.iter_mut().find(|image| image.id.as_str() == id) {
            image.members.insert(project.clone());
        }
    }
    Ok(images)
}

/// Adds tags, properties and locations: three statements for a page, whatever its length.
async fn attach(db: &mut SqliteConnection, images: &mut [Image]) -> Result<()> {
    if images.is_empty() {
        return Ok(());
    }
    let places: HashMap<String, usize> = images
        .iter()
        .enumerate()
        .map(|(place, image)| (image.id.to_string(), place))
        .collect();

    for row in of_images(db, "SELECT image_id, value FROM image_tags", "", images).await? {
        let place = places[&row.try_get::<String, _>("image_id")?];
        images[place].tags.insert(row.try_get("value")?);
    }
    for row in of_images(
        db,
        "SELECT image_id, name, value FROM image_properties",
        "",
        images,
    )
    .await?
    {
        let place = places[&row.try_get::<String, _>("image_id")?];
        images[place]
            .properties
            .insert(row.try_get("name")?, row.try_get("value")?);
    }
    let select = "SELECT image_id, store, object_key, etag FROM image_locations";
    for row in of_images(db, select, " ORDER BY position", images).await? {
        let place = places[&row.try_get::<String, _>("image_id")?];
        images[place].locations.push(Location {
            store: row.try_get::<String, _>("store")?.as_str().into(),
            key: row.try_get("object_key")?,
            etag: row.try_get("etag")?,
        });
    }
    Ok(())
}

async fn of_images(
    db: &mut SqliteConnection,
    select: &'static str,
    order: &'static str,
    images: &[Image],
) -> Result<Vec<SqliteRow>> {
    let mut query = QueryBuilder::<Sqlite>::new(select);
    query.push(" WHERE image_id IN (");
    let mut ids = query.separated(", ");
    for image in images {
        ids.push_bind(image.id.as_str());
    }
    query.push(")").push(order);
    Ok(query.build().fetch_all(db).await?)
}
