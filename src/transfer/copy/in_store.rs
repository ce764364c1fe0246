//! A copy that an S3 server makes of one of its buckets in another. We see no byte of it, so what it is has to be told by ETags.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Copying, Obstacle, Way};
use crate::image::{DataFacts, Location};
use crate::store::{
    self, ByteSpan, LARGEST_COPY, MultipartUpload, ObjectFacts, Original, Store, UploadedPart,
};
use crate::transfer::attempt::Attempt;
use crate::transfer::plan::find_sizes;
use crate::transfer::publish::{ATTEMPT_ID, LOOK_PAUSE, LOOKS, metadata};
use crate::transfer::send::{Sent, open_upload};
use crate::transfer::{Error, Result};

/// An object of a store that is on the same server as the target.
pub(super) struct Source {
    pub(super) store: Arc<Store>,
    location: Location,
    original: Original,
}

/// What ETags say of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is what the record has.
    Same,
    /// It is not.
    Other,
    /// They say nothing.
    Unknown,
}

impl Copying<'_> {
    /// The object that the server of the target can copy itself: the first that a download would read.
    pub(super) fn find_beside(&self) -> Option<Source> {
        let (stores, locations) = (&self.transfers.stores, &self.source.locations);
        let names = stores.by_weight(locations.iter().map(|it| it.store.as_str()));
        names.into_iter().find_map(|name| {
            let store = stores.find(name)?;
            let location = locations.iter().find(|it| it.store.as_str() == name)?;
            let etag = location.etag.as_deref();
            self.target.can_copy_from(store).then(|| Source {
                original: store.original(&location.key, etag, self.facts.size),
                store: Arc::clone(store),
                location: location.clone(),
            })
        })
    }

    /// The object in one request, unless it is too large for that.
    pub(super) fn as_object<'a>(&self, source: &'a Source) -> Option<Way<'a>> {
        (self.facts.size <= LARGEST_COPY).then_some(Way::Object(source))
    }

    /// The object in the parts that it was uploaded in: with other borders between them its ETag would be another. None
    /// where they are not known.
    ///
    /// # Errors
    /// [`Error::Stopping`].
    pub(super) async fn in_parts<'a>(&self, source: &'a Source) -> Result<Option<Way<'a>>> {
        let etag = source.location.etag.as_deref();
        let Some(count) = etag.and_then(store::count_parts) else {
            return Ok(None);
        };
        let first = tokio::select! {
            first = source.store.first_part(&source.location.key) => first.ok(),
            () = self.halt.cancelled() => return Err(Error::Stopping),
        };
        let size = self.facts.size;
        let cap = self.transfers.rules.size_cap;
        // A store that knows of no parts gives the size of the object.
        let first = first.filter(|first| count == 1 || *first < size);
        let sizes = find_sizes(first, source.store.part_size(), size, cap, count);
        Ok(sizes.map(|sizes| Way::Parts(source, sizes)))
    }

    /// Copies in one request. The intent is recorded before it: what the server publishes when nobody waits for it any more
    /// is removed by the second look of the garbage list.
    pub(super) async fn copy_object(
        &self,
        attempt: &Arc<Attempt>,
        source: &Source,
    ) -> Result<(), Obstacle> {
        let intent = self.intent();
        attempt.record_intent(&intent).await?;
        let copying = self.copied_object(attempt, source);
        let etag = self.while_held(attempt, copying).await?;
        attempt.finish(&intent, etag).await?;
        self.done.fetch_add(self.facts.size, Ordering::Relaxed);
        Ok(())
    }

    /// Has the object copied and looks at it, whatever the answer was: the store may have copied all the same. Gives the
    /// ETag of what was compared.
    async fn copied_object(
        &self,
        attempt: &Attempt,
        source: &Source,
    ) -> Result<Option<String>, Obstacle> {
        let (store, upload) = (attempt.store(), attempt.upload());
        let labels = metadata(&upload.image, &upload.attempt);
        let answered = store
            .copy_object(&source.original, &upload.key, labels)
            .await;
        let mut found = find(store, &upload.key).await;
        for look in 1..LOOKS {
            if answered.is_err() || !matches!(found, Ok(None)) {
                break;
            }
            tokio::time::sleep(LOOK_PAUSE * look).await;
            found = find(store, &upload.key).await;
        }
        let found = match (found, answered) {
            (Ok(Some(found)), _) => found,
            (_, Err(why)) | (Err(why), Ok(_)) => return Err(obstacle(why)),
            (Ok(None), Ok(_)) => {
                let why = store::Error::invalid("copied, but the object is not there");
                return Err(obstacle(why));
            }
        };
        let named = found.metadata.get(ATTEMPT_ID).map(String::as_str);
        if named != Some(upload.attempt.as_str()) {
            let why = store::Error::invalid("the copy does not have the metadata it was given");
            return Err(obstacle(why));
        }
        match compare(&self.facts, source.location.etag.as_deref(), &found) {
            Verdict::Same => Ok(found.etag),
            Verdict::Other => Err(Error::Import(
                "the data that the store has copied is not the data that was staged".into(),
            )
            .into()),
            Verdict::Unknown => {
                let why = store::Error::invalid("the ETag of the copy tells nothing of its bytes");
                Err(obstacle(why))
            }
        }
    }

    /// Copies part by part. The parts are compared before they are put together, so recovery may roll forward after that.
    pub(super) async fn copy_parts(
        &self,
        attempt: &Arc<Attempt>,
        source: &Source,
        sizes: &[u64],
    ) -> Result<(), Obstacle> {
        let copying = async {
            let opening = self.transfers.tasks.spawn(open_upload(Arc::clone(attempt)));
            let multipart = opening.await.map_err(Error::from)??;
            let parts = self
                .copied_parts(attempt, source, sizes, &multipart)
                .await
                .map_err(obstacle)?;
            Ok::<_, Obstacle>((multipart, parts))
        };
        let (multipart, parts) = self.while_held(attempt, copying).await?;
        let copied = store::etag_of_parts(&parts);
        let is_same = copied.is_some()
            && store::is_same_etag(source.location.etag.as_deref(), copied.as_deref());
        if !is_same {
            // Of wrong bytes, of other borders between the parts, or of a store whose ETags are no digests.
            let why = store::Error::invalid("the parts do not make the ETag of the original");
            return Err(obstacle(why));
        }
        attempt.record_intent(&self.intent()).await?;
        self.publish(attempt, Sent::Parts(multipart, parts)).await?;
        self.done.fetch_add(self.facts.size, Ordering::Relaxed);
        Ok(())
    }

    /// The copies of all parts, a few at once.
    async fn copied_parts(
        &self,
        attempt: &Attempt,
        source: &Source,
        sizes: &[u64],
        multipart: &MultipartUpload,
    ) -> Result<Vec<UploadedPart>, store::Error> {
        let store = attempt.store();
        stream::iter(spans_of(sizes).into_iter().zip(1_i32..))
            .map(async |(span, number)| {
                store
                    .copy_part(&source.original, span, multipart, number)
                    .await
            })
            .buffer_unordered(store.parts_in_flight())
            .try_collect()
            .await
    }
}

