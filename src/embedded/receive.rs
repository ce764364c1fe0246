//! From the body of a request to a temporary file: written, hashed, checked and synced, but not yet visible.
//!
//! Bytes are gathered to about a mebibyte, then written and hashed in one step on a thread for blocking work, while
//! the next mebibyte arrives. That bounds the memory of an upload to two batches and costs one hand-over per batch.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use aws_smithy_types::base64;
use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use md5::Digest;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto::{Checksum, ChecksumAlgorithm, StreamingBlob};
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};
use tokio::task::JoinHandle;

use super::error::{blocking, storage};
use super::index::Store;
use super::layout::TempFile;
use super::records::Md5;

/// How many bytes are written and hashed in one step. Larger steps were not faster.
const BATCH_BYTES: usize = 1024 * 1024;

/// The largest body S3 takes in one request.
const MAX_BODY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// How much of a refused body is still read, so that the client sees the refusal and not a broken connection.
const DRAIN_BYTES: usize = 64 * 1024 * 1024;

/// What the client promised about a body.
pub(super) struct Promise {
    pub(super) length: Option<i64>,
    /// `Content-MD5`, as it came.
    pub(super) md5: Option<String>,
    /// The algorithm that was announced, be its value in a header or in a trailer.
    pub(super) algorithm: Option<ChecksumAlgorithm>,
    /// Values from headers.
    pub(super) checksums: Checksum,
    /// Values from trailers, once the body has been read.
    pub(super) trailers: Option<TrailingHeaders>,
}

impl Promise {
    /// So many bytes, and nothing else.
    pub(super) fn of_length(length: u64) -> Self {
        Self {
            length: i64::try_from(length).ok(),
            md5: None,
            algorithm: None,
            checksums: Checksum::default(),
            trailers: None,
        }
    }
}

/// A body on disk that kept every promise. Dropping it removes the file.
pub(super) struct Received {
    pub(super) file: TempFile,
    pub(super) size: u64,
    pub(super) md5: Md5,
    /// Those checksums that the client asked for, for the answer.
    pub(super) checksums: Checksum,
}

/// Refuses a request that has a body, after reading some of the body.
pub(super) async fn refuse(body: Option<StreamingBlob>, error: S3Error) -> S3Error {
    if let Some(mut body) = body {
        drain(&mut body).await;
    }
    error
}

/// Reads a body into a temporary file.
///
/// # Errors
/// Whatever was promised and not kept; nothing is left behind then.
pub(super) async fn receive(
    store: &Arc<Store>,
    body: Option<StreamingBlob>,
    promise: Promise,
) -> S3Result<Received> {
    let Some(mut body) = body else {
        return Err(s3_error!(IncompleteBody, "The request has no body."));
    };
    match receive_from(store, &mut body, promise).await {
        Ok(received) => Ok(received),
        Err(error) => {
            drain(&mut body).await;
            Err(error)
        }
    }
}

async fn receive_from(
    store: &Arc<Store>,
    body: &mut StreamingBlob,
    promise: Promise,
) -> S3Result<Received> {
    let expected_md5 = promise.md5.as_deref().map(parse_content_md5).transpose()?;
    let expected_length = promise.length.and_then(|n| u64::try_from(n).ok());
    if expected_length.is_some_and(|n| n > MAX_BODY_BYTES) {
        return Err(s3_error!(
            EntityTooLarge,
            "One request carries at most 5 GiB."
        ));
    }

    let hasher = Box::new(hasher_for(&promise));
    let shared = Arc::clone(store);
    let mut writer =
        Step::Done(blocking(move || Writer::create(&shared, hasher).map_err(storage)).await?);

    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    let mut size = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|source| {
            s3_error!(
                IncompleteBody,
                "The body ended early, or does not match its signature: {source}"
            )
        })?;
        size += chunk.len() as u64;
        if size > expected_length.unwrap_or(MAX_BODY_BYTES) {
            return Err(s3_error!(
                IncompleteBody,
                "The body is longer than announced."
            ));
        }
        batch_bytes += chunk.len();
        batch.push(chunk);
        if batch_bytes >= BATCH_BYTES {
            writer = writer.finish().await?.start(mem::take(&mut batch));
            batch_bytes = 0;
        }
    }
    if expected_length.is_some_and(|n| n != size) {
        return Err(s3_error!(
            IncompleteBody,
            "The body is shorter than announced."
        ));
    }

    let writer = writer.finish().await?;
    let (file, md5, checksums) = blocking(move || writer.seal(batch).map_err(storage)).await?;
    if expected_md5.is_some_and(|expected| expected != md5) {
        return Err(s3_error!(
            BadDigest,
            "The Content-MD5 you specified did not match what we received."
        ));
    }
    check(&promise, &checksums)?;
    Ok(Received {
        file,
        size,
        md5,
        checksums,
    })
}

