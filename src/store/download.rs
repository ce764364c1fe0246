//! Ranged reads that never end short without an error.

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt;

use super::{Error, Result, Store};
use crate::telemetry::labels::StoreOperation;

/// Bytes `first` to `last` of an object, both included; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSpan {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte.
    pub last: u64,
}

impl ByteSpan {
    /// Number of bytes.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// A running read. [`Download::next`] gives the bytes in order.
pub struct Download {
    body: SdkBody,
    left: u64,
    idle_limit: std::time::Duration,
}

impl Store {
    /// Opens a read of `span`, or of the whole object of `size` bytes. With `etag` the object must still be that one.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Changed`] when the ETag or the length is another, and every class of trouble; an
    /// answer without a length is [`Error::Busy`].
    pub async fn open(
        &self,
        key: &str,
        size: u64,
        span: ByteSpan,
        etag: Option<&str>,
    ) -> Result<Download> {
        let is_whole = span.first == 0 && span.length() == size;
        let request = self
            .client
            .get_object()
            .bucket(&self.options.bucket)
            .key(key)
            .set_if_match(etag.map(str::to_owned))
            .set_range((!is_whole).then(|| format!("bytes={}-{}", span.first, span.last)));
        let opened = self.call(StoreOperation::GetObject, request.send()).await?;
        // Without a length an answer that ends early, or that ignores the range, looks like a good one.
        let length = opened.content_length.and_then(|n| u64::try_from(n).ok());
        let length = length.ok_or_else(|| Error::broken("the store's answer has no length"))?;
        if length != span.length() {
            return Err(Error::Changed);
        }
        Ok(Download {
            body: opened.body.into_inner(),
            left: span.length(),
            idle_limit: self.options.read_timeout,
        })
    }
}

impl Download {
    /// The next bytes, `None` after the last.
    ///
    /// # Errors
    /// [`Error::Busy`] when the transfer breaks, pauses for longer than the read timeout, or ends short: the SDK's
    /// stream would end cleanly then.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.left > 0 {
            let frame = tokio::time::timeout(self.idle_limit, self.body.frame())
                .await
                .map_err(Error::broken)?
                .ok_or_else(|| Error::broken("the store's answer ended short"))?
                .map_err(Error::broken)?;
            let Ok(mut bytes) = frame.into_data() else {
                continue;
            };
            if bytes.is_empty() {
                continue;
            }
            // More than was promised is cut: the client was told a length.
            let taken = self.left.min(bytes.len() as u64);
            bytes.truncate(taken as usize);
            self.left -= taken;
            return Ok(Some(bytes));
        }
        Ok(None)
    }
}
