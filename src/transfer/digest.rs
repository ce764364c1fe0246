//! Digests of the stream: MD5 for `checksum`, SHA-512 or SHA-256 for `os_hash_value`.
//!
//! Callers see a [`Digester`] per stream that takes parts in order. How the work is done is this module's alone, so that
//! one engine for many streams can take its place.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use ring::digest::{Context, SHA256, SHA512};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Result;
use crate::config::HashAlgorithm;

/// Below this a hop to another thread costs more than the hashing.
const INLINE_LIMIT: usize = 64 * 1024;

/// Bounds the streams that hash at once, two threads each: more of them would only take turns on the cores.
pub(super) struct DigestPool {
    slots: Arc<Semaphore>,
}

/// The digests of one stream so far.
pub(super) struct Digester {
    slots: Arc<Semaphore>,
    algorithm: HashAlgorithm,
    md5: Md5,
    hash: Context,
}

/// The finished digests, hex.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) checksum: String,
    pub(super) algorithm: HashAlgorithm,
    pub(super) hash: String,
}

impl DigestPool {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            slots: Arc::new(Semaphore::new(cores)),
        }
    }

    pub(super) fn start(&self, algorithm: HashAlgorithm) -> Digester {
        let kind = match algorithm {
            HashAlgorithm::Sha512 => &SHA512,
            HashAlgorithm::Sha256 => &SHA256,
        };
        Digester {
            slots: Arc::clone(&self.slots),
            algorithm,
            md5: Md5::new(),
            hash: Context::new(kind),
        }
    }
}

impl Digester {
    /// Takes the next bytes; both digests at once on blocking threads.
    pub(super) async fn update(mut self, bytes: Bytes) -> Result<Self> {
        if bytes.len() <= INLINE_LIMIT {
            self.md5.update(&bytes);
            self.hash.update(&bytes);
            return Ok(self);
        }
        let Digester {
            slots,
            algorithm,
            mut md5,
            mut hash,
        } = self;
        let same = bytes.clone();
        let _slot = Arc::clone(&slots)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let md5_done = spawn_blocking(move || {
            md5.update(&bytes);
            md5
        });
        let hash_done = spawn_blocking(move || {
            hash.update(&same);
            hash
        });
        let (md5, hash) = tokio::try_join!(md5_done, hash_done)?;
        Ok(Digester {
            slots,
            algorithm,
            md5,
            hash,
        })
    }

    pub(super) fn finish(self) -> Digests {
        Digests {
            checksum: hex(&self.md5.finalize()),
            algorithm: self.algorithm,
            hash: hex(self.hash.finish().as_ref()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn digests_do_not_depend_on_how_the_stream_is_cut() {
        let data = Bytes::from_iter((0..300_000_u32).map(|n| n as u8));
        let pool = DigestPool::new();
        let whole = pool
            .start(HashAlgorithm::Sha512)
            .update(data.clone())
            .await
            .unwrap()
            .finish();
        let mut cut = pool.start(HashAlgorithm::Sha512);
        for piece in [
            data.slice(..7),
            data.slice(7..200_000),
            data.slice(200_000..),
        ] {
            cut = cut.update(piece).await.unwrap();
        }
        assert_eq!(cut.finish(), whole);
    }

    #[test]
    fn the_empty_stream_has_the_well_known_digests() {
        let digests = DigestPool::new().start(HashAlgorithm::Sha256).finish();
        assert_eq!(digests.checksum, "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            digests.hash,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