/// Reads on, up to a bound. A client that writes while nobody reads would get a reset instead of the answer.
async fn drain(body: &mut StreamingBlob) {
    let mut drained = 0;
    while let Some(Ok(chunk)) = body.next().await {
        drained += chunk.len();
        if drained > DRAIN_BYTES {
            break;
        }
    }
}

/// The file and the digests on their way.
struct Writer {
    file: TempFile,
    md5: md5::Md5,
    /// Boxed for its size: the writer goes back and forth between threads.
    checksums: Box<ChecksumHasher>,
}

/// A writer at rest, or at work on a batch.
enum Step {
    Done(Writer),
    Running(JoinHandle<io::Result<Writer>>),
}

impl Writer {
    fn create(store: &Store, checksums: Box<ChecksumHasher>) -> io::Result<Self> {
        let file = TempFile::create(&store.layout)?;
        Ok(Self {
            file,
            md5: md5::Md5::new(),
            checksums,
        })
    }

    fn start(self, batch: Vec<Bytes>) -> Step {
        Step::Running(tokio::task::spawn_blocking(move || self.write(batch)))
    }

    fn write(mut self, batch: Vec<Bytes>) -> io::Result<Self> {
        for chunk in batch {
            self.file.get_mut().write_all(&chunk)?;
            self.md5.update(&chunk);
            self.checksums.update(&chunk);
        }
        Ok(self)
    }

    /// Writes the last batch and makes the contents durable.
    fn seal(self, batch: Vec<Bytes>) -> io::Result<(TempFile, Md5, Checksum)> {
        let mut done = self.write(batch)?;
        done.file.get_mut().sync_data()?;
        Ok((
            done.file,
            Md5(done.md5.finalize().into()),
            done.checksums.finalize(),
        ))
    }
}

impl Step {
    async fn finish(self) -> S3Result<Writer> {
        match self {
            Self::Done(writer) => Ok(writer),
            Self::Running(task) => match task.await {
                Ok(result) => result.map_err(storage),
                Err(panic) => Err(storage(io::Error::other(panic))),
            },
        }
    }
}

fn parse_content_md5(header: &str) -> S3Result<Md5> {
    base64::decode(header)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .map(Md5)
        .ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid."))
}

/// Digests for every checksum that was promised, in whatever way.
fn hasher_for(promise: &Promise) -> ChecksumHasher {
    let announced = promise.algorithm.as_ref().map(ChecksumAlgorithm::as_str);
    let wants = |header: &Option<String>, name| header.is_some() || announced == Some(name);
    let Checksum {
        checksum_crc32,
        checksum_crc32c,
        checksum_crc64nvme,
        checksum_sha1,
        checksum_sha256,
        ..
    } = &promise.checksums;
    ChecksumHasher {
        crc32: wants(checksum_crc32, ChecksumAlgorithm::CRC32).then(s3s::crypto::Crc32::new),
        crc32c: wants(checksum_crc32c, ChecksumAlgorithm::CRC32C).then(s3s::crypto::Crc32c::new),
        crc64nvme: wants(checksum_crc64nvme, ChecksumAlgorithm::CRC64NVME)
            .then(s3s::crypto::Crc64Nvme::new),
        sha1: wants(checksum_sha1, ChecksumAlgorithm::SHA1).then(s3s::crypto::Sha1::new),
        sha256: wants(checksum_sha256, ChecksumAlgorithm::SHA256).then(s3s::crypto::Sha256::new),
    }
}

/// Compares what was computed with what was promised in headers and trailers.
fn check(promise: &Promise, computed: &Checksum) -> S3Result<()> {
    let trailers = promise
        .trailers
        .as_ref()
        .and_then(TrailingHeaders::take)
        .unwrap_or_default();
    let promised = &promise.checksums;
    let all = [
        (
            "x-amz-checksum-crc32",
            &promised.checksum_crc32,
            &computed.checksum_crc32,
        ),
        (
            "x-amz-checksum-crc32c",
            &promised.checksum_crc32c,
            &computed.checksum_crc32c,
        ),
        (
            "x-amz-checksum-crc64nvme",
            &promised.checksum_crc64nvme,
            &computed.checksum_crc64nvme,
        ),
        (
            "x-amz-checksum-sha1",
            &promised.checksum_sha1,
            &computed.checksum_sha1,
        ),
        (
            "x-amz-checksum-sha256",
            &promised.checksum_sha256,
            &computed.checksum_sha256,
        ),
    ];
    for (name, in_header, computed) in all {
        let expected = in_header.as_deref().or_else(|| text(&trailers, name));
        if let (Some(expected), Some(computed)) = (expected, computed)
            && expected != computed
        {
            return Err(s3_error!(
                BadDigest,
                "The {name} you specified did not match what we received."
            ));
        }
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
