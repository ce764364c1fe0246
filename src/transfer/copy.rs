//! A copy of an image's data from one store to another, through this process: the way of an upload, with a store at the other
//! end. What comes is digested, and compared with what is known before anybody sees the copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::digest::Digests;
use super::pipeline::Pipeline;
use super::plan::PartPlan;
use super::publish::publish;
use super::read::Reader;
use super::{Error, Result, Transfers, cleanup};
use crate::catalog::{Intent, Limits, Purpose, StagedObject};
use crate::image::{DataFacts, Image, ProjectId, StoreId};
use crate::net::{Broken, Pace};
use crate::store::{self, ByteSpan};

impl Transfers {
    /// Copies the data of an image to one more store, for a task and within the limits of the image's owner.
    ///
    /// # Errors
    /// Any [`Error`]; nothing of the attempt stays then.
    pub(super) async fn copy_to(
        &self,
        image: &Arc<Image>,
        staged: &[StagedObject],
        (task, limits): (&str, Limits),
        store: &StoreId,
        done: &AtomicU64,
        halt: &CancellationToken,
    ) -> Result<()> {
        let target = self.stores.find(store.as_str());
        let target = target.ok_or_else(|| Error::StoreUnknown(store.to_string()))?;
        let attempt = Attempt::new(
            self.catalog.clone(),
            Arc::clone(target),
            Purpose::Copy,
            image.id.clone(),
            self.rules.lease,
            limits,
        );
        let attempt = Arc::new(attempt.of_task(task));
        let copied = self.carry_over(image, staged, &attempt, done, halt).await;
        if copied.is_err()
            && let Some(garbage) = attempt.roll_back().await
        {
            cleanup::remove_or_defer(&self.catalog, &self.stores, &garbage).await;
        }
        copied
    }

    async fn carry_over(
        &self,
        image: &Arc<Image>,
        staged: &[StagedObject],
        attempt: &Arc<Attempt>,
        done: &AtomicU64,
        halt: &CancellationToken,
    ) -> Result<()> {
        let (source, facts) = source_of(image, staged)?;
        attempt.begin(facts.size, Box::new(|_| Ok(()))).await?;
        let pipeline = self.copying_pipeline(&source, &facts, attempt);
        let taken = {
            let mut body = self.body_of(&source, facts.size, done).await?;
            tokio::select! {
                taken = pipeline.run(&mut body) => taken?,
                lost = attempt.renew_until_lost() => return Err(lost),
                () = halt.cancelled() => return Err(Error::Stopping),
            }
        };
        if !is_same(&taken.digests, &facts) {
            return Err(Error::Import(
                "the data that was read is not the data that was staged".into(),
            ));
        }
        let intent = Intent {
            facts,
            judged_as: None,
            refusal: None,
        };
        attempt.record_intent(&intent).await?;
        // Not dropped half-way: the store might still carry it out after the roll back has looked.
        let mut publishing = std::pin::pin!(async {
            let upload = attempt.upload();
            let etag = publish(attempt.store(), upload, &intent.facts, taken.sent).await?;
            attempt.finish(&intent, etag).await
        });
        tokio::select! {
            done = &mut publishing => done.map(drop),
            _ = attempt.renew_until_lost() => publishing.await.map(drop),
        }
    }

    fn copying_pipeline<'a>(
        &'a self,
        image: &Image,
        facts: &DataFacts,
        attempt: &'a Arc<Attempt>,
    ) -> Pipeline<'a> {
        let project = image.owner.as_ref().map_or("", ProjectId::as_str);
        let reader = Reader {
            budget: &self.budget,
            project: project.into(),
            plan: PartPlan::new(
                attempt.store().part_size(),
                Some(facts.size),
                self.rules.size_cap.max(facts.size),
            ),
            // A store is waited for as long as a client, and may be slow.
            pace: Pace {
                bytes_per_second: 0,
                ..self.rules.pace
            },
            broken: Broken::default(),
            declared: Some(facts.size),
            cap: self.rules.size_cap.max(facts.size),
            reservation: attempt.reservation(facts.size),
            inspection: None,
        };
        let algorithm = facts.os_hash_algo.parse();
        Pipeline {
            reader,
            digester: self
                .digests
                .start(algorithm.unwrap_or(self.rules.algorithm)),
            attempt,
            tasks: &self.tasks,
        }
    }

    /// The data as a body, counted as it comes.
    async fn body_of<'a>(
        &self,
        source: &Image,
        size: u64,
        done: &'a AtomicU64,
    ) -> Result<
        std::pin::Pin<Box<dyn http_body::Body<Data = Bytes, Error = store::Error> + Send + 'a>>,
    > {
        let Some(last) = size.checked_sub(1) else {
            return Ok(Box::pin(StreamBody::new(futures_util::stream::empty())));
        };
        let span = ByteSpan { first: 0, last };
        let delivery = self.deliver(source, size, span, &[]).await?;
        let frames = delivery.into_stream().map_ok(|bytes: Bytes| {
            done.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            Frame::data(bytes)
        });
        Ok(Box::pin(StreamBody::new(frames)))
    }
}

/// Where the data is read from, as an image that has it there; and what is known of it.
fn source_of(image: &Image, staged: &[StagedObject]) -> Result<(Image, DataFacts)> {
    let mut source = image.clone();
    if let Some(first) = staged.first() {
        source.locations = staged.iter().map(|it| it.location.clone()).collect();
        return Ok((source, first.reviewed.facts.clone()));
    }
    let facts = DataFacts {
        size: image.size.ok_or(Error::DataMissing)?,
        virtual_size: image.virtual_size,
        checksum: image.checksum.clone().ok_or(Error::DataMissing)?,
        os_hash_algo: image.os_hash_algo.clone().ok_or(Error::DataMissing)?,
        os_hash_value: image.os_hash_value.clone().ok_or(Error::DataMissing)?,
    };
    Ok((source, facts))
}

fn is_same(digests: &Digests, facts: &DataFacts) -> bool {
    let is_same_hash =
        digests.algorithm.as_str() != facts.os_hash_algo || digests.hash == facts.os_hash_value;
    digests.checksum == facts.checksum && is_same_hash
}
