//! What clients see of an import: three properties that only the service writes (contract 6.3).

use crate::catalog::db::{Connection, query};
use crate::catalog::{Result, after, images};
use crate::image::{Image, StoreId};

/// The task at work on an image; gone when it has ended.
pub(crate) const ACTIVE_TASK: &str = "os_glance_import_task";

/// The stores that are still to get the data. Empty in the end, and there: clients test for that.
const IMPORTING: &str = "os_glance_importing_to_stores";

/// The stores that did not get it.
const FAILED: &str = "os_glance_failed_import";

/// The import begins.
pub(super) async fn begin(
    tx: &mut Connection,
    image: &Image,
    task: &str,
    stores: &[StoreId],
) -> Result<()> {
    set(tx, image, ACTIVE_TASK, task).await?;
    set(tx, image, IMPORTING, &joined(stores)).await?;
    set(tx, image, FAILED, "").await
}

/// A store has the data.
pub(super) async fn has_copied(tx: &mut Connection, image: &Image, store: &StoreId) -> Result<()> {
    let left = without(&listed(image, IMPORTING), store);
    set(tx, image, IMPORTING, &joined(&left)).await?;
    touch(tx, image).await
}

/// A store does not get the data.
pub(super) async fn has_failed(tx: &mut Connection, image: &Image, store: &StoreId) -> Result<()> {
    let mut failed = failed_stores(image);
    failed.push(store.clone());
    set(tx, image, FAILED, &joined(&failed)).await?;
    has_copied(tx, image, store).await
}

/// These stores are still to get the data.
pub(super) async fn set_importing(
    tx: &mut Connection,
    image: &Image,
    stores: &[StoreId],
) -> Result<()> {
    set(tx, image, IMPORTING, &joined(stores)).await
}

/// The import is over: no store is to get anything. One that has failed before any store did has failed for all of them.
pub(in crate::catalog) async fn end(
    tx: &mut Connection,
    image: &Image,
    has_succeeded: bool,
) -> Result<()> {
    if !has_succeeded {
        let mut failed = failed_stores(image);
        if failed.is_empty() {
            failed = listed(image, IMPORTING);
        }
        set(tx, image, FAILED, &joined(&failed)).await?;
    }
    set(tx, image, IMPORTING, "").await?;
    query("DELETE FROM image_properties WHERE image_id = $1 AND name = $2")
        .bind(image.id.as_str())
        .bind(ACTIVE_TASK)
        .execute(&mut *tx)
        .await?;
    touch(tx, image).await
}

/// The stores that are still to get the data.
pub(crate) fn importing_stores(image: &Image) -> Vec<StoreId> {
    listed(image, IMPORTING)
}

/// Whether this task is the one at work on an image.
pub(in crate::catalog) fn is_of(image: &Image, task: &str) -> bool {
    let active = image.properties.get(ACTIVE_TASK);
    active.and_then(Option::as_deref) == Some(task)
}

/// The stores that did not get the data so far.
pub(crate) fn failed_stores(image: &Image) -> Vec<StoreId> {
    listed(image, FAILED)
}

/// Notes that the record has changed: lists tell by the time whether a record in memory is the one they found.
async fn touch(tx: &mut Connection, image: &Image) -> Result<()> {
    let now = after(image.updated_at);
    query("UPDATE images SET updated_at = CASE WHEN updated_at < $1 THEN $1 ELSE updated_at + 1 END WHERE id = $2")
        .bind(now)
        .bind(image.id.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

async fn set(tx: &mut Connection, image: &Image, name: &str, value: &str) -> Result<()> {
    images::put_property(tx, image, name, Some(value)).await
}

fn listed(image: &Image, name: &str) -> Vec<StoreId> {
    let text = image.properties.get(name).and_then(Option::as_deref);
    let names = text.unwrap_or_default().split(',');
    names
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect()
}

fn without(stores: &[StoreId], store: &StoreId) -> Vec<StoreId> {
    stores.iter().filter(|it| *it != store).cloned().collect()
}

fn joined(stores: &[StoreId]) -> String {
    let names: Vec<&str> = stores.iter().map(StoreId::as_str).collect();
    names.join(",")
}
