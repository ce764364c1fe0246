//! Data that an import brings into a store: an attempt like an upload's, with another source in place of the client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::import::Progress;
use super::ingest::{Sender, conclude, review};
use super::{Error, Result, Transfers, cleanup};
use crate::catalog::{Limits, Purpose};
use crate::image::{Image, ProjectId, StoreId};
use crate::net::{Broken, Pace};
use crate::unpack::{Packing, UnpackBounds, Unpacked};

/// How many times the pause of a client a source may make.
const PATIENCE: u32 = 10;

/// Why a source gives no more, in words for who asked for the import.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a source.
pub(super) type Data = UnsyncBoxBody<Bytes, Cause>;

/// What is to be brought in.
pub(super) struct Incoming<'a> {
    /// The image, as it was last seen.
    pub image: &'a Image,
    /// The task that it is for.
    pub task: &'a str,
    /// What becomes of the bytes.
    pub purpose: Purpose,
    /// What the image's owner may hold.
    pub limits: Limits,
    /// The store to hold them.
    pub store: &'a StoreId,
    /// How far the import is.
    pub progress: &'a Progress,
    /// Told when the import is to stop.
    pub halt: &'a CancellationToken,
}

/// A source whose first bytes have come.
pub(super) struct Opened {
    /// The bytes.
    pub body: Data,
    /// How many there are; `None` when nobody knows.
    pub length: Option<u64>,
}

impl Opened {
    /// A body that is unpacked where its first bytes say that it is packed; gives how as well. At most `cap` bytes come out.
    ///
    /// # Errors
    /// [`Error::Stalled`] when nothing is unpacked within `patience`; [`Error::Import`] when the first bytes do not come, or cannot be
    /// unpacked.
    pub(super) async fn unpacked(
        body: Data,
        length: Option<u64>,
        cap: u64,
        patience: Duration,
    ) -> Result<(Self, Option<Packing>)> {
        let mut body = Unpacked::new(body, UnpackBounds::within(cap));
        let first = tokio::time::timeout(patience, body.frame()).await;
        let first = first.map_err(|_| Error::Stalled(patience))?.transpose();
        let first = first.map_err(|e| Error::Import(e.to_string()))?;
        let packing = body.packing();
        let frames = stream::iter(first.map(Ok)).chain(BodyStream::new(body));
        let opened = Self {
            body: StreamBody::new(frames.map_err(Cause::from)).boxed_unsync(),
            length: length.filter(|_| packing.is_none()),
        };
        Ok((opened, packing))
    }
}

impl Transfers {
    /// How long a source may be silent, all its tries together.
    pub(super) fn patience(&self) -> Duration {
        self.rules.pace.idle * PATIENCE
    }

    /// Brings the data in, digested and inspected as it comes.
    ///
    /// # Errors
    /// Any [`Error`]; nothing of the attempt stays then. [`Error::Import`] for what the source does.
    pub(super) async fn bring_in(&self, job: &Incoming<'_>, opened: Opened) -> Result<()> {
        let target = self.stores.find(job.store.as_str());
        let target = target.ok_or_else(|| Error::StoreUnknown(job.store.to_string()))?;
        let cap = self.rules.size_cap;
        if opened.length.is_some_and(|length| length > cap) {
            return Err(Error::TooLarge { cap });
        }
        let total = opened.length.unwrap_or(0);
        let total = total.saturating_mul(job.progress.stores);
        job.progress.total.store(total, Ordering::Relaxed);
        let attempt = Attempt::new(
            self.catalog.clone(),
            Arc::clone(target),
            job.purpose,
            job.image.id.clone(),
            self.rules.lease,
            job.limits,
        );
        let attempt = Arc::new(attempt.of_task(job.task));
        let done = Box::pin(self.take_from(job, opened, &attempt)).await;
        if done.is_err()
            && let Some(garbage) = attempt.roll_back().await
        {
            cleanup::remove_or_defer(&self.catalog, &self.stores, &garbage).await;
        }
        done.map_err(|e| match e {
            // Who sends is the source, and it has said why.
            Error::ClientGone(e) => Error::Import(e.to_string()),
            e => e,
        })
    }

    async fn take_from(
        &self,
        job: &Incoming<'_>,
        opened: Opened,
        attempt: &Arc<Attempt>,
    ) -> Result<()> {
        let Opened { body, length } = opened;
        let begun = attempt.begin(length.unwrap_or(0), Box::new(|_| Ok(())));
        let image = begun.await?;
        let project = image.owner.as_ref().map_or("", ProjectId::as_str);
        let from = Sender {
            // A source that is silent is asked again, some times, before it is given up.
            pace: Pace {
                idle: self.patience(),
                ..self.rules.pace
            },
            broken: Broken::default(),
            declared: length,
        };
        let pipeline = self.pipeline(&image, project.into(), from, attempt);
        let mut body = body.map_frame(|frame| {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            job.progress.done.fetch_add(bytes, Ordering::Relaxed);
            frame
        });
        let taken = tokio::select! {
            taken = pipeline.run(&mut body) => taken?,
            lost = attempt.renew_until_lost() => return Err(lost),
            () = job.halt.cancelled() => return Err(Error::Stopping),
        };
        drop(body);
        let (mut intent, sent) = review(&image, taken, &self.rules.formats, job.purpose)?;
        intent.is_processed = true;
        // Not dropped half-way: the store might still carry it out after the roll back has looked.
        let mut publishing = std::pin::pin!(conclude(attempt, intent, sent));
        tokio::select! {
            done = &mut publishing => done.map(drop),
            _ = attempt.renew_until_lost() => publishing.await.map(drop),
        }
    }
}
