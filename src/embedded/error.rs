//! Trouble of the operating system as S3 errors, and the way of every handler to work that blocks.

use std::io;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// The code of the answer when the disk is full. S3 has none, since its disk never is; this is MinIO's, which clients
/// know. The status is 507, which the SDK does not retry.
const STORAGE_FULL: &str = "XMinioStorageFull";

/// Turns a failure to read or write into the answer to the client, and logs it: the client does not get the details.
pub(super) fn storage(error: io::Error) -> S3Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::warn!(%error, "embedded store: no space left");
            let code = S3ErrorCode::Custom(STORAGE_FULL.into());
            let mut answer = S3Error::with_message(code, "The disk of the embedded store is full.");
            answer.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            answer
        }
        _ => {
            tracing::error!(%error, "embedded store: reading or writing failed");
            S3Error::with_message(
                S3ErrorCode::InternalError,
                "The embedded store cannot read or write its directory.",
            )
        }
    }
}

/// Runs work that touches the disk or takes a lock of the index on a thread for blocking work. Once begun it runs to
/// its end, also when the client goes away: a commit is never cut in two.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(storage(io::Error::other(panic))),
    }
}

pub(super) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist.")
}

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. It may have been aborted or completed, or the upload id is wrong."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_507_and_not_to_be_retried() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let answer = storage(kind.into());
            assert_eq!(answer.status_code(), Some(StatusCode::INSUFFICIENT_STORAGE));
            assert_eq!(answer.code().as_str(), "XMinioStorageFull");
        }
        // Error 28 is ENOSPC.
        assert_eq!(
            storage(io::Error::from_raw_os_error(28)).code().as_str(),
            "XMinioStorageFull"
        );
    }

    #[test]
    fn other_trouble_is_500_without_details() {
        let answer = storage(io::Error::other("/secret/path"));
        assert_eq!(
            answer.status_code(),
            Some(StatusCode::INTERNAL_SERVER_ERROR)
        );
        assert!(!answer.message().unwrap().contains("secret"));
    }
}
