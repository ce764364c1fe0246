//! Sources of an import's data: the web, and what is staged and packed.

use futures_util::TryStreamExt;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use super::incoming::{Incoming, Opened};
use super::{Error, Result, Transfers};
use crate::catalog::StagedObject;
use crate::image::Image;
use crate::store::ByteSpan;

/// A container that says itself that its data is packed, and stays so.
const COMPRESSED: &str = "compressed";

/// Whether data of this image may be unpacked on its way in.
pub(super) fn is_unpacked(image: &Image) -> bool {
    image.container_format.as_deref() != Some(COMPRESSED)
}

impl Transfers {
    /// Fetches the data of an image from a URL, and unpacks it if that is asked for and it is packed.
    ///
    /// # Errors
    /// Those of [`Transfers::bring_in`].
    pub(super) async fn fetch(&self, uri: &str, unpacks: bool, job: &Incoming<'_>) -> Result<()> {
        // Before anything is begun: a source that is not there costs nothing.
        let opened = tokio::select! {
            opened = self.open_web(uri, unpacks && is_unpacked(job.image)) => opened?,
            () = job.halt.cancelled() => return Err(Error::Stopping),
        };
        self.bring_in(job, opened).await
    }

    async fn open_web(&self, uri: &str, unpacks: bool) -> Result<Opened> {
        let opened = self.web.open(uri).await;
        let body = opened.map_err(|e| Error::Import(e.to_string()))?;
        let length = body.length();
        let body = body.map_err(Into::into).boxed_unsync();
        if unpacks {
            let (cap, patience) = (self.rules.size_cap, self.patience());
            let opened = Opened::unpacked(body, length, cap, patience).await?;
            return Ok(opened.0);
        }
        Ok(Opened { body, length })
    }

    /// Unpacks what is staged, into a store that is to have the data; false when it is not packed.
    ///
    /// # Errors
    /// Those of [`Transfers::bring_in`].
    pub(super) async fn unpack(&self, staged: &StagedObject, job: &Incoming<'_>) -> Result<bool> {
        let opened = tokio::select! {
            opened = self.open_packed(staged, job.image) => opened?,
            () = job.halt.cancelled() => return Err(Error::Stopping),
        };
        match opened {
            Some(opened) => self.bring_in(job, opened).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn open_packed(&self, staged: &StagedObject, image: &Image) -> Result<Option<Opened>> {
        let size = staged.reviewed.facts.size;
        let Some(last) = size.checked_sub(1) else {
            return Ok(None);
        };
        let source = Image {
            locations: vec![staged.location.clone()],
            ..image.clone()
        };
        let span = ByteSpan { first: 0, last };
        let delivery = self.deliver(&source, size, span, &[]).await;
        let delivery =
            delivery.map_err(|e| Error::Import(format!("the staged data cannot be read: {e}")))?;
        let frames = delivery.into_stream().map_ok(Frame::data);
        let body = StreamBody::new(frames.map_err(Into::into)).boxed_unsync();
        let (cap, patience) = (self.rules.size_cap, self.patience());
        let (opened, packing) = Opened::unpacked(body, Some(size), cap, patience).await?;
        Ok(packing.map(|_| opened))
    }
}
