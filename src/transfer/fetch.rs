//! Data fetched from the web for an import: the way of an upload, with a source in place of the client.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::import::Progress;
use super::ingest::{Sender, conclude, review};
use super::{Error, Result, Transfers, cleanup};
use crate::catalog::{Limits, Purpose};
use crate::image::{Image, ProjectId, StoreId};
use crate::net::{Broken, Pace};
use crate::web::WebBody;

/// How many times the pause of a client a source may make.
const PATIENCE: u32 = 10;

impl Transfers {
    /// Fetches the data of an image into a store, for a task and within the limits of the image's owner.
    ///
    /// # Errors
    /// Any [`Error`]; nothing of the attempt stays then. [`Error::Import`] for what the source does.
    pub(super) async fn fetch_to(
        &self,
        image: &Image,
        uri: &str,
        (task, limits): (&str, Limits),
        store: &StoreId,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        let target = self.stores.find(store.as_str());
        let target = target.ok_or_else(|| Error::StoreUnknown(store.to_string()))?;
        // Before anything is begun: a source that is not there costs nothing.
        let body = tokio::select! {
            opened = self.web.open(uri) => opened.map_err(|e| Error::Import(e.to_string()))?,
            () = halt.cancelled() => return Err(Error::Stopping),
        };
        let cap = self.rules.size_cap;
        if body.length().is_some_and(|length| length > cap) {
            return Err(Error::TooLarge { cap });
        }
        let total = body.length().unwrap_or(0).saturating_mul(progress.stores);
        progress.total.store(total, Ordering::Relaxed);
        let attempt = Attempt::new(
            self.catalog.clone(),
            Arc::clone(target),
            Purpose::Fetch,
            image.id.clone(),
            self.rules.lease,
            limits,
        );
        let attempt = Arc::new(attempt.of_task(task));
        let fetched = self.bring_in(body, &attempt, progress, halt).await;
        if fetched.is_err()
            && let Some(garbage) = attempt.roll_back().await
        {
            cleanup::remove_or_defer(&self.catalog, &self.stores, &garbage).await;
        }
        fetched.map_err(|e| match e {
            // Who sends is the source, and it has said why.
            Error::ClientGone(e) => Error::Import(e.to_string()),
            e => e,
        })
    }

    async fn bring_in(
        &self,
        body: WebBody,
        attempt: &Arc<Attempt>,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        let declared = body.length();
        let begun = attempt.begin(declared.unwrap_or(0), Box::new(|_| Ok(())));
        let image = begun.await?;
        let project = image.owner.as_ref().map_or("", ProjectId::as_str);
        let from = Sender {
            // A source that is silent is asked again, some times, before it is given up.
            pace: Pace {
                idle: self.rules.pace.idle * PATIENCE,
                ..self.rules.pace
            },
            broken: Broken::default(),
            declared,
        };
        let pipeline = self.pipeline(&image, project.into(), from, attempt);
        let mut body = body.map_frame(|frame| {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            progress.done.fetch_add(bytes, Ordering::Relaxed);
            frame
        });
        let taken = tokio::select! {
            taken = pipeline.run(&mut body) => taken?,
            lost = attempt.renew_until_lost() => return Err(lost),
            () = halt.cancelled() => return Err(Error::Stopping),
        };
        drop(body);
        let (intent, sent) = review(&image, taken, &self.rules.formats, Purpose::Fetch)?;
        // Not dropped half-way: the store might still carry it out after the roll back has looked.
        let mut publishing = std::pin::pin!(conclude(attempt, intent, sent));
        tokio::select! {
            done = &mut publishing => done.map(drop),
            _ = attempt.renew_until_lost() => publishing.await.map(drop),
        }
    }
}
