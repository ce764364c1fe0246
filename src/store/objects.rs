//! Whole objects: put, look, delete; and the bucket.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, ServerSideEncryption,
};
use bytes::Bytes;

use super::client::LONGEST_BACKOFF;
use super::{Error, Result, Store, answer};
use crate::telemetry::labels::StoreOperation;

/// The slowest upload of a part that still counts as moving, bytes per second.
const SLOWEST_UPLOAD: u64 = 256 * 1024;

/// What a store says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectFacts {
    /// Bytes.
    pub size: u64,
    /// The store's ETag, as sent.
    pub etag: Option<String>,
    /// User metadata, names in lower case.
    pub metadata: HashMap<String, String>,
    /// The MD5 of the bytes in hex, where the ETag of this store and this object is one.
    pub md5: Option<String>,
}

impl ObjectFacts {
    /// Whether the bytes have this MD5, in hex; none where nothing tells. An ETag that is just this MD5 tells it also of an
    /// object whose ETag may be something else, as that of an encrypted one.
    pub(crate) fn has_md5(&self, md5: &str) -> Option<bool> {
        let by_etag = || self.etag.as_deref().and_then(answer::as_md5);
        match &self.md5 {
            Some(own) => Some(own == md5),
            None => (by_etag().as_deref() == Some(md5)).then_some(true),
        }
    }
}

impl Store {
    /// Stores an object in one request; `metadata` goes with it. Returns the ETag. Tried again from memory.
    ///
    /// # Errors
    /// Every class but `Missing`.
    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: HashMap<String, String>,
    ) -> Result<Option<String>> {
        let limits = self.upload_limits(bytes.len());
        let request = self
            .client
            .put_object()
            .bucket(&self.options.bucket)
            .key(key)
            .content_type("application/octet-stream")
            .set_metadata(Some(metadata))
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(limits);
        let request = if self.options.sign_payload {
            request
        } else {
            request.disable_payload_signing()
        };
        let stored = self.call(StoreOperation::PutObject, request.send()).await?;
        Ok(answer::stated(stored.e_tag))
    }

    /// Looks at an object.
    ///
    /// # Errors
    /// [`Error::Missing`] and every class of trouble.
    pub(crate) async fn head(&self, key: &str) -> Result<ObjectFacts> {
        let request = self
            .client
            .head_object()
            .bucket(&self.options.bucket)
            .key(key);
        let found = self.call_checked(StoreOperation::HeadObject, request.send(), |found| {
            let size = found.content_length.and_then(|n| u64::try_from(n).ok());
            // AWS encrypts everything, and says of this way alone that the ETag stays what it was.
            let keeps_md5 = match &found.server_side_encryption {
                None => found.sse_customer_algorithm.is_none(),
                Some(ServerSideEncryption::Aes256) => self.options.is_aws,
                Some(_) => false,
            };
            let etag = answer::stated(found.e_tag);
            let md5 = etag.as_deref().and_then(answer::as_md5);
            let md5 = md5.filter(|_| self.options.etag_is_md5 && keeps_md5);
            Ok(ObjectFacts {
                size: size.ok_or_else(|| Error::invalid("an object without a size"))?,
                md5,
                etag,
                metadata: found.metadata.unwrap_or_default(),
            })
        });
        match found.await {
            // An answer without a body cannot say who says so.
            Err(Error::Missing) => Err(self.why_not_found(key).await),
            other => other,
        }
    }

    /// What a read says of an object that a look did not find: its answer has the words of the store.
    async fn why_not_found(&self, key: &str) -> Error {
        let request = self
            .client
            .get_object()
            .bucket(&self.options.bucket)
            .key(key)
            .range("bytes=0-0");
        match self.call(StoreOperation::GetObject, request.send()).await {
            Ok(_) => Error::invalid("an object that is there was not found"),
            Err(e) => e,
        }
    }

    /// Deletes an object; one that is not there is fine.
    ///
    /// # Errors
    /// Every class but `Missing`.
    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        let request = self
            .client
            .delete_object()
            .bucket(&self.options.bucket)
            .key(key);
        match self
            .call(StoreOperation::DeleteObject, request.send())
            .await
        {
            Ok(_) | Err(Error::Missing) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Makes sure that the bucket is there; makes it when the configuration says so.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not there and may not be made.
    pub(crate) async fn ensure_bucket(&self) -> Result<()> {
        let look = self.client.head_bucket().bucket(&self.options.bucket);
        match self.call(StoreOperation::HeadBucket, look.send()).await {
            Err(Error::Missing) if self.options.create_bucket => {}
            other => return other.map(drop),
        }
        let mut make = self.client.create_bucket().bucket(&self.options.bucket);
        // AWS wants the region named everywhere but in its first one; other servers do not know the word.
        if self.options.is_aws && self.options.region != "us-east-1" {
            let place = BucketLocationConstraint::from(self.options.region.as_str());
            make = make.create_bucket_configuration(
                CreateBucketConfiguration::builder()
                    .location_constraint(place)
                    .build(),
            );
        }
        self.call(StoreOperation::CreateBucket, make.send())
            .await
            .map(drop)
    }

    /// The time limits of sending `length` bytes, which have to leave room for them.
    pub(super) fn upload_limits(&self, length: usize) -> aws_sdk_s3::config::Builder {
        let sending = Duration::from_secs(length as u64 / SLOWEST_UPLOAD);
        self.limits(self.options.read_timeout + sending)
    }

    /// The time limits of a request that may take `limit` from connecting to the last byte of its answer.
    pub(super) fn limits(&self, limit: Duration) -> aws_sdk_s3::config::Builder {
        let limits = time_limits(self.options.connect_timeout, limit, self.options.retries);
        aws_sdk_s3::Config::builder().timeout_config(limits)
    }
}

/// Limits of every try, body and all, and of all tries together. The limit of a read is that of its head; its body has
/// one between two pieces.
pub(super) fn time_limits(connect: Duration, limit: Duration, retries: u32) -> TimeoutConfig {
    let all = limit
        .saturating_mul(retries.saturating_add(1))
        .saturating_add(LONGEST_BACKOFF.saturating_mul(retries));
    TimeoutConfig::builder()
        .connect_timeout(connect)
        .operation_attempt_timeout(limit)
        .operation_timeout(all)
        .build()
}
