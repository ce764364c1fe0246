//! The other end of every failure: bytes without an image are removed, attempts without a worker are settled. The jobs
//! call this on a schedule, uploads and deletions at once.

use std::time::{Duration, SystemTime};

use super::publish::settle_published;
use super::{Error, Result, Transfers};
use crate::catalog::{self, Catalog, Garbage, OpenParts, Upload, now};
use crate::image::AttemptId;
use crate::store::{self, MultipartUpload, Store, Stores};
use crate::telemetry::labels::Direction;

/// When the store did not take a removal, the next try waits this long.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Rows of the garbage list per sweep.
const SWEEP: u32 = 100;

/// A multipart upload that no attempt owns is aborted at this age. The age protects a neighbour with the same prefix
/// and a catalog of its own.
const UNOWNED_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes one item, or leaves it in the list for later.
pub(super) async fn remove_or_defer(catalog: &Catalog, stores: &Stores, item: &Garbage) {
    let removed = match stores.find(item.store.as_str()) {
        Some(store) => remove(store, item).await.map_err(Error::from),
        None => Err(Error::StoreUnknown(item.store.to_string())),
    };
    let noted = match removed {
        Ok(()) => catalog.forget_garbage(item).await,
        Err(e) => {
            tracing::warn!(store.id = %item.store, object.key = item.key, error = &e as &dyn std::error::Error, "bytes not removed, will try again");
            let again = i64::try_from(AGAIN_AFTER.as_micros()).unwrap_or(i64::MAX);
            catalog
                .defer_garbage(item, now().saturating_add(again))
                .await
        }
    };
    if let Err(e) = noted {
        tracing::warn!(
            error = &e as &dyn std::error::Error,
            "garbage list not updated, the removal will be repeated"
        );
    }
}

async fn remove(store: &Store, item: &Garbage) -> Result<(), store::Error> {
    let open = match &item.parts {
        OpenParts::None => Vec::new(),
        OpenParts::Upload(id) => vec![MultipartUpload {
            key: item.key.clone(),
            upload_id: id.clone(),
        }],
        OpenParts::Unknown => store
            .list_uploads(&item.key)
            .await?
            .into_iter()
            .map(|open| open.upload)
            .collect(),
    };
    for upload in open.into_iter().filter(|upload| upload.key == item.key) {
        store.abort_upload(&upload).await?;
    }
    store.delete(&item.key).await
}

impl Transfers {
    /// Settles every attempt nobody works on: forward when the object is whole and as intended, else back.
    ///
    /// # Errors
    /// When the catalog or a store is away; what was not settled is tried again.
    pub async fn recover(&self) -> Result<()> {
        for upload in self.catalog.list_abandoned_uploads().await? {
            let direction = match self.recover_attempt(&upload).await {
                Ok(direction) => direction,
                // One store that is away must not hold up the others.
                Err(e) => {
                    tracing::warn!(image.id = %upload.image, store.id = %upload.store, error = &e as &dyn std::error::Error, "upload not settled, will try again");
                    continue;
                }
            };
            tracing::info!(image.id = %upload.image, upload.attempt = %upload.attempt, direction = direction.as_str(), "settled an upload that broke off");
            self.metrics.recovered(direction);
        }
        Ok(())
    }

    async fn recover_attempt(&self, upload: &Upload) -> Result<Direction> {
        if let Some(intent) = &upload.intent {
            let store = self.stores.find(upload.store.as_str());
            let store = store.ok_or_else(|| Error::StoreUnknown(upload.store.to_string()))?;
            if let Some(etag) = settle_published(store, upload, &intent.facts).await? {
                match self
                    .catalog
                    .finish_upload(&upload.attempt, intent, etag)
                    .await
                {
                    Ok(_) => return Ok(Direction::Forward),
                    Err(
                        catalog::Error::Missing
                        | catalog::Error::Changed
                        | catalog::Error::LeaseLost,
                    ) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        if let Some(garbage) = self.catalog.roll_back(&upload.attempt).await? {
            remove_or_defer(&self.catalog, &self.stores, &garbage).await;
        }
        Ok(Direction::Back)
    }

    /// Removes what is due on the garbage list.
    ///
    /// # Errors
    /// When the catalog is away.
    pub async fn sweep(&self) -> Result<()> {
        for item in self.catalog.list_garbage(SWEEP).await? {
            remove_or_defer(&self.catalog, &self.stores, &item).await;
        }
        Ok(())
    }

    /// Aborts old multipart uploads under our prefixes that belong to no attempt: what a lost answer of a store or a
    /// lost catalog leaves. Keys that are not of our making are left alone.
    ///
    /// # Errors
    /// The last of what went wrong; a store that is away does not keep the others waiting.
    pub async fn reap(&self) -> Result<()> {
        let mut outcome = Ok(());
        for store in self.stores.iter() {
            if let Err(e) = self.reap_store(store).await {
                outcome = Err(e);
            }
        }
        outcome
    }

    async fn reap_store(&self, store: &Store) -> Result<()> {
        for open in store.list_uploads(store.prefix()).await? {
            let Some(attempt) = attempt_of(&open.upload.key, store.prefix()) else {
                continue;
            };
            let age = open
                .initiated
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            if age.is_none_or(|age| age < UNOWNED_AGE)
                || self.catalog.is_upload_known(&attempt).await?
            {
                continue;
            }
            store.abort_upload(&open.upload).await?;
            tracing::info!(
                store.id = store.name(),
                object.key = open.upload.key,
                "aborted a multipart upload that nobody owns"
            );
            self.metrics.upload_reaped(store.name());
        }
        Ok(())
    }
}

/// The attempt in a key of ours, `{prefix}{image id}/{attempt id}`.
fn attempt_of(key: &str, prefix: &str) -> Option<AttemptId> {
    let (image, attempt) = key.strip_prefix(prefix)?.split_once('/')?;
    let is_ours = image.parse::<crate::image::ImageId>().is_ok()
        && attempt.len() == 32
        && attempt.bytes().all(|b| b.is_ascii_hexdigit());
    is_ours.then(|| attempt.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_our_making_name_an_attempt() {
        let image = "0a1b2c3d-0000-4000-8000-00000000abcd";
        let attempt = "00112233445566778899aabbccddeeff";
        assert_eq!(
            attempt_of(&format!("p/{image}/{attempt}"), "p/"),
            Some(attempt.into())
        );
        for foreign in [
            format!("{image}/{attempt}"),
            format!("p/{image}"),
            format!("p/x/{attempt}"),
            format!("p/{image}/backup.tar"),
        ] {
            assert_eq!(attempt_of(&foreign, "p/"), None, "{foreign}");
        }
    }
}
