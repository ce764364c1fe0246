//! Ranged reads that never end short without an error, and never give other bytes than were asked for.

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt;

use super::{Error, Result, Store, answer};
use crate::telemetry::labels::StoreOperation;

/// Bytes `first` to `last` of an object, both included; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSpan {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte.
    pub last: u64,
}

impl ByteSpan {
    /// Number of bytes.
    pub(crate) fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// A running read. [`Download::next`] gives the bytes in order.
pub(crate) struct Download {
    body: SdkBody,
    /// Bytes still to come before the span, of a store that ignores `Range`.
    to_skip: u64,
    /// What came in the last frame that was skipped, beyond the bytes to skip.
    kept: Bytes,
    left: u64,
    idle_limit: std::time::Duration,
}

impl Store {
    /// Opens a read of `span`, or of the whole object of `size` bytes. With `etag` the object must still be that one.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Changed`] when the store says that the ETag is another, [`Error::Invalid`] when the
    /// answer is of other bytes than these, and every class of trouble.
    pub(crate) async fn open(
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
            .set_if_match(answer::for_if_match(etag))
            .set_range((!is_whole).then(|| format!("bytes={}-{}", span.first, span.last)));
        self.call_checked(StoreOperation::GetObject, request.send(), |opened| {
            if !answer::is_same_etag(etag, opened.e_tag()) {
                return Err(Error::invalid("another ETag than was asked for"));
            }
            if !answer::is_plain(opened.content_encoding()) {
                return Err(Error::invalid("bytes in another coding than stored"));
            }
            let to_skip = answer::bytes_before_span(
                opened.content_range(),
                opened.content_length(),
                span,
                size,
            )
            .map_err(Error::invalid)?;
            Ok(Download {
                body: opened.body.into_inner(),
                to_skip,
                kept: Bytes::new(),
                left: span.length(),
                idle_limit: self.options.read_timeout,
            })
        })
        .await
    }
}

impl Download {
    /// The next bytes, `None` after the last.
    ///
    /// # Errors
    /// [`Error::Busy`] when the transfer breaks, pauses for longer than the read timeout, or ends short: the SDK's
    /// stream would end cleanly then.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.to_skip > 0 {
            tokio::time::timeout(self.idle_limit, self.skip())
                .await
                .map_err(Error::broken)??;
        }
        if self.left == 0 {
            return Ok(None);
        }
        let mut bytes = if self.kept.is_empty() {
            self.next_frame().await?
        } else {
            std::mem::take(&mut self.kept)
        };
        // More than was promised is cut: the client was told a length.
        let taken = self.left.min(bytes.len() as u64);
        bytes.truncate(taken as usize);
        self.left -= taken;
        Ok(Some(bytes))
    }

    /// Comes to the span, all of it within the time of one pause.
    async fn skip(&mut self) -> Result<()> {
        while self.to_skip > 0 {
            let mut bytes = self.next_frame().await?;
            let skipped = self.to_skip.min(bytes.len() as u64);
            self.kept = bytes.split_off(skipped as usize);
            self.to_skip -= skipped;
        }
        Ok(())
    }

    /// The next bytes that are any.
    async fn next_frame(&mut self) -> Result<Bytes> {
        loop {
            let frame = tokio::time::timeout(self.idle_limit, self.body.frame())
                .await
                .map_err(Error::broken)?
                .ok_or_else(|| Error::broken("the store's answer ended short"))?
                .map_err(Error::broken)?;
            if let Ok(bytes) = frame.into_data()
                && !bytes.is_empty()
            {
                return Ok(bytes);
            }
        }
    }
}
