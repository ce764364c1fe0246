//! Conditional requests: RFC 9110, section 13, as S3 has them.

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use time::OffsetDateTime;

use super::error::no_such_key;
use super::records::Manifest;

/// The conditions of a read, from whatever headers carry them.
#[derive(Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Checks them in the order of RFC 9110, section 13.2.2.
    ///
    /// # Errors
    /// `PreconditionFailed`, or `NotModified` with the headers that a 304 must have.
    pub(super) fn check(&self, manifest: &Manifest) -> S3Result<()> {
        let is_later = |since: &Timestamp| {
            let since: OffsetDateTime = since.clone().into();
            manifest.modified.seconds() > since.unix_timestamp()
        };
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, &manifest.etag) => {
                return Err(precondition_failed());
            }
            (None, Some(since)) if is_later(since) => return Err(precondition_failed()),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, &manifest.etag) => {
                Err(not_modified(manifest))
            }
            (None, Some(since)) if !is_later(since) => Err(not_modified(manifest)),
            _ => Ok(()),
        }
    }
}

/// The conditions of a write.
pub(super) struct WriteConditions {
    if_match: Option<ETagCondition>,
    must_be_new: bool,
}

impl WriteConditions {
    /// # Errors
    /// `NotImplemented` for an `If-None-Match` with an ETag, which S3 does not have on writes.
    pub(super) fn new(
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
    ) -> S3Result<Self> {
        let must_be_new = match if_none_match {
            None => false,
            Some(ETagCondition::Any) => true,
            Some(ETagCondition::ETag(_)) => {
                return Err(s3_error!(
                    NotImplemented,
                    "On a write, If-None-Match can only be *."
                ));
            }
        };
        Ok(Self {
            if_match,
            must_be_new,
        })
    }

    /// Checks them against the object that would be replaced.
    pub(super) fn check(&self, present: Option<&Manifest>) -> S3Result<()> {
        match (present, &self.if_match) {
            (Some(_), _) if self.must_be_new => Err(precondition_failed()),
            (None, Some(_)) => Err(no_such_key()),
            (Some(manifest), Some(condition)) if !matches(condition, &manifest.etag) => {
                Err(precondition_failed())
            }
            _ => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the preconditions you specified did not hold."
    )
}

fn not_modified(manifest: &Manifest) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    if let Ok(etag) = ETag::Strong(manifest.etag.clone()).to_http_header() {
        error.set_headers(HeaderMap::from_iter([(header::ETAG, etag)]));
    }
    error
}

/// The header of a 416 (RFC 9110, section 15.5.17).
pub(super) fn range_not_satisfiable(size: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable.");
    let mut headers = HeaderMap::from_iter([(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    )]);
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{size}")) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    error.set_headers(headers);
    error
}
