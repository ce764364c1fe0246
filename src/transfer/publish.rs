//! Making an object visible, finding it again, and settling whether it ever was: what is true of the store after a lost
//! answer is found out by looking, never guessed.

use std::collections::HashMap;

use super::send::Sent;
use super::{Error, Result};
use crate::catalog::Upload;
use crate::image::{AttemptId, DataFacts, ImageId};
use crate::store::{self, Aborted, MultipartUpload, Store};

const IMAGE_ID: &str = "oriel-image-id";
const ATTEMPT_ID: &str = "oriel-attempt-id";

/// Every object says whose it is, so that bucket and catalog can be matched without each other.
pub(super) fn metadata(image: &ImageId, attempt: &AttemptId) -> HashMap<String, String> {
    HashMap::from([
        (IMAGE_ID.to_owned(), image.to_string()),
        (ATTEMPT_ID.to_owned(), attempt.to_string()),
    ])
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
