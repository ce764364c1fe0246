//! Whole objects: put, look, delete; and the bucket.

use std::collections::HashMap;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use bytes::Bytes;

use super::{Error, Result, Store};
use crate::telemetry::labels::StoreOperation;

/// The slowest upload of a part that still counts as moving, bytes per second.
const SLOWEST_UPLOAD: u64 = 256 * 1024;

/// What a store says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Bytes.
    pub size: u64,
    /// The store's ETag, as sent.
    pub etag: Option<String>,
    /// User metadata, names in lower case.
    pub metadata: HashMap<String, String>,
}

impl Store {
    /// Stores an object in one request; `metadata` goes with it. Returns the ETag. Tried again from memory.
    ///
    /// # Errors
    /// Every class but `Missing`.
    pub async fn put(
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
        Ok(stored.e_tag)
    }

    /// Looks at an object.
    ///
    /// # Errors
    /// [`Error::Missing`] and every class of trouble.
    pub async fn head(&self, key: &str) -> Result<ObjectFacts> {
        let request = self
            .client
            .head_object()
            .bucket(&self.options.bucket)
            .key(key);
        let found = self
            .call(StoreOperation::HeadObject, request.send())
            .await?;
        let size = found.content_length.and_then(|n| u64::try_from(n).ok());
        Ok(ObjectFacts {
            size: size.ok_or_else(|| Error::broken("the store names no size"))?,
            etag: found.e_tag,
            metadata: found.metadata.unwrap_or_default(),
        })
    }

    /// Deletes an object; one that is not there is fine.
    ///
    /// # Errors
    /// Every class but `Missing`.
    pub async fn delete(&self, key: &str) -> Result<()> {
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
    pub async fn ensure_bucket(&self) -> Result<()> {
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

    /// The time limit of one attempt to send `length` bytes. The SDK's read timeout runs from the first byte sent to
    /// the head of the answer, so it has to leave room for the bytes.
    pub(super) fn upload_limits(&self, length: usize) -> aws_sdk_s3::config::Builder {
        let sending = std::time::Duration::from_secs(length as u64 / SLOWEST_UPLOAD);
        self.read_limit(self.options.read_timeout + sending)
    }

    pub(super) fn read_limit(&self, limit: std::time::Duration) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder()
            .timeout_config(TimeoutConfig::builder().read_timeout(limit).build())
    }
}
