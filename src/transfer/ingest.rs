//! `ingest`: an image's data from a client's body into a store, and the record from queued to active.
//!
//! What happens when something goes away:
//!
//! | gone | seen as | outcome |
//! |---|---|---|
//! | client | error or idle limit in `read` | roll back |
//! | store | error in `send` or `publish`, after retries | roll back, the store is cleaned later |
//! | catalog | lease not renewed in time, or an error of a step | roll back, else the lease runs out and recovery acts |
//! | the image | `record_intent` or `finish_upload` finds it deleted | roll back, 410 |
//! | this process | nobody renews the lease | recovery rolls forward if the object is whole, else back |

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use tokio::sync::{mpsc, oneshot};

use super::digest::{Digester, Digests};
use super::lease::{self, Reservation};
use super::plan::PartPlan;
use super::read::{Part, Reader, Received};
use super::send::Sent;
use super::{Error, Result, Transfers, cleanup, publish, send};
use crate::catalog::{self, Intent, Limits, NewUpload, Upload};
use crate::format::{self, INSPECTED_CONTAINER_FORMAT, Inspection};
use crate::image::{AttemptId, DataFacts, Image};
use crate::store::Store;
use crate::telemetry::labels::UploadOutcome;

/// Parts that may wait between two stages. Each holds memory, so one: enough to keep both sides busy.
const WAITING_PARTS: usize = 1;

/// An upload that passed the checks of the API.
pub struct Ingest {
    /// The record as it was checked.
    pub image: Arc<Image>,
    /// The store to hold the data.
    pub store: Arc<Store>,
    /// Size the client declared, bytes; `None` when unknown.
    pub declared: Option<u64>,
    /// What the image's owner may hold.
    pub limits: Limits,
}

