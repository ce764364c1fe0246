//! What an S3 server's errors mean. The only place that reads them.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::telemetry::labels::StoreOutcome;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked, by what the caller may do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object (or the multipart upload) is not there.
    #[error("not in the store")]
    Missing,
    /// The store refuses us: credentials or rights.
    #[error("the store denies access")]
    Denied(#[source] Source),
    /// No room left, or over the store's quota.
    #[error("the store is full")]
    Full(#[source] Source),
    /// The object is not the one that was meant (If-Match).
    #[error("the object has changed")]
    Changed,
    /// Overloaded, away or too slow, after the retries; the same call may work later.
    #[error("the store is not available")]
    Busy(#[source] Source),
    /// A fault of the configuration or of ours: no bucket, a request the store does not take.
    #[error("the store refuses the request")]
    Other(#[source] Source),
}

impl Error {
    /// The class as metrics count it.
    pub fn outcome(&self) -> StoreOutcome {
        match self {
            Error::Missing => StoreOutcome::Missing,
            Error::Denied(_) => StoreOutcome::Denied,
            Error::Full(_) => StoreOutcome::Full,
            Error::Changed => StoreOutcome::Changed,
            Error::Busy(_) => StoreOutcome::Busy,
            Error::Other(_) => StoreOutcome::Other,
        }
    }

    /// A transfer that broke or stalled after its head had arrived.
    pub(super) fn broken(why: impl Into<Source>) -> Self {
        Error::Busy(why.into())
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(e: SdkError<E, HttpResponse>) -> Self {
        let (status, code) = match &e {
            SdkError::ServiceError(answer) => (
                answer.raw().status().as_u16(),
                answer.err().code().unwrap_or_default(),
            ),
            // A request that could not even be built is our fault; without credentials none can be signed.
            SdkError::ConstructionFailure(_) => return Error::Other(e.into()),
            // Timeouts, refused or broken connections, answers that are no S3.
            _ => return Error::Busy(e.into()),
        };
        match (status, code) {
            (_, "NoSuchKey" | "NoSuchUpload") => Error::Missing,
            // A missing bucket is a fault of the site, not a missing object.
            (_, "NoSuchBucket") => Error::Other(e.into()),
            (_, "PreconditionFailed") | (412, _) => Error::Changed,
            (507, _)
            | (
                _,
                "QuotaExceeded"
                | "InsufficientCapacity"
                | "InsufficientStorage"
                | "StorageFull"
                | "XMinioStorageFull"
                | "XMinioStorageQuotaExceeded"
                | "XMinioAdminBucketQuotaExceeded"
                | "QuotaExceededException",
            ) => Error::Full(e.into()),
            // The clock of one side is off, or a request was too slow on the way: not a refusal for good.
            (
                _,
                "RequestTimeTooSkewed"
                | "RequestTimeout"
                | "SlowDown"
                | "OperationAborted"
                | "BadDigest",
            ) => Error::Busy(e.into()),
            (401 | 403, _) => Error::Denied(e.into()),
            (404, _) => Error::Missing,
            (408 | 409 | 429 | 500..=599, _) => Error::Busy(e.into()),
            _ => Error::Other(e.into()),
        }
    }
}
