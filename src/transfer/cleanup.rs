//! The other end of every failure: bytes without an image are removed, attempts without a worker are settled. Uploads and
//! deletions call this at once, the jobs for what is left.

use std::time::Duration;

use super::publish::settle_published;
use super::{Error, Result, Transfers};
use crate::catalog::{self, Abandoned, Catalog, Garbage, OpenParts, now};
use crate::store::{self, MultipartUpload, Store, Stores};

/// How long an attempt is taken over for. Where that is too short, another process settles it as well, and one of the two wins.
const CLAIM: Duration = Duration::from_secs(10);

/// How an attempt was settled that nobody works on.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The object is whole and as intended: the image has it.
    Forward,
    /// The image is queued again, and these bytes are to be removed; `None` when somebody else has ended the attempt.
    Back(Option<Garbage>),
    /// It was renewed, ended or taken over by another process.
    Elsewhere,
}

/// Removes one item, or leaves it in the list for later.
pub(super) async fn remove_or_defer(catalog: &Catalog, stores: &Stores, item: &Garbage) {
    let removed = match stores.find(item.store.as_str()) {
        Some(store) => remove_garbage(store, item).await.map_err(Error::from),
        None => Err(Error::StoreUnknown(item.store.to_string())),
    };
    let noted = match removed {
        Ok(()) => catalog.forget_garbage(&[item], now()).await,
        Err(e) => {
            log_deferred(item, &e);
            catalog.defer_garbage(&[item]).await
        }
    };
    if let Err(e) = noted {
        tracing::warn!(
            error = &e as &dyn std::error::Error,
            "garbage list not updated, the removal will be repeated"
        );
    }
}

/// Says in the log that bytes stay for now.
pub(crate) fn log_deferred(item: &Garbage, e: &Error) {
    tracing::warn!(store.id = %item.store, object.key = item.key, error = e as &dyn std::error::Error, "bytes not removed, will try again");
}

/// Removes an item from its store: what may be open under the key, and the object. One that is gone is fine.
pub(crate) async fn remove_garbage(store: &Store, item: &Garbage) -> Result<(), store::Error> {
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
    /// Settles an attempt nobody works on, once it is taken over: forward when the object is whole and
    /// as intended, else back. The store is asked only where the object may have been published.
    ///
    /// # Errors
    /// When the catalog or the store is away; nothing is settled then.
    pub(crate) async fn settle(&self, found: &Abandoned) -> Result<Settled> {
        let upload = &found.upload;
        if !self.catalog.claim_upload(found, CLAIM).await? {
            return Ok(Settled::Elsewhere);
        }
        if let Some(intent) = &upload.intent {
            let store = self.stores.find(upload.store.as_str());
            let store = store.ok_or_else(|| Error::StoreUnknown(upload.store.to_string()))?;
            if let Some(etag) = settle_published(store, upload, &intent.facts).await? {
                match self
                    .catalog
                    .finish_upload(&upload.attempt, intent, etag)
                    .await
                {
                    Ok(_) => return Ok(Settled::Forward),
                    Err(
                        catalog::Error::Missing
                        | catalog::Error::Changed
                        | catalog::Error::LeaseLost,
                    ) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        let garbage = self.catalog.roll_back(&upload.attempt).await?;
        Ok(Settled::Back(garbage))
    }
}