impl Transfers {
    /// Takes the data in. Runs as a tracked task: a caller that goes away changes nothing, the body's own error does.
    ///
    /// # Errors
    /// Any [`Error`]; the image is queued again (or deleted) and nothing of the attempt stays in the store.
    pub async fn ingest<B>(self: &Arc<Self>, job: Ingest, body: B) -> Result<Arc<Image>>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + Unpin
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let this = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let _in_flight = this.metrics.upload_in_flight();
            let mut body = this.metrics.count_upload(body);
            let attempt = AttemptId::random();
            let result = this.attempt(&job, &attempt, &mut body).await;
            this.metrics.upload_ended(
                result
                    .as_ref()
                    .map_or_else(Error::outcome, |_| UploadOutcome::Active),
            );
            // The client learns the outcome next; what it still sends is not ours to read.
            drop(body);
            let garbage = if result.is_err() {
                this.roll_back(&attempt).await
            } else {
                None
            };
            // Nobody listens when the client is gone; the record is right all the same.
            let _ = reply.send(result);
            if let Some(garbage) = garbage {
                cleanup::remove_or_defer(&this.catalog, &this.stores, &garbage).await;
            }
        });
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(task.await.err().map_or(Error::Stopping, Error::Task)),
        }
    }

    async fn attempt<B>(
        &self,
        job: &Ingest,
        attempt: &AttemptId,
        body: &mut B,
    ) -> Result<Arc<Image>>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let key = format!("{}{}/{}", job.store.prefix(), job.image.id, attempt);
        let new = NewUpload {
            attempt: attempt.clone(),
            image: job.image.id.clone(),
            store: job.store.name().into(),
            key: key.clone(),
            lease: self.rules.lease,
            reserve: job.declared.unwrap_or(0),
            limits: job.limits,
        };
        self.catalog.begin_upload(new).await?;
        let upload = Upload {
            attempt: attempt.clone(),
            image: job.image.id.clone(),
            store: job.store.name().into(),
            key,
            upload_id: None,
            intent: None,
        };
        let lease = self.rules.lease;
        let (facts, sent) = tokio::select! {
            taken = self.take_in(job, &upload, body) => taken?,
            lost = lease::renew_until_lost(&self.catalog, attempt, lease) => return Err(lost),
            () = self.stop.cancelled() => return Err(Error::Stopping),
        };
        // A PutObject is not dropped half-way: the store might still carry it out after the roll back has looked. A
        // completion may be, since aborting the multipart upload settles which of the two came first. A lost lease is
        // found out by the catalog, and a process that ends meanwhile leaves its intent to recovery.
        let may_be_dropped = matches!(sent, Sent::Parts(..));
        let mut publishing = std::pin::pin!(self.publish(job, &upload, Intent { facts }, sent));
        tokio::select! {
            done = &mut publishing => done,
            () = self.stop.cancelled(), if may_be_dropped => Err(Error::Stopping),
            _ = lease::renew_until_lost(&self.catalog, attempt, lease) => publishing.await,
        }
    }

    /// Reads the body to its end; the bytes are in the store or in memory, and nothing is visible yet.
    async fn take_in<B>(
        &self,
        job: &Ingest,
        upload: &Upload,
        body: &mut B,
    ) -> Result<(DataFacts, Sent)>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let reader = Reader {
            budget: &self.budget,
            plan: PartPlan::new(job.store.part_size(), job.declared, self.rules.size_cap),
            idle_timeout: self.rules.body_idle_timeout,
            declared: job.declared,
            cap: self.rules.size_cap,
            reservation: Reservation {
                catalog: &self.catalog,
                attempt: &upload.attempt,
                limits: job.limits,
                reserved: job.declared.unwrap_or(0),
            },
            inspection: (job.image.container_format.as_deref() == Some(INSPECTED_CONTAINER_FORMAT))
                .then(Inspection::new),
        };
        let (to_digest, digest_parts) = mpsc::channel(WAITING_PARTS);
        let (to_send, send_parts) = mpsc::channel(WAITING_PARTS);
        let (received, digests, sent) = tokio::try_join!(
            reader.run(body, to_digest, to_send),
            digest_parts_of(digest_parts, self.digests.start(self.rules.algorithm)),
            send::send_parts(send_parts, &self.tasks, &job.store, &self.catalog, upload),
        )?;
        Ok((review(&job.image, received, digests)?, sent))
    }

    async fn publish(
        &self,
        job: &Ingest,
        upload: &Upload,
        intent: Intent,
        sent: Sent,
    ) -> Result<Arc<Image>> {
        match self
            .catalog
            .record_intent(&upload.attempt, &intent, job.limits)
            .await
        {
            Ok(()) => {}
            Err(catalog::Error::Missing) => return Err(Error::Gone),
            Err(e) => return Err(e.into()),
        }
        let etag = publish::publish(&job.store, upload, &intent.facts, sent).await?;
        match self
            .catalog
            .finish_upload(&upload.attempt, &intent, etag)
            .await
        {
            Err(catalog::Error::Missing) => Err(Error::Gone),
            done => Ok(done?),
        }
    }

    /// Gives the attempt up in the catalog. When that fails the lease runs out and recovery does it.
    async fn roll_back(&self, attempt: &AttemptId) -> Option<catalog::Garbage> {
        match self.catalog.roll_back(attempt).await {
            Ok(garbage) => garbage,
            Err(e) => {
                tracing::warn!(upload.attempt = %attempt, error = &e as &dyn std::error::Error, "upload not rolled back, recovery will do it");
                None
            }
        }
    }

    /// Removes what a deleted image leaves in the stores; what cannot be removed now stays in the garbage list.
    pub fn remove_in_background(
        self: &Arc<Self>,
        garbage: Vec<catalog::Garbage>,
    ) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            for item in garbage {
                cleanup::remove_or_defer(&this.catalog, &this.stores, &item).await;
            }
        })
    }
}

async fn digest_parts_of(
    mut parts: mpsc::Receiver<Arc<Part>>,
    mut digester: Digester,
) -> Result<Digests> {
    while let Some(part) = parts.recv().await {
        digester = digester.update(part.bytes.clone()).await?;
    }
    Ok(digester.finish())
}

/// Everything that is known of the bytes, before anything becomes visible.
fn review(image: &Image, received: Received, digests: Digests) -> Result<DataFacts> {
    let claimed = image.disk_format.as_deref().unwrap_or_default();
    let virtual_size = match received.inspection {
        Some(inspection) => {
            let rules = format::Rules {
                require_match: true,
                gpt_safety_checks_nonfatal: &[],
            };
            format::judge(&inspection.finish(), claimed, &rules)?
        }
        None => None,
    };
    Ok(DataFacts {
        size: received.size,
        virtual_size,
        checksum: digests.checksum,
        os_hash_algo: digests.algorithm.as_str().to_owned(),
        os_hash_value: digests.hash,
    })
}
