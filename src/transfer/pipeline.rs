//! A body on its way into a store: read into parts, digested, inspected, sent. It knows no status and no catalog; what has
//! to be remembered of it is told to the attempt.
//!
//! ```text
//!          ┌─▶ digest  (blocking threads)
//! body ─▶ read
//!          └─▶ send    (parts in flight)
//! ```
//! The three are joined: an error in any stage ends all of them, and none outlives [`Pipeline::run`].

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::Result;
use super::attempt::Attempt;
use super::digest::{Digester, Digests};
use super::read::{Part, Reader};
use super::send::{self, Sent};
use crate::format::Inspection;

/// Parts that may wait between two stages. Each holds memory, so one: enough to keep both sides busy.
const WAITING_PARTS: usize = 1;

/// What one body needs to go through.
pub(super) struct Pipeline<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) digester: Digester,
    pub(super) attempt: &'a Arc<Attempt>,
    /// Where requests run that must not be dropped half-way.
    pub(super) tasks: &'a TaskTracker,
}

/// A body that was read to its end: the bytes are in the store or in memory, and nothing is visible yet.
pub(super) struct Taken {
    pub(super) size: u64,
    pub(super) digests: Digests,
    /// What the inspectors saw, if there were any.
    pub(super) inspection: Option<Inspection>,
    pub(super) sent: Sent,
}

impl Pipeline<'_> {
    /// Takes the body in.
    ///
    /// # Errors
    /// The first of what a stage met. Parts may be in the store then; rolling the attempt back removes them.
    pub(super) async fn run<B>(self, body: &mut B) -> Result<Taken>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let (to_digest, digest_parts) = mpsc::channel(WAITING_PARTS);
        let (to_send, send_parts) = mpsc::channel(WAITING_PARTS);
        let (received, digests, sent) = tokio::try_join!(
            self.reader.run(body, to_digest, to_send),
            digest(digest_parts, self.digester),
            send::send_parts(send_parts, self.attempt, self.tasks),
        )?;
        Ok(Taken {
            size: received.size,
            digests,
            inspection: received.inspection,
            sent,
        })
    }
}

async fn digest(mut parts: mpsc::Receiver<Arc<Part>>, mut digester: Digester) -> Result<Digests> {
    while let Some(part) = parts.recv().await {
        digester = digester.update(part.bytes.clone()).await?;
    }
    Ok(digester.finish())
}
