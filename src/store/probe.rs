//! What `oriel check` tries on a store: everything the service depends on, with objects of its own.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Aborted, ByteSpan, Error, Result, Store};
use crate::telemetry::labels::StoreOperation;

/// S3's smallest part that is not the last, bytes.
const SMALLEST_PART: usize = 5 * 1024 * 1024;

/// One thing tried, and how it went.
#[derive(Debug)]
pub(crate) struct Probe {
    /// What was tried, in words for an operator.
    pub step: &'static str,
    /// How it went.
    pub result: Result<()>,
}

impl Store {
    /// Tries a small object, a multipart upload, a range, If-Match and an abort under the store's prefix, and removes
    /// what it made. Stops at the first failure, since the rest would only repeat it.
    pub(crate) async fn probe(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        let key = format!(
            "{}oriel-check/{}",
            self.options.prefix,
            uuid::Uuid::new_v4()
        );
        macro_rules! step {
            ($name:literal, $try:expr) => {
                let result = $try.await;
                let failed = result.is_err();
                probes.push(Probe {
                    step: $name,
                    result,
                });
                if failed {
                    return probes;
                }
            };
        }
        step!("the bucket is there", self.ensure_bucket());
        step!(
            "a small object is stored, read and deleted",
            self.probe_object(&key)
        );
        step!(
            "a multipart upload is completed and read by range",
            self.probe_multipart(&key)
        );
        step!(
            "a read with another ETag is refused",
            self.probe_if_match(&key)
        );
        step!(
            "a multipart upload is aborted and gone from the list",
            self.probe_abort(&key)
        );
        probes
    }

    /// Whether the store compares a request's checksum with its bytes: it is sent a wrong one.
    ///
    /// # Errors
    /// When the store is away, or the object that it took nevertheless cannot be removed.
    pub(crate) async fn verifies_checksums(&self) -> Result<bool> {
        let key = format!(
            "{}oriel-check/{}",
            self.options.prefix,
            uuid::Uuid::new_v4()
        );
        let request = self
            .client
            .put_object()
            .bucket(&self.options.bucket)
            .key(&key)
            .checksum_crc32("AAAAAA==")
            .body(Bytes::from_static(b"oriel check").into());
        match self.call(StoreOperation::PutObject, request.send()).await {
            Ok(_) => self.delete(&key).await.map(|()| false),
            Err(Error::Busy(_) | Error::Other(_)) => Ok(true),
            Err(e) => Err(e),
        }
    }

    async fn probe_object(&self, key: &str) -> Result<()> {
        let bytes = Bytes::from_static(b"oriel check");
        self.put(key, bytes.clone(), metadata()).await?;
        let facts = self.head(key).await?;
        if facts.size != bytes.len() as u64 || facts.metadata != metadata() {
            return Err(unexpected(
                "the object has another size or other metadata than it was given",
            ));
        }
        let span = ByteSpan {
            first: 0,
            last: facts.size - 1,
        };
        let read = read_all(
            self.open(key, facts.size, span, facts.etag.as_deref())
                .await?,
        )
        .await?;
        if read != bytes {
            return Err(unexpected("the object reads back as other bytes"));
        }
        self.delete(key).await
    }

    async fn probe_multipart(&self, key: &str) -> Result<()> {
        let upload = self.create_upload(key, metadata()).await?;
        let first = self
            .upload_part(&upload, 1, Bytes::from(vec![b'a'; SMALLEST_PART]))
            .await?;
        let second = self
            .upload_part(&upload, 2, Bytes::from_static(b"b"))
            .await?;
        self.complete_upload(&upload, vec![first, second]).await?;
        let size = SMALLEST_PART as u64 + 1;
        let span = ByteSpan {
            first: size - 2,
            last: size - 1,
        };
        let read = read_all(self.open(key, size, span, None).await?).await?;
        if read != b"ab" {
            return Err(unexpected("a range over two parts reads other bytes"));
        }
        self.delete(key).await
    }

    async fn probe_if_match(&self, key: &str) -> Result<()> {
        self.put(key, Bytes::from_static(b"x"), metadata()).await?;
        let opened = self
            .open(
                key,
                1,
                ByteSpan { first: 0, last: 0 },
                Some("\"0123456789abcdef0123456789abcdef\""),
            )
            .await;
        self.delete(key).await?;
        match opened {
            Err(Error::Changed) => Ok(()),
            Err(Error::Invalid(_)) | Ok(_) => Err(unexpected("the store ignores If-Match")),
            Err(e) => Err(e),
        }
    }

    async fn probe_abort(&self, key: &str) -> Result<()> {
        let upload = self.create_upload(key, metadata()).await?;
        self.upload_part(&upload, 1, Bytes::from_static(b"x"))
            .await?;
        let aborted = self.abort_upload(&upload).await?;
        if aborted != Aborted::Now || !self.list_uploads(key).await?.is_empty() {
            return Err(unexpected("an aborted upload is still listed"));
        }
        Ok(())
    }
}

fn metadata() -> HashMap<String, String> {
    HashMap::from([("oriel-check".to_owned(), "1".to_owned())])
}

fn unexpected(what: &'static str) -> Error {
    Error::Other(what.into())
}

async fn read_all(mut download: super::Download) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = download.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
