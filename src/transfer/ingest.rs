//! `ingest`: an image's data from a client's body into a store, and the record from queued to active, or to where it waits for
//! an import.
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
use tokio::sync::oneshot;

use super::attempt::Attempt;
use super::formats::FormatRules;
use super::pipeline::{Pipeline, Taken};
use super::plan::PartPlan;
use super::publish::publish;
use super::read::Reader;
use super::send::Sent;
use super::{Error, Result, Transfers, cleanup};
use crate::catalog::{self, Formats, Intent, Judge, Limits, Purpose};
use crate::image::{DataFacts, Image, ImageId};
use crate::net::{Broken, Pace};
use crate::store::Store;
use crate::telemetry::labels::UploadOutcome;

/// An upload that passed the checks of the API.
pub(crate) struct Ingest {
    /// Whether the data is the image's at once, or staged.
    pub purpose: Purpose,
    /// The image.
    pub image: ImageId,
    /// The checks of the API, for the record that the attempt begins with.
    pub judge: Judge,
    /// The store to hold the data.
    pub store: Arc<Store>,
    /// Size the client declared, bytes; `None` when unknown.
    pub declared: Option<u64>,
    /// What the image's owner may hold.
    pub limits: Limits,
    /// Whose share of the memory the data takes.
    pub project: Arc<str>,
    /// Of the client's connection.
    pub broken: Broken,
}

/// Whoever sends the data.
pub(super) struct Sender {
    /// How fast it has to.
    pub pace: Pace,
    /// Of its connection.
    pub broken: Broken,
    /// Size that it has declared, bytes; `None` when unknown.
    pub declared: Option<u64>,
}

impl Transfers {
    /// Takes the data in. Runs as a tracked task: a caller that goes away changes nothing, the body's own error does. `slot`
    /// is the caller's place among uploads at once, and given back when this one has ended.
    ///
    /// # Errors
    /// Any [`Error`]; the image is queued again (or deleted) and nothing of the attempt stays in the store.
    pub(crate) async fn ingest<B>(
        self: &Arc<Self>,
        job: Ingest,
        slot: impl Send + 'static,
        body: B,
    ) -> Result<Arc<Image>>
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
            let attempt = Arc::new(Attempt::new(
                this.catalog.clone(),
                Arc::clone(&job.store),
                job.purpose,
                job.image.clone(),
                this.rules.lease,
                job.limits,
            ));
            let result = this.carry_out(job, &attempt, &mut body).await;
            this.metrics.upload_ended(
                result
                    .as_ref()
                    .map_or_else(Error::outcome, |_| outcome_of(attempt.upload().purpose)),
            );
            // The client learns the outcome next; what it still sends is not ours to read.
            drop(body);
            let garbage = if result.is_err() {
                attempt.roll_back().await
            } else {
                None
            };
            drop(slot);
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

    async fn carry_out<B>(
        &self,
        job: Ingest,
        attempt: &Arc<Attempt>,
        body: &mut B,
    ) -> Result<Arc<Image>>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        // The record as the attempt's own transaction has it; one that was seen earlier may have had other formats.
        let image = attempt.begin(job.declared.unwrap_or(0), job.judge).await?;
        let from = Sender {
            pace: self.rules.pace,
            broken: job.broken,
            declared: job.declared,
        };
        let pipeline = self.pipeline(&image, job.project, from, attempt);
        let taken = tokio::select! {
            taken = pipeline.run(body) => taken?,
            lost = attempt.renew_until_lost() => return Err(lost),
            () = self.stop.cancelled() => return Err(Error::Stopping),
        };
        let purpose = attempt.upload().purpose;
        let (intent, sent) = review(&image, taken, &self.rules.formats, purpose)?;
        // A PutObject is not dropped half-way: the store might still carry it out after the roll back has looked. A
        // completion may be, since aborting the multipart upload settles which of the two came first. A lost lease is
        // found out by the catalog, and a process that ends meanwhile leaves its intent to recovery.
        let may_be_dropped = matches!(sent, Sent::Parts(..));
        let mut publishing = std::pin::pin!(conclude(attempt, intent, sent));
        tokio::select! {
            done = &mut publishing => done,
            () = self.stop.cancelled(), if may_be_dropped => Err(Error::Stopping),
            _ = attempt.renew_until_lost() => publishing.await,
        }
    }

    pub(super) fn pipeline<'a>(
        &'a self,
        image: &Image,
        project: Arc<str>,
        from: Sender,
        attempt: &'a Arc<Attempt>,
    ) -> Pipeline<'a> {
        let reader = Reader {
            budget: &self.budget,
            project,
            plan: PartPlan::new(
                attempt.store().part_size(),
                from.declared,
                self.rules.size_cap,
            ),
            pace: from.pace,
            broken: from.broken,
            declared: from.declared,
            cap: self.rules.size_cap,
            reservation: attempt.reservation(from.declared.unwrap_or(0)),
            inspection: self.rules.formats.inspection(image),
        };
        Pipeline {
            reader,
            digester: self.digests.start(self.rules.algorithm),
            attempt,
            tasks: &self.tasks,
        }
    }

    /// Removes what a deleted image leaves in the stores; what cannot be removed now stays in the garbage list.
    pub(crate) fn remove_in_background(
        self: &Arc<Self>,
        garbage: Vec<catalog::Garbage>,
    ) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            // Each copy is in a store of its own, and one that hangs keeps only its own.
            let removals = garbage
                .iter()
                .map(|item| cleanup::remove_or_defer(&this.catalog, &this.stores, item));
            futures_util::future::join_all(removals).await;
        })
    }
}

/// Publishes reviewed bytes and makes the image active with them.
pub(super) async fn conclude(attempt: &Attempt, intent: Intent, sent: Sent) -> Result<Arc<Image>> {
    attempt.record_intent(&intent).await?;
    let etag = publish(attempt.store(), attempt.upload(), &intent.facts, sent).await?;
    attempt.finish(&intent, etag).await
}

/// Everything that is known of the bytes, before anything becomes visible. What is only staged may be refused: the import
/// tells.
pub(super) fn review(
    image: &Image,
    taken: Taken,
    formats: &FormatRules,
    purpose: Purpose,
) -> Result<(Intent, Sent)> {
    let verdict = match taken.inspection {
        Some(inspection) => formats.judge(image, &inspection.finish()),
        None => Ok(None),
    };
    let (virtual_size, refusal) = match verdict {
        Ok(virtual_size) => (virtual_size, None),
        Err(refusal) if purpose == Purpose::Stage => (None, Some(refusal.to_string())),
        Err(refusal) => return Err(refusal.into()),
    };
    let facts = DataFacts {
        size: taken.size,
        virtual_size,
        checksum: taken.digests.checksum,
        os_hash_algo: taken.digests.algorithm.as_str().to_owned(),
        os_hash_value: taken.digests.hash,
    };
    let intent = Intent {
        facts,
        judged_as: Some(Formats::of(image)),
        is_processed: false,
        refusal,
    };
    Ok((intent, taken.sent))
}

fn outcome_of(purpose: Purpose) -> UploadOutcome {
    match purpose {
        Purpose::Upload | Purpose::Copy => UploadOutcome::Active,
        Purpose::Stage | Purpose::Fetch | Purpose::Convert => UploadOutcome::Staged,
    }
}
