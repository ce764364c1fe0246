//! Copies that an S3 server makes itself, of an object in one of its buckets to another: no byte comes here.
//!
//! A server may begin to answer such a request with 200 and say in the body that it has failed; the SDK reads that as the
//! error it is. What was copied is for the caller to look at.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::types::{CompletedPart, MetadataDirective};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ByteSpan, Error, MultipartUpload, Result, Store, UploadedPart, answer};
use crate::telemetry::labels::StoreOperation;

/// S3's bound on what one CopyObject copies, bytes.
pub(crate) const LARGEST_COPY: u64 = 5 * 1024 * 1024 * 1024;

/// The slowest copy that still counts as moving, bytes per second. No byte of it is seen, so this is all there is to tell by;
/// and what one request may copy has to be done well before the garbage list looks for the last time at what was given up.
const SLOWEST_COPY: u64 = 16 * 1024 * 1024;

/// What stands in the header that names the original as it is.
const UNENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The object that is copied.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    /// Bucket and key, percent-encoded.
    name: String,
    etag: Option<String>,
    /// Bytes.
    size: u64,
}

impl Store {
    /// Whether this store can copy an object of that one without our help: both are buckets, or parts of one, of one server
    /// that knows us by the same keys. And whether it can be told by an ETag what was copied.
    pub(crate) fn can_copy_from(&self, other: &Store) -> bool {
        let (ours, theirs) = (&self.options, &other.options);
        ours.account == theirs.account && ours.etag_is_md5 && theirs.etag_is_md5
    }

    /// An object of this store of `size` bytes, as the original of copies.
    pub(crate) fn original(&self, key: &str, etag: Option<&str>, size: u64) -> Original {
        let name = format!("{}/{key}", self.options.bucket);
        Original {
            name: utf8_percent_encode(&name, UNENCODED).to_string(),
            etag: etag.map(str::to_owned),
            size,
        }
    }

    /// Has the store copy an object of at most [`LARGEST_COPY`] bytes; `metadata` goes with the copy. Returns its ETag.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Changed`] when the original is no longer there, and every class of trouble. The store
    /// may have copied all the same, and may still do it.
    pub(crate) async fn copy_object(
        &self,
        original: &Original,
        key: &str,
        metadata: HashMap<String, String>,
    ) -> Result<Option<String>> {
        let request = self
            .client
            .copy_object()
            .copy_source(&original.name)
            .set_copy_source_if_match(answer::for_if_match(original.etag.as_deref()))
            .bucket(&self.options.bucket)
            .key(key)
            .metadata_directive(MetadataDirective::Replace)
            .content_type("application/octet-stream")
            .set_metadata(Some(metadata))
            .customize()
            .mutate_request(say_no_body)
            .config_override(self.copy_limits(original.size));
        let copied = self
            .call(StoreOperation::CopyObject, request.send())
            .await?;
        let etag = copied.copy_object_result.and_then(|result| result.e_tag);
        Ok(answer::stated(etag))
    }

    /// Has the store copy a span of an object as a part of an upload. Numbers begin at 1.
    ///
    /// # Errors
    /// [`Error::Missing`] when the original or the upload is gone, [`Error::Changed`] when the original is another one, and
    /// every class of trouble.
    pub(crate) async fn copy_part(
        &self,
        original: &Original,
        span: ByteSpan,
        upload: &MultipartUpload,
        number: i32,
    ) -> Result<UploadedPart> {
        let request = self
            .client
            .upload_part_copy()
            .copy_source(&original.name)
            .copy_source_range(format!("bytes={}-{}", span.first, span.last))
            .set_copy_source_if_match(answer::for_if_match(original.etag.as_deref()))
            .bucket(&self.options.bucket)
            .key(&upload.key)
            .upload_id(&upload.upload_id)
            .part_number(number)
            .customize()
            .mutate_request(say_no_body)
            .config_override(self.copy_limits(span.length()));
        self.call_checked(StoreOperation::CopyPart, request.send(), |copied| {
            // Without it the upload could not be completed.
            let untold = || Error::invalid("a part without an ETag");
            let part = copied.copy_part_result.ok_or_else(untold)?;
            let etag = answer::stated(part.e_tag).ok_or_else(untold)?;
            Ok(UploadedPart(
                CompletedPart::builder()
                    .part_number(number)
                    .e_tag(etag)
                    .set_checksum_crc32(part.checksum_crc32)
                    .set_checksum_crc32_c(part.checksum_crc32_c)
                    .set_checksum_crc64_nvme(part.checksum_crc64_nvme)
                    .build(),
            ))
        })
        .await
    }

    /// How many bytes the first part of an object has, as it was uploaded: all of it where a store does not say.
    ///
    /// # Errors
    /// [`Error::Missing`] and every class of trouble; a store that knows of no parts may say so.
    pub(crate) async fn first_part(&self, key: &str) -> Result<u64> {
        let request = self
            .client
            .head_object()
            .bucket(&self.options.bucket)
            .key(key)
            .part_number(1);
        self.call_checked(StoreOperation::HeadObject, request.send(), |found| {
            let size = found.content_length.and_then(|n| u64::try_from(n).ok());
            size.ok_or_else(|| Error::invalid("a part without a size"))
        })
        .await
    }

