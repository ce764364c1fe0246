//! A copy of an image's data from one store to another, by the first way that leads there:
//!
//! | way | for | compared before anybody sees the copy |
//! |---|---|---|
//! | [`Way::Object`] | two buckets of one server, up to 5 GiB | the object's MD5 with the record's, or its ETag of parts with the original's |
//! | [`Way::Parts`] | two buckets of one server, data that was uploaded in parts | the ETag that the copied parts make with the original's |
//! | [`Way::Stream`] | everything | size and digests of the bytes, which pass through this process |
//!
//! A server that refuses to copy, or does it so that nothing can be compared, costs one try: the next way is taken, and for
//! a while it is taken at once. Bytes that are compared and are others end the copy. Each way has an attempt of its own, with
//! a key of its own: a server may still carry out what it was asked for when nobody waits for it any more.

mod in_store;
mod stream;
mod unfit;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::publish::publish;
use super::send::Sent;
use super::{Error, Result, Transfers, cleanup};
use crate::catalog::{Intent, Limits, Purpose, StagedObject};
use crate::image::{DataFacts, Image, StoreId};
use crate::store::{self, Store};
use in_store::Source;
pub(super) use unfit::UnfitPairs;

/// A copy that is to be made.
struct Copying<'a> {
    transfers: &'a Transfers,
    /// The image, with the locations to read from.
    source: Image,
    /// What the data is.
    facts: DataFacts,
    target: &'a Arc<Store>,
    /// The task that the copy is for.
    task: &'a str,
    /// What the image's owner may hold.
    limits: Limits,
    /// Bytes copied so far.
    done: &'a AtomicU64,
    halt: &'a CancellationToken,
}

/// How the bytes get to the other store.
enum Way<'a> {
    /// The server copies the object.
    Object(&'a Source),
    /// The server copies it part by part, of these sizes.
    Parts(&'a Source, Vec<u64>),
    /// We read it and write it.
    Stream,
}

/// Why a way did not lead there.
enum Obstacle {
    /// Another way may.
    Unfit {
        why: store::Error,
        /// Whether it is so for every image of the two stores.
        is_lasting: bool,
    },
    /// None will.
    Failed(Error),
}

impl From<Error> for Obstacle {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

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
        let (source, facts) = source_of(image, staged)?;
        let copying = Copying {
            transfers: self,
            source,
            facts,
            target: target.ok_or_else(|| Error::StoreUnknown(store.to_string()))?,
            task,
            limits,
            done,
            halt,
        };
        // Boxed, here and below: else the stack has to hold at once all that is awaited in place.
        Box::pin(copying.run()).await
    }
}

impl Copying<'_> {
    async fn run(&self) -> Result<()> {
        if let Some(source) = self.find_beside() {
            if let Some(way) = self.as_object(&source)
                && self.has_led_there(&source, &way).await?
            {
                return Ok(());
            }
            if let Some(way) = self.in_parts(&source).await?
                && self.has_led_there(&source, &way).await?
            {
                return Ok(());
            }
        }
        match Box::pin(self.attempt(&Way::Stream)).await {
            Ok(()) => Ok(()),
            Err(Obstacle::Failed(e)) => Err(e),
            Err(Obstacle::Unfit { why, .. }) => Err(why.into()),
        }
    }

    /// Tries a way of the server's own; false where another is to be taken.
    async fn has_led_there(&self, source: &Source, way: &Way<'_>) -> Result<bool> {
        let unfit = &self.transfers.unfit_pairs;
        let (from, to, name) = (source.store.name(), self.target.name(), way.as_str());
        if unfit.contains(from, to, name) {
            return Ok(false);
        }
        let (why, is_lasting) = match Box::pin(self.attempt(way)).await {
            Ok(()) => return Ok(true),
            Err(Obstacle::Failed(e)) => return Err(e),
            Err(Obstacle::Unfit { why, is_lasting }) => (why, is_lasting),
        };
        tracing::info!(image.id = %self.source.id, store.id = to, from, way = name, error = &why as &dyn std::error::Error, "not copied by the store itself");
        if is_lasting {
            unfit.note(from, to, name);
        }
        Ok(false)
    }

    /// Copies in one way, and leaves nothing when it does not lead there.
    async fn attempt(&self, way: &Way<'_>) -> Result<(), Obstacle> {
        let transfers = self.transfers;
        let attempt = Attempt::new(
            transfers.catalog.clone(),
            Arc::clone(self.target),
            Purpose::Copy,
            self.source.id.clone(),
            transfers.rules.lease,
            self.limits,
        );
        let attempt = Arc::new(attempt.of_task(self.task));
        let copied = self.carry_over(&attempt, way).await;
        if copied.is_err()
            && let Some(garbage) = attempt.roll_back().await
        {
            cleanup::remove_or_defer(&transfers.catalog, &transfers.stores, &garbage).await;
        }
        copied
    }

    async fn carry_over(&self, attempt: &Arc<Attempt>, way: &Way<'_>) -> Result<(), Obstacle> {
        let size = self.facts.size;
        attempt.begin(size, Box::new(|_| Ok(()))).await?;
        match way {
            Way::Object(source) => Box::pin(self.copy_object(attempt, source)).await,
            Way::Parts(source, sizes) => Box::pin(self.copy_parts(attempt, source, sizes)).await,
            Way::Stream => Ok(Box::pin(self.stream(attempt)).await?),
        }
    }

    /// Does what may be dropped half-way, for as long as the attempt is ours and the service runs.
    async fn while_held<T, E: From<Error>>(
        &self,
        attempt: &Attempt,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            done = work => done,
            lost = attempt.renew_until_lost() => Err(lost.into()),
            () = self.halt.cancelled() => Err(Error::Stopping.into()),
        }
    }

    /// What the object has to be.
    fn intent(&self) -> Intent {
        Intent {
            facts: self.facts.clone(),
            judged_as: None,
            is_processed: true,
            refusal: None,
        }
    }

    /// Publishes what was compared, once the intent is recorded, and gives it to the image. Not dropped half-way: the store
    /// might still carry it out after the roll back has looked.
    async fn publish(&self, attempt: &Attempt, sent: Sent) -> Result<()> {
        let mut publishing = std::pin::pin!(async {
            let upload = attempt.upload();
            let etag = publish(attempt.store(), upload, &self.facts, sent).await?;
            attempt.finish(&self.intent(), etag).await
        });
        tokio::select! {
            done = &mut publishing => done.map(drop),
            _ = attempt.renew_until_lost() => publishing.await.map(drop),
        }
    }
}

impl Way<'_> {
    fn as_str(&self) -> &'static str {
        match self {
            Way::Object(_) => "object",
            Way::Parts(..) => "parts",
            Way::Stream => "stream",
        }
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
