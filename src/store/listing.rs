//! What is in the bucket, a page at a time.

use std::time::SystemTime;

use super::{Error, Result, Store, answer};
use crate::telemetry::labels::StoreOperation;

/// An object as the store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedObject {
    /// Its key, the store's prefix included.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The store's ETag, as sent.
    pub etag: Option<String>,
    /// When it was stored; `None` when the store does not say.
    pub modified: Option<SystemTime>,
}

impl Store {
    /// Lists objects of this store in the order of their keys: a page of at most `limit`, of those behind the key `after`.
    /// Whether there are more is true or false beside it.
    ///
    /// Each page begins at a key and not at a token of the store, which may go stale while the reader works.
    ///
    /// # Errors
    /// Every class of trouble; [`Error::Invalid`] for a page that does not lead on.
    pub(crate) async fn list_objects(
        &self,
        after: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<ListedObject>, bool)> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.options.bucket)
            .prefix(&self.options.prefix)
            .max_keys(limit.into())
            .set_start_after(after.map(str::to_owned));
        self.call_checked(StoreOperation::ListObjects, request.send(), |page| {
            let has_more = page.is_truncated == Some(true);
            let mut objects = Vec::new();
            for object in page.contents.unwrap_or_default() {
                let size = object.size.and_then(|size| u64::try_from(size).ok());
                objects.push(ListedObject {
                    key: object
                        .key
                        .ok_or_else(|| Error::invalid("an object without a key"))?,
                    size: size.ok_or_else(|| Error::invalid("an object without a size"))?,
                    etag: answer::stated(object.e_tag),
                    modified: object
                        .last_modified
                        .and_then(|at| SystemTime::try_from(at).ok()),
                });
            }
            let last = objects.last().map(|object| object.key.as_str());
            // Asked the same again it would answer the same for ever.
            if has_more && (last.is_none() || last == after) {
                return Err(Error::invalid("a page of a list that does not lead on"));
            }
            Ok((objects, has_more))
        })
        .await
    }
}
