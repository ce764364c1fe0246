//! An S3 server inside the process, on a directory: for a laptop, for tests and for a small site.
//!
//! It exists so that there is one data path: the real SDK speaks S3's wire format to it over a loopback port, as it
//! would to any other store. Crate `s3s` speaks the protocol (routing, signatures, XML, `aws-chunked`); the modules
//! here keep the bytes. It is *not* for many machines, and has no versions, ACLs, tags, lifecycle or encryption: what
//! it does not do is answered with `NotImplemented`.
//!
//! # What is on disk
//!
//! ```text
//! lock                                   held by the one process that serves the directory
//! format                                 the number of this layout
//! credentials.json                       the key pair, mode 0600
//! tmp/                                   files being written, buckets being removed; emptied at start
//! buckets/{bucket}/bucket.json
//! buckets/{bucket}/objects/{sha256 of the key}.json       manifest: key, ETag, metadata, list of parts
//! buckets/{bucket}/data/{id}/{number}-{sequence}-{md5}    the bytes, one file per part
//! buckets/{bucket}/data/{id}/upload.json                  there while the upload is open
//! ```
//!
//! A key never becomes a path; its digest does, so keys may hold anything. An upload gathers its parts in the
//! directory that the finished object keeps: CompleteMultipartUpload moves and copies no data. The **only commit point
//! is the rename of a manifest**. What no manifest and no `upload.json` refers to is left over from a crash, and is
//! removed at the next start. Every manifest is also kept in memory, sorted by key: lookups and listings read no disk.
//!
//! A replaced or deleted object disappears from disk when its last reader is done.
//!
//! # What survives what
//!
//! Success is answered after `fdatasync` of the data, then `fsync` of the manifest and of the directories that name
//! them: an acknowledged object survives `kill -9` and power loss alike. Each part is synced before *it* is
//! acknowledged, while others are still arriving, so completion stays short whatever the size of the object. The price
//! is that uploads run no faster than the disk; a catalog that calls an image `active` over bytes that were only in
//! the page cache would cost more.

mod buckets;
mod conditions;
mod copy;
mod credentials;
mod error;
mod index;
mod layout;
mod listing;
mod multipart;
mod objects;
mod read;
mod receive;
mod records;
mod recover;
mod server;
mod service;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use self::credentials::Credentials;
use self::server::Server;

/// Why the embedded store could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the lock of the directory.
    #[error("{} is already served by another process", .0.display())]
    InUse(PathBuf),
    /// The directory was written by a version of this program with another layout.
    #[error("{} has layout {found:?}, and this version knows only {known:?}", .path.display())]
    Layout {
        /// The directory of the store.
        path: PathBuf,
        /// The layout it says it has.
        found: String,
        /// The layout of this version.
        known: &'static str,
    },
    /// A record that is always written whole cannot be read back; starting without it would lose its data.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gave no random bytes for the credentials.
    #[error("no random bytes for the credentials")]
    Random,
}

/// A running S3 server on a directory. Dropping it closes every connection at once; [`stop`](Self::stop) is gentler.
pub struct EmbeddedStore {
    server: Server,
    credentials: Credentials,
}

impl EmbeddedStore {
    /// Opens `dir`, making it if need be, and serves it on `listen` (port 0: any free port). Must be called within a
    /// Tokio runtime. Buckets are made by S3's own CreateBucket.
    ///
    /// # Errors
    /// `Error::InUse` when another process serves the directory; the other variants say what is broken.
    pub async fn start(dir: &Path, listen: SocketAddr) -> Result<Self, Error> {
        let path = dir.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let layout = layout::Layout::open(&path)?;
            let credentials = Credentials::load_or_create(&layout)?;
            Ok((recover::load(layout)?, credentials))
        });
        let (store, credentials) = opened.await.unwrap_or_else(|panic| {
            Err(Error::Io {
                path: dir.to_owned(),
                source: io::Error::other(panic),
            })
        })?;
        let server = Server::start(store, &credentials, listen).await?;
        Ok(Self {
            server,
            credentials,
        })
    }

    /// The URL to give to S3 clients, such as `http://127.0.0.1:40123`; they must use path-style addresses.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The access key, made when the directory was first used.
    pub fn access_key(&self) -> &str {
        self.credentials.access_key()
    }

    /// The secret key; requests must be signed with it (Signature Version 4).
    pub fn secret_key(&self) -> &str {
        self.credentials.secret_key()
    }

    /// Accepts no more connections, lets requests that run finish for a few seconds, then closes what is left and
    /// releases the directory.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("endpoint", &self.endpoint())
            .finish_non_exhaustive()
    }
}
