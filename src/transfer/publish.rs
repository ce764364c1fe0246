//! Making an object visible, finding it again, and settling whether it ever was: what is true of the store after a lost
//! answer is found out by looking, never guessed.

use std::collections::HashMap;
use std::time::Duration;

use super::Result;
use super::send::Sent;
use crate::catalog::{Purpose, Upload};
use crate::image::{AttemptId, DataFacts, ImageId};
use crate::store::{self, Aborted, MultipartUpload, Store};

/// Names of the metadata of an object that say whose it is.
pub(crate) const IMAGE_ID: &str = "oriel-image-id";
pub(crate) const ATTEMPT_ID: &str = "oriel-attempt-id";

/// How often an object is looked at that the store says it has published.
pub(super) const LOOKS: u32 = 3;
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Every object says whose it is, so that bucket and catalog can be matched without each other.
pub(super) fn metadata(image: &ImageId, attempt: &AttemptId) -> HashMap<String, String> {
    HashMap::from([
        (IMAGE_ID.to_owned(), image.to_string()),
        (ATTEMPT_ID.to_owned(), attempt.to_string()),
    ])
}

/// Makes the object visible in the store and returns its ETag. A store is not believed: whatever it answers, the object
/// is looked at, and is as it was intended or the upload has failed.
pub(super) async fn publish(
    store: &Store,
    upload: &Upload,
    facts: &DataFacts,
    sent: Sent,
) -> Result<Option<String>> {
    let answered = match sent {
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
    match answered {
        Ok(etag) => confirm_published(store, upload, facts, etag).await,
        // The store may have done it all the same, and a retry met what the first try had done.
        Err(refused) => match find_published(store, upload, facts, Told::Sent).await {
            Ok(Some(etag)) => Ok(etag),
            Ok(None) => Err(refused.into()),
            Err(e) => {
                tracing::warn!(upload.attempt = %upload.attempt, error = &e as &dyn std::error::Error, "cannot see whether the object is there");
                Err(refused.into())
            }
        },
    }
}

/// Looks at what the store says it has published, again when the two do not agree: one of them may be wrong in passing.
async fn confirm_published(
    store: &Store,
    upload: &Upload,
    facts: &DataFacts,
    answered: Option<String>,
) -> Result<Option<String>> {
    let mut seen: Option<Option<String>> = None;
    for look in 1..=LOOKS {
        match find_published(store, upload, facts, Told::Sent).await {
            Ok(Some(etag)) => {
                if store::is_same_etag(answered.as_deref(), etag.as_deref())
                    || seen.as_ref() == Some(&etag)
                {
                    return Ok(etag.or(answered));
                }
                seen = Some(etag);
            }
            Ok(None) => {}
            Err(e) if look == LOOKS => return Err(e.into()),
            Err(store::Error::Invalid(_)) => {}
            Err(e) => return Err(e.into()),
        }
        if look < LOOKS {
            tokio::time::sleep(LOOK_PAUSE * look).await;
        }
    }
    Err(store::Error::invalid("published, but the object is not the one that was sent").into())
}

/// How it is known which bytes an object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// We sent them, or have compared the parts that it is made of: the store has lost or changed none, by size and MD5.
    Sent,
    /// The store may have copied them, and nobody has compared them yet: by the MD5 alone.
    Copied,
}

impl Told {
    /// Of an attempt that somebody has left. A copy without parts may be one or the other.
    fn of(upload: &Upload) -> Self {
        match (upload.purpose, &upload.upload_id) {
            (Purpose::Copy, None) => Self::Copied,
            _ => Self::Sent,
        }
    }
}

/// Looks for the object of an attempt: `Some(etag)` when it is there and is the one intended, by its attempt, its size
/// and, where the store's ETag tells, its MD5.
async fn find_published(
    store: &Store,
    upload: &Upload,
    facts: &DataFacts,
    told: Told,
) -> Result<Option<Option<String>>, store::Error> {
    match store.head(&upload.key).await {
        Ok(object) => {
            let is_ours = object.metadata.get(ATTEMPT_ID).map(String::as_str)
                == Some(upload.attempt.as_str());
            let is_intended = object.size == facts.size
                && object
                    .has_md5(&facts.checksum)
                    .unwrap_or(told == Told::Sent);
            Ok((is_ours && is_intended).then_some(object.etag))
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
    let told = Told::of(upload);
    let found = find_published(store, upload, facts, told).await?;
    let (None, Some(upload_id)) = (&found, &upload.upload_id) else {
        return Ok(found);
    };
    let multipart = MultipartUpload {
        key: upload.key.clone(),
        upload_id: upload_id.clone(),
    };
    match store.abort_upload(&multipart).await? {
        Aborted::Now => Ok(None),
        Aborted::Before => find_published(store, upload, facts, told).await,
    }
}
