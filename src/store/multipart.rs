//! Multipart uploads.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::{Error, Result, Store, answer};
use crate::telemetry::labels::StoreOperation;

/// Pages of a list of open uploads, a thousand each. A store that says for ever that there is more is not asked again.
const MOST_PAGES: usize = 1000;

/// An open multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MultipartUpload {
    /// The key the object will have.
    pub key: String,
    /// The store's name for the upload.
    pub upload_id: String,
}

/// A part the store has taken.
#[derive(Debug, Clone)]
pub(crate) struct UploadedPart(pub(super) CompletedPart);

/// An open multipart upload as the store lists it.
#[derive(Debug, Clone)]
pub(crate) struct OpenUpload {
    /// Key and id.
    pub upload: MultipartUpload,
    /// When it was opened; `None` when the store does not say.
    pub initiated: Option<SystemTime>,
}

/// Where a page of open uploads has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadMarker {
    key: String,
    upload_id: Option<String>,
}

/// What an abort found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aborted {
    /// It was open and is gone.
    Now,
    /// The store knows no such upload: aborted or completed before.
    Before,
}

impl Store {
    /// Opens a multipart upload.
    ///
    /// # Errors
    /// Every class of trouble.
    pub(crate) async fn create_upload(
        &self,
        key: &str,
        metadata: HashMap<String, String>,
    ) -> Result<MultipartUpload> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.options.bucket)
            .key(key)
            .content_type("application/octet-stream")
            .set_metadata(Some(metadata));
        self.call_checked(StoreOperation::CreateUpload, request.send(), |opened| {
            let upload_id = opened.upload_id.filter(|id| !id.is_empty());
            Ok(MultipartUpload {
                key: key.to_owned(),
                upload_id: upload_id.ok_or_else(|| Error::invalid("no upload id"))?,
            })
        })
        .await
    }

    /// Sends one part; tried again from memory. Numbers begin at 1.
    ///
    /// # Errors
    /// [`Error::Missing`] when the upload is gone, and every class of trouble.
    pub(crate) async fn upload_part(
        &self,
        upload: &MultipartUpload,
        number: i32,
        bytes: Bytes,
    ) -> Result<UploadedPart> {
        let limits = self.upload_limits(bytes.len());
        let request = self
            .client
            .upload_part()
            .bucket(&self.options.bucket)
            .key(&upload.key)
            .upload_id(&upload.upload_id)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(limits);
        let request = if self.options.sign_payload {
            request
        } else {
            request.disable_payload_signing()
        };
        let taken = self
            .call_checked(StoreOperation::UploadPart, request.send(), |taken| {
                // Without it the upload could not be completed; its parts are many, so it had better fail here.
                match answer::stated(taken.e_tag.clone()) {
                    Some(_) => Ok(taken),
                    None => Err(Error::invalid("a part without an ETag")),
                }
            })
            .await?;
        self.metrics.part_uploaded(&self.name);
        Ok(UploadedPart(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(taken.e_tag)
                .set_checksum_crc32(taken.checksum_crc32)
                .set_checksum_crc32_c(taken.checksum_crc32_c)
                .set_checksum_crc64_nvme(taken.checksum_crc64_nvme)
                .build(),
        ))
    }

    /// Publishes the object. `parts` may come in any order. Returns the object's ETag, which some stores leave out.
    ///
    /// # Errors
    /// [`Error::Missing`] when the upload is gone: perhaps because an earlier try did complete it, so look at the
    /// object before giving up.
    pub(crate) async fn complete_upload(
        &self,
        upload: &MultipartUpload,
        mut parts: Vec<UploadedPart>,
    ) -> Result<Option<String>> {
        parts.sort_by_key(|part| part.0.part_number);
        let parts = parts.into_iter().map(|part| part.0).collect();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.options.bucket)
            .key(&upload.key)
            .upload_id(&upload.upload_id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .customize()
            .config_override(self.limits(self.options.complete_timeout));
        let published = self
            .call(StoreOperation::CompleteUpload, request.send())
            .await?;
        Ok(answer::stated(published.e_tag))
    }

    /// Aborts a multipart upload and frees its parts.
    ///
    /// # Errors
    /// Every class but `Missing`.
    pub(crate) async fn abort_upload(&self, upload: &MultipartUpload) -> Result<Aborted> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.options.bucket)
            .key(&upload.key)
            .upload_id(&upload.upload_id);
        match self.call(StoreOperation::AbortUpload, request.send()).await {
            Ok(_) => Ok(Aborted::Now),
            Err(Error::Missing) => Ok(Aborted::Before),
            Err(e) => Err(e),
        }
    }

    /// Lists the open multipart uploads whose keys begin with `prefix`: all of them, or the first million.
    ///
    /// # Errors
    /// Every class of trouble.
    pub(crate) async fn list_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let (page, next) = self.list_uploads_after(prefix, after).await?;
            found.extend(page);
            if next.is_none() {
                break;
            }
            after = next;
        }
        Ok(found)
    }

    /// A page of the same, from the beginning or behind a page before; with it where the next one begins, if there is one.
    ///
    /// # Errors
    /// Every class of trouble.
    pub(crate) async fn list_uploads_after(
        &self,
        prefix: &str,
        after: Option<UploadMarker>,
    ) -> Result<(Vec<OpenUpload>, Option<UploadMarker>)> {
        let marker = after.as_ref();
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(&self.options.bucket)
            .prefix(prefix)
            .set_key_marker(marker.map(|marker| marker.key.clone()))
            .set_upload_id_marker(marker.and_then(|marker| marker.upload_id.clone()));
        let page = self
            .call(StoreOperation::ListUploads, request.send())
            .await?;
        let uploads = page.uploads.unwrap_or_default().into_iter();
        let uploads = uploads.filter_map(|open| {
            Some(OpenUpload {
                upload: MultipartUpload {
                    key: open.key?,
                    upload_id: open.upload_id?,
                },
                initiated: open.initiated.and_then(|at| SystemTime::try_from(at).ok()),
            })
        });
        let upload_id = page.next_upload_id_marker;
        let next = page
            .next_key_marker
            .map(|key| UploadMarker { key, upload_id });
        // A store that says there is more but not where would be asked the same for ever.
        let next = next.filter(|next| page.is_truncated == Some(true) && Some(next) != marker);
        Ok((uploads.collect(), next))
    }
}
