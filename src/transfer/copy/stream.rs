//! A copy through this process: the way of an upload, with a store at the other end. What comes is digested, and compared with
//! what is known before anybody sees the copy.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::{Body, Frame};
use http_body_util::StreamBody;

use super::Copying;
use crate::image::{DataFacts, ProjectId};
use crate::net::{Broken, Pace};
use crate::store::{self, ByteSpan};
use crate::transfer::attempt::Attempt;
use crate::transfer::digest::Digests;
use crate::transfer::pipeline::Pipeline;
use crate::transfer::plan::PartPlan;
use crate::transfer::read::Reader;
use crate::transfer::{Error, Result};

/// The data of a store, as a body.
type Data<'a> = Pin<Box<dyn Body<Data = Bytes, Error = store::Error> + Send + 'a>>;

impl Copying<'_> {
    /// Reads the data from a store that has it and sends it to the one that is to get it.
    pub(super) async fn stream(&self, attempt: &Arc<Attempt>) -> Result<()> {
        let taken = self
            .while_held(attempt, async {
                let mut body = self.body().await?;
                self.pipeline(attempt).run(&mut body).await
            })
            .await?;
        if !is_same(&taken.digests, &self.facts) {
            return Err(Error::Import(
                "the data that was read is not the data that was staged".into(),
            ));
        }
        attempt.record_intent(&self.intent()).await?;
        self.publish(attempt, taken.sent).await
    }

    fn pipeline<'a>(&'a self, attempt: &'a Arc<Attempt>) -> Pipeline<'a> {
        let (transfers, facts) = (self.transfers, &self.facts);
        let project = self.source.owner.as_ref().map_or("", ProjectId::as_str);
        let cap = transfers.rules.size_cap.max(facts.size);
        let reader = Reader {
            budget: &transfers.budget,
            project: project.into(),
            plan: PartPlan::new(attempt.store().part_size(), Some(facts.size), cap),
            // A store is waited for as long as a client, and may be slow.
            pace: Pace {
                bytes_per_second: 0,
                ..transfers.rules.pace
            },
            broken: Broken::default(),
            declared: Some(facts.size),
            cap,
            reservation: attempt.reservation(facts.size),
            inspection: None,
        };
        let algorithm = facts.os_hash_algo.parse();
        Pipeline {
            reader,
            digester: transfers
                .digests
                .start(algorithm.unwrap_or(transfers.rules.algorithm)),
            attempt,
            tasks: &transfers.tasks,
        }
    }

    /// The data, counted as it comes.
    async fn body(&self) -> Result<Data<'_>> {
        let size = self.facts.size;
        let Some(last) = size.checked_sub(1) else {
            return Ok(Box::pin(StreamBody::new(futures_util::stream::empty())));
        };
        let span = ByteSpan { first: 0, last };
        let delivery = self
            .transfers
            .deliver(&self.source, size, span, &[])
            .await?;
        let frames = delivery.into_stream().map_ok(|bytes: Bytes| {
            self.done.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            Frame::data(bytes)
        });
        Ok(Box::pin(StreamBody::new(frames)))
    }
}

fn is_same(digests: &Digests, facts: &DataFacts) -> bool {
    let is_same_hash =
        digests.algorithm.as_str() != facts.os_hash_algo || digests.hash == facts.os_hash_value;
    digests.checksum == facts.checksum && is_same_hash
}