    /// The time limits of a copy of `length` bytes. One that has timed out is not tried again, since the store may be at it
    /// still; what failed before that is.
    fn copy_limits(&self, length: u64) -> aws_sdk_s3::config::Builder {
        let limit =
            self.options.complete_timeout + Duration::from_secs(length.div_ceil(SLOWEST_COPY));
        let limits = TimeoutConfig::builder()
            .connect_timeout(self.options.connect_timeout)
            .operation_attempt_timeout(limit)
            .operation_timeout(limit)
            .build();
        aws_sdk_s3::Config::builder().timeout_config(limits)
    }
}

/// Ceph RGW answers a part without a length with 411, also one that has its bytes from an object.
fn say_no_body(request: &mut HttpRequest) {
    request.headers_mut().insert("content-length", "0");
}

/// How many parts an object was made of, by an ETag that tells it.
pub(crate) fn count_parts(etag: &str) -> Option<u64> {
    let (digest, count) = answer::opaque(etag).split_once('-')?;
    answer::as_md5(digest)?;
    count.parse().ok().filter(|count| *count > 0)
}

/// The ETag that an object made of these parts has, unquoted; `None` where that of a part is no MD5. `parts` may come in any
/// order.
pub(crate) fn etag_of_parts(parts: &[UploadedPart]) -> Option<String> {
    let mut parts: Vec<&CompletedPart> = parts.iter().map(|part| &part.0).collect();
    parts.sort_by_key(|part| part.part_number);
    let mut digests = Md5::new();
    for part in &parts {
        let md5 = answer::as_md5(part.e_tag()?)?;
        digests.update(u128::from_str_radix(&md5, 16).ok()?.to_be_bytes());
    }
    let digest = u128::from_be_bytes(digests.finalize().into());
    Some(format!("{digest:032x}-{}", parts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::store::client;

    fn part(number: i32, etag: &str) -> UploadedPart {
        let part = CompletedPart::builder().part_number(number).e_tag(etag);
        UploadedPart(part.build())
    }

    #[test]
    fn etag_of_parts_is_the_digest_of_their_digests() {
        // Of an empty part and of one with the letter a, computed with `printf` and `md5sum`.
        let empty = "\"d41d8cd98f00b204e9800998ecf8427e\"";
        let letter = "\"0CC175B9C0F1B6A831C399E269772661\"";
        let parts = [part(2, letter), part(1, empty)];
        let etag = etag_of_parts(&parts).unwrap();
        assert_eq!(etag, "68083ea43d0307eecfa2b4749f19df15-2");
        assert_eq!(etag_of_parts(&[part(1, "\"of another kind\"")]), None);
    }

    #[test]
    fn number_of_parts_stands_in_the_etag_of_what_was_uploaded_so() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        for (etag, expected) in [
            (format!("\"{md5}-3\""), Some(3)),
            (format!("W/\"{md5}-10000\""), Some(10_000)),
            (format!("{md5}-1"), Some(1)),
            (format!("\"{md5}\""), None),
            (format!("\"{md5}-0\""), None),
            (format!("\"{md5}-x\""), None),
            ("\"some-3\"".to_owned(), None),
        ] {
            assert_eq!(count_parts(&etag), expected, "{etag}");
        }
    }

    fn account(store: &str) -> client::Account {
        let text = format!("[store.main]\nbucket = \"b\"\n{store}");
        let config = Config::from_parts(&text, []).unwrap();
        client::options(&config.store["main"]).account
    }

    #[test]
    fn buckets_of_one_server_are_those_that_the_same_keys_open() {
        let keys = "access_key = \"A\"\nsecret_key = \"S\"";
        let first = format!("endpoint = \"http://127.0.0.1:9000\"\n{keys}");
        for (one, other, is_same) in [
            (&*first, &*first, true),
            (&*first, &*format!("{first}\npart_size = \"16MiB\""), true),
            (
                &*first,
                &*format!("endpoint = \"http://127.0.0.1:9000/\"\n{keys}"),
                true,
            ),
            (
                &*first,
                &*format!("endpoint = \"http://127.0.0.1:9001\"\n{keys}"),
                false,
            ),
            (&*first, &*format!("{first}\nregion = \"other\""), false),
            (
                &*first,
                "endpoint = \"http://127.0.0.1:9000\"\naccess_key = \"B\"\nsecret_key = \"S\"",
                false,
            ),
            (&*first, keys, false),
            ("", "", true),
            ("", keys, false),
            ("", "region = \"eu-west-1\"", false),
            ("", "credentials_file = \"/keys\"", false),
            (
                "credentials_file = \"/keys\"",
                "credentials_file = \"/keys\"",
                true,
            ),
        ] {
            assert_eq!(account(one) == account(other), is_same, "{one}\n{other}");
        }
    }
}
