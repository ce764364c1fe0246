//! The stage that sends parts to the store, and the publishing at the end.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::read::Part;
use super::{Error, Result};
use crate::catalog::{Catalog, Upload};
use crate::image::{AttemptId, DataFacts, ImageId};
use crate::store::{self, Aborted, MultipartUpload, Store, UploadedPart};

const IMAGE_ID: &str = "oriel-image-id";
const ATTEMPT_ID: &str = "oriel-attempt-id";

/// What the store holds when the stream has ended: nothing visible yet.
pub(super) enum Sent {
    /// The whole body fits one part and is still here; one PutObject will publish it.
    Whole(Arc<Part>),
    /// Parts of an open multipart upload.
    Parts(MultipartUpload, Vec<UploadedPart>),
}

/// Every object says whose it is, so that bucket and catalog can be matched without each other.
pub(super) fn metadata(image: &ImageId, attempt: &AttemptId) -> HashMap<String, String> {
    HashMap::from([
        (IMAGE_ID.to_owned(), image.to_string()),
        (ATTEMPT_ID.to_owned(), attempt.to_string()),
    ])
}

/// Sends parts as they come, a window of them at once. A failed part is tried again from memory by the SDK.
pub(super) async fn send_parts(
    mut parts: mpsc::Receiver<Arc<Part>>,
    tasks: &TaskTracker,
    store: &Arc<Store>,
    catalog: &Catalog,
    upload: &Upload,
) -> Result<Sent> {
    let Some(first) = parts.recv().await else {
        // The reader failed before its first part; its error is the one to report.
        return std::future::pending().await;
    };
    if first.is_last {
        return Ok(Sent::Whole(first));
    }
    let multipart = tasks
        .spawn(open_upload(
            Arc::clone(store),
            catalog.clone(),
            upload.clone(),
        ))
        .await??;

    let rest = stream::unfold(parts, async |mut parts| {
        parts.recv().await.map(|part| (part, parts))
    });
    let sent = stream::once(std::future::ready(first))
        .chain(rest)
        .zip(stream::iter(1_i32..))
        .map(async |(part, number)| {
            store
                .upload_part(&multipart, number, part.bytes.clone())
                .await
        })
        .buffer_unordered(store.parts_in_flight())
        .try_collect::<Vec<_>>()
        .await?;
    Ok(Sent::Parts(multipart, sent))
}

/// Opens the multipart upload and records it. Runs to its end also when the client has left: a request that is dropped
/// half-way may still be carried out by the store, and then nobody would know of the upload.
async fn open_upload(
    store: Arc<Store>,
    catalog: Catalog,
    upload: Upload,
) -> Result<MultipartUpload> {
    let multipart = store
        .create_upload(&upload.key, metadata(&upload.image, &upload.attempt))
        .await?;
    if let Err(e) = catalog
        .note_multipart(&upload.attempt, &multipart.upload_id)
        .await
    {
        // The attempt was rolled back meanwhile, so this is the last chance to close what was opened.
        if let Err(e) = store.abort_upload(&multipart).await {
            tracing::warn!(
                store.id = store.name(),
                object.key = upload.key,
                error = &e as &dyn std::error::Error,
                "multipart upload left open, the reaper will find it"
            );
        }
        return Err(e.into());
    }
    Ok(multipart)
}

/// Makes the object visible in the store and returns its ETag. Whether a lost answer meant success is found out by
/// looking.
pub(super) async fn publish(
    store: &Store,
    upload: &Upload,
    facts: &DataFacts,
    sent: Sent,
) -> Result<Option<String>> {
    let published = match sent {
        Sent::Whole(part) => {
            store
                .put(
                    &upload.key,
                    part.bytes.clone(),
                    metadata(&upload.image, &upload.attempt),
                )
                .await
        }
        Sent::Parts(multipart, parts) => store.complete_upload(&multipart, parts).await,
    };
    match published {
        Ok(Some(etag)) => Ok(Some(etag)),
        // No ETag in the answer (Ceph RGW), or no answer: the object itself tells.
        Ok(None) | Err(store::Error::Busy(_) | store::Error::Missing) => {
            match find_published(store, upload, facts).await? {
                Some(etag) => Ok(etag),
                None => Err(Error::Store(
                    published.err().unwrap_or(store::Error::Missing),
                )),
            }
        }
        Err(e) => Err(e.into()),
    }
}

/// Looks for the object of an attempt: `Some(etag)` when it is there and is the one intended.
pub(super) async fn find_published(
    store: &Store,
    upload: &Upload,
    facts: &DataFacts,
) -> Result<Option<Option<String>>, store::Error> {
    match store.head(&upload.key).await {
        Ok(object) => {
            let is_ours = object.metadata.get(ATTEMPT_ID).map(String::as_str)
                == Some(upload.attempt.as_str());
            Ok((is_ours && object.size == facts.size).then_some(object.etag))
        }
        Err(store::Error::Missing) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Like [`find_published`], for an attempt whose CompleteMultipartUpload may still be at work in the store: aborting
/// settles which of the two won.
pub(super) async fn settle_published(
    store: &Store,
    upload: &Upload,
    facts: &DataFacts,
) -> Result<Option<Option<String>>, store::Error> {
    let found = find_published(store, upload, facts).await?;
    let (None, Some(upload_id)) = (&found, &upload.upload_id) else {
        return Ok(found);
    };
    let multipart = MultipartUpload {
        key: upload.key.clone(),
        upload_id: upload_id.clone(),
    };
    match store.abort_upload(&multipart).await? {
        Aborted::Now => Ok(None),
        Aborted::Before => find_published(store, upload, facts).await,
    }
}
