//! What an S3 server's answers mean. The only place that reads their status and error codes: one table, first row that
//! fits, and a test for every row.
//!
//! A store is not believed further than its answer goes. Not there is what the store says in its own words, never the
//! bare 404 of some gateway on the way; what cannot be understood is no failure of the operation either: whoever wrote
//! something has to look.

use std::ops::RangeInclusive;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_types::retry::ErrorKind;

use crate::telemetry::labels::{StoreOperation, StoreOutcome};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked, by what the caller may do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The object (or the multipart upload) is not there: the store itself says so.
    #[error("not in the store")]
    Missing,
    /// The store refuses us: credentials or rights.
    #[error("the store denies access")]
    Denied(#[source] Source),
    /// No room left, or over the store's quota. Only of what writes.
    #[error("the store is full")]
    Full(#[source] Source),
    /// The object is not the one that was meant (If-Match).
    #[error("the object has changed")]
    Changed,
    /// Overloaded, away or too slow, after the retries; the same call may work later.
    #[error("the store is not available")]
    Busy(#[source] Source),
    /// The answer does not fit what was asked: another range, length, ETag or document. What was done is not known.
    #[error("the store's answer is not what was asked for")]
    Invalid(#[source] Source),
    /// A fault of the configuration or of ours: no bucket, a request the store does not take.
    #[error("the store refuses the request")]
    Other(#[source] Source),
}

impl Error {
    /// The class as metrics count it.
    pub(crate) fn outcome(&self) -> StoreOutcome {
        match self {
            Error::Missing => StoreOutcome::Missing,
            Error::Denied(_) => StoreOutcome::Denied,
            Error::Full(_) => StoreOutcome::Full,
            Error::Changed => StoreOutcome::Changed,
            Error::Busy(_) => StoreOutcome::Busy,
            Error::Invalid(_) => StoreOutcome::Invalid,
            Error::Other(_) => StoreOutcome::Other,
        }
    }

    /// A transfer that broke or stalled after its head had arrived.
    pub(super) fn broken(why: impl Into<Source>) -> Self {
        Error::Busy(why.into())
    }

    /// An answer that does not fit its request.
    pub(crate) fn invalid(why: impl Into<Source>) -> Self {
        Error::Invalid(why.into())
    }

    /// Reads the error of an operation.
    pub(super) fn read<E>(operation: StoreOperation, e: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let class = match &e {
            SdkError::ServiceError(answer) => classify(
                operation,
                answer.raw().status().as_u16(),
                answer.err().code().unwrap_or_default(),
            ),
            // A request that could not even be built is our fault; without credentials none can be signed.
            SdkError::ConstructionFailure(_) => Class::Other,
            SdkError::ResponseError(_) => Class::Invalid,
            // Timeouts, refused or broken connections.
            _ => Class::Busy,
        };
        match class {
            Class::Missing => Error::Missing,
            Class::Denied => Error::Denied(e.into()),
            Class::Full => Error::Full(e.into()),
            Class::Changed => Error::Changed,
            Class::Busy => Error::Busy(e.into()),
            Class::Invalid => Error::Invalid(e.into()),
            Class::Other => Error::Other(e.into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Missing,
    Denied,
    Full,
    Changed,
    Busy,
    Invalid,
    Other,
}

/// The operations that a row is about.
#[derive(Debug, Clone, Copy)]
enum Of {
    Any,
    /// What takes room in the store.
    Writes,
    /// What is answered without a body, and so without a code.
    Heads,
    /// What is sent with a condition.
    Conditional,
}

impl Of {
    fn includes(self, operation: StoreOperation) -> bool {
        use StoreOperation as Op;
        match self {
            Of::Any => true,
            Of::Writes => matches!(
                operation,
                Op::PutObject
                    | Op::CopyObject
                    | Op::CreateUpload
                    | Op::UploadPart
                    | Op::CopyPart
                    | Op::CompleteUpload
                    | Op::CreateBucket
            ),
            Of::Heads => matches!(operation, Op::HeadObject | Op::HeadBucket),
            Of::Conditional => matches!(
                operation,
                Op::GetObject | Op::HeadObject | Op::CopyObject | Op::CopyPart
            ),
        }
    }
}

struct Row {
    status: RangeInclusive<u16>,
    /// Error codes of S3; none stands for every code.
    codes: &'static [&'static str],
    of: Of,
    class: Class,
}

const fn row(
    status: RangeInclusive<u16>,
    codes: &'static [&'static str],
    of: Of,
    class: Class,
) -> Row {
    Row {
        status,
        codes,
        of,
        class,
    }
}

const ANY: RangeInclusive<u16> = 0..=999;

const NO_ROOM: &[&str] = &[
    "QuotaExceeded",
    "QuotaExceededException",
    "InsufficientCapacity",
    "InsufficientStorage",
    "StorageFull",
    "XMinioStorageFull",
    "XMinioStorageQuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
];

const PASSING: &[&str] = &[
    "InternalError",
    "ServiceUnavailable",
    "SlowDown",
    "OperationAborted",
    "BadDigest",
    // The clock of one side is off, or a request was too slow on the way: not a refusal for good.
    "RequestTimeTooSkewed",
    "RequestTimeout",
];

/// What an error answer means: the first row that fits.
const TABLE: &[Row] = &[
    // An error code counts under whatever status: CompleteMultipartUpload and copies send errors under 200.
    row(ANY, &["NoSuchKey", "NoSuchUpload"], Of::Any, Class::Missing),
    // A missing bucket is a fault of the site, not a missing object.
    row(ANY, &["NoSuchBucket"], Of::Any, Class::Other),
    row(404..=404, &[], Of::Heads, Class::Missing),
    row(
        ANY,
        &["PreconditionFailed"],
        Of::Conditional,
        Class::Changed,
    ),
    row(412..=412, &[], Of::Conditional, Class::Changed),
    row(ANY, NO_ROOM, Of::Writes, Class::Full),
    row(507..=507, &[], Of::Writes, Class::Full),
    row(ANY, NO_ROOM, Of::Any, Class::Busy),
    row(ANY, PASSING, Of::Any, Class::Busy),
    row(401..=401, &[], Of::Any, Class::Denied),
    row(403..=403, &[], Of::Any, Class::Denied),
    // Not in the words of S3: some gateway on the way.
    row(404..=404, &[], Of::Any, Class::Invalid),
    row(408..=409, &[], Of::Any, Class::Busy),
    // The object is shorter than it was.
    row(416..=416, &[], Of::Any, Class::Invalid),
    row(429..=429, &[], Of::Any, Class::Busy),
    row(501..=501, &[], Of::Any, Class::Other),
    row(500..=599, &[], Of::Any, Class::Busy),
    // Success in a form that cannot be read, or 304 to what had no condition.
    row(100..=299, &[], Of::Any, Class::Invalid),
    row(304..=304, &[], Of::Any, Class::Invalid),
    // Redirects, and requests that the store does not take.
    row(ANY, &[], Of::Any, Class::Other),
];

fn classify(operation: StoreOperation, status: u16, code: &str) -> Class {
    find_row(operation, status, code).map_or(Class::Other, |at| TABLE[at].class)
}

fn find_row(operation: StoreOperation, status: u16, code: &str) -> Option<usize> {
    TABLE.iter().position(|row| {
        row.status.contains(&status)
            && (row.codes.is_empty() || row.codes.contains(&code))
            && row.of.includes(operation)
    })
}

/// Retries what the SDK does not: 408, 429, and success that cannot be read. Keeps to a `Retry-After` in seconds, as
/// far as the longest pause of the client goes.
#[derive(Debug)]
pub(super) struct PassingAnswers;

impl ClassifyRetry for PassingAnswers {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let (Some(Err(_)), Some(answer)) = (context.output_or_error(), context.response()) else {
            return RetryAction::NoActionIndicated;
        };
        let Some(kind) = retry_kind(answer.status().as_u16()) else {
            return RetryAction::NoActionIndicated;
        };
        match answer.headers().get("retry-after").and_then(seconds) {
            Some(pause) => RetryAction::retryable_error_with_explicit_delay(kind, pause),
            None => RetryAction::retryable_error(kind),
        }
    }

    fn name(&self) -> &'static str {
        "answers of S3 servers that pass"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

fn retry_kind(status: u16) -> Option<ErrorKind> {
    match status {
        429 => Some(ErrorKind::ThrottlingError),
        200..=299 | 408 | 500 | 502..=504 => Some(ErrorKind::TransientError),
        _ => None,
    }
}

fn seconds(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use StoreOperation as Op;

    /// An answer for every row of the table, in its order.
    const EXAMPLES: &[(Op, u16, &str, Class)] = &[
        (Op::GetObject, 404, "NoSuchKey", Class::Missing),
        (Op::GetObject, 404, "NoSuchBucket", Class::Other),
        (Op::HeadObject, 404, "NotFound", Class::Missing),
        (Op::GetObject, 409, "PreconditionFailed", Class::Changed),
        (Op::GetObject, 412, "", Class::Changed),
        (Op::PutObject, 403, "QuotaExceeded", Class::Full),
        (Op::CompleteUpload, 507, "Anything", Class::Full),
        (Op::GetObject, 403, "QuotaExceeded", Class::Busy),
        (Op::CompleteUpload, 200, "InternalError", Class::Busy),
        (Op::PutObject, 401, "", Class::Denied),
        (Op::HeadObject, 403, "", Class::Denied),
        (Op::GetObject, 404, "", Class::Invalid),
        (Op::CompleteUpload, 409, "Anything", Class::Busy),
        (Op::GetObject, 416, "InvalidRange", Class::Invalid),
        (Op::ListUploads, 429, "", Class::Busy),
        (Op::PutObject, 501, "NotImplemented", Class::Other),
        (Op::DeleteObject, 503, "", Class::Busy),
        (Op::CompleteUpload, 200, "", Class::Invalid),
        (Op::GetObject, 304, "", Class::Invalid),
        (Op::PutObject, 301, "PermanentRedirect", Class::Other),
    ];

    #[test]
    fn every_row_of_the_table_is_reached_and_says_what_is_meant() {
        assert_eq!(EXAMPLES.len(), TABLE.len());
        for (at, (operation, status, code, class)) in EXAMPLES.iter().enumerate() {
            let found = find_row(*operation, *status, code);
            assert_eq!(found, Some(at), "{operation:?} {status} {code}");
            assert_eq!(TABLE[at].class, *class, "{operation:?} {status} {code}");
        }
    }

    /// The pairs that differ by the operation or the words of the store alone.
    #[test]
    fn same_status_means_another_thing_elsewhere() {
        for (operation, status, code, class) in [
            (Op::GetObject, 507, "", Class::Busy),
            (Op::DeleteObject, 507, "", Class::Busy),
            (Op::UploadPart, 507, "", Class::Full),
            (Op::AbortUpload, 404, "NoSuchUpload", Class::Missing),
            (Op::AbortUpload, 404, "NotFound", Class::Invalid),
            (Op::DeleteObject, 404, "", Class::Invalid),
            (Op::UploadPart, 404, "NoSuchUpload", Class::Missing),
            (Op::CopyObject, 404, "NoSuchKey", Class::Missing),
            (Op::CopyObject, 412, "PreconditionFailed", Class::Changed),
            (Op::CopyPart, 412, "PreconditionFailed", Class::Changed),
            (Op::CopyPart, 200, "AccessDenied", Class::Invalid),
            (Op::CopyObject, 200, "SlowDown", Class::Busy),
            (Op::CopyObject, 507, "", Class::Full),
            (Op::PutObject, 412, "PreconditionFailed", Class::Other),
            (Op::PutObject, 400, "InvalidRequest", Class::Other),
            (Op::GetObject, 307, "", Class::Other),
        ] {
            let found = classify(operation, status, code);
            assert_eq!(found, class, "{operation:?} {status} {code}");
        }
    }

    #[test]
    fn retry_is_for_what_passes_and_for_success_that_cannot_be_read() {
        for status in [200, 206, 408, 429, 500, 502, 503, 504] {
            assert!(retry_kind(status).is_some(), "{status}");
        }
        for status in [301, 400, 403, 404, 409, 412, 416, 501, 507] {
            assert!(retry_kind(status).is_none(), "{status}");
        }
        assert_eq!(seconds(" 2 "), Some(Duration::from_secs(2)));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