/// Where parts of these sizes lie in an object; none is empty.
fn spans_of(sizes: &[u64]) -> Vec<ByteSpan> {
    let mut begin = 0;
    let mut spans = Vec::with_capacity(sizes.len());
    for size in sizes {
        let first = begin;
        begin += size;
        let last = begin - 1;
        spans.push(ByteSpan { first, last });
    }
    spans
}

async fn find(store: &Store, key: &str) -> Result<Option<ObjectFacts>, store::Error> {
    match store.head(key).await {
        Ok(found) => Ok(Some(found)),
        Err(store::Error::Missing) => Ok(None),
        Err(e) => Err(e),
    }
}

/// What the failure of a server to copy means: bytes of ours may get there all the same, unless there is no room.
fn obstacle(why: store::Error) -> Obstacle {
    match why {
        store::Error::Full(_) => Obstacle::Failed(why.into()),
        // Of this object and not of the stores.
        store::Error::Missing | store::Error::Changed => Obstacle::Unfit {
            why,
            is_lasting: false,
        },
        why => Obstacle::Unfit {
            why,
            is_lasting: true,
        },
    }
}

/// Compares a copy with what is known of the data: by its MD5, or else by the ETag of an original that was uploaded in parts,
/// which some servers give the copy as well.
fn compare(facts: &DataFacts, original: Option<&str>, copy: &ObjectFacts) -> Verdict {
    if copy.size != facts.size {
        return Verdict::Other;
    }
    match copy.has_md5(&facts.checksum) {
        Some(true) => return Verdict::Same,
        Some(false) => return Verdict::Other,
        None => {}
    }
    let of_parts = |etag: &&str| store::count_parts(etag).is_some();
    let original = original.filter(of_parts);
    let copied = copy.etag.as_deref().filter(of_parts);
    if original.is_some() && copied.is_some() && store::is_same_etag(original, copied) {
        return Verdict::Same;
    }
    Verdict::Unknown
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";
    const OTHER: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn copy_is_taken_for_what_its_etag_says_and_never_on_trust() {
        let facts = DataFacts {
            size: 10,
            virtual_size: None,
            checksum: MD5.to_owned(),
            os_hash_algo: "sha512".to_owned(),
            os_hash_value: String::new(),
        };
        let parts = format!("\"{OTHER}-2\"");
        let whole = format!("\"{MD5}\"");
        let other = format!("\"{OTHER}\"");
        for (size, md5, original, etag, expected) in [
            (10, Some(MD5), Some(&whole), Some(&whole), Verdict::Same),
            (10, Some(MD5), Some(&parts), Some(&whole), Verdict::Same),
            (10, Some(OTHER), Some(&whole), Some(&whole), Verdict::Other),
            (10, Some(OTHER), Some(&parts), Some(&parts), Verdict::Other),
            (9, Some(MD5), Some(&whole), Some(&whole), Verdict::Other),
            (9, None, Some(&parts), Some(&parts), Verdict::Other),
            (10, None, Some(&parts), Some(&parts), Verdict::Same),
            // Of encrypted objects, where the ETag need not be the MD5 but may.
            (10, None, Some(&whole), Some(&whole), Verdict::Same),
            (10, None, Some(&parts), Some(&whole), Verdict::Same),
            (10, None, Some(&other), Some(&other), Verdict::Unknown),
            (
                10,
                None,
                Some(&parts),
                Some(&format!("\"{OTHER}-3\"")),
                Verdict::Unknown,
            ),
            (
                10,
                None,
                Some(&parts),
                Some(&"\"\"".to_owned()),
                Verdict::Unknown,
            ),
            (10, None, Some(&parts), None, Verdict::Unknown),
            (10, None, None, Some(&parts), Verdict::Unknown),
            (10, None, None, None, Verdict::Unknown),
        ] {
            let copy = ObjectFacts {
                size,
                etag: etag.cloned(),
                metadata: HashMap::new(),
                md5: md5.map(str::to_owned),
            };
            let found = compare(&facts, original.map(String::as_str), &copy);
            assert_eq!(found, expected, "{size} {md5:?} {original:?} {etag:?}");
        }
    }
}
