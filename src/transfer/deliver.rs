//! `deliver`: an image's data from a store to a client, whole or a span of it.
//!
//! The first bytes are fetched before the caller sends a response head, so trouble with the store is a clean answer.
//! After that a failure resumes at the offset, then tries the next location, and at last breaks the stream: a short
//! body that ends cleanly is the one thing that must not happen.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::{Error, Result, Transfers};
use crate::image::{Image, Location};
use crate::store::{self, ByteSpan, Download, Store};
use crate::telemetry::metrics::Metrics;

/// Tries in a row without progress before a location is given up.
const RESUMES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Enough bytes after a resume to count as progress; a store that breaks more often than this is not worth the load.
const PROGRESS: u64 = 1024 * 1024;

/// Bytes on their way out.
pub(crate) struct Delivery {
    sources: std::vec::IntoIter<Source>,
    current: Source,
    download: Download,
    /// Read before the response head, given out first.
    first: Option<Bytes>,
    next: u64,
    last: u64,
    size: u64,
    tries: u32,
    resumed_at: u64,
    metrics: Arc<Metrics>,
}

struct Source {
    store: Arc<Store>,
    location: Location,
}

impl Transfers {
    /// Opens `span` of an image of `size` bytes and reads the first of them. `preferred` names the stores to try first.
    ///
    /// # Errors
    /// [`Error::DataMissing`] when every store says that it has no such object, else the error of a store.
    pub(crate) async fn deliver(
        &self,
        image: &Image,
        size: u64,
        span: ByteSpan,
        preferred: &[&str],
    ) -> Result<Delivery> {
        let mut sources = self.sources(image, preferred)?.into_iter();
        let mut error = Error::DataMissing;
        while let Some(current) = sources.next() {
            match open(&current, size, span).await {
                Ok((download, first)) => {
                    return Ok(Delivery {
                        sources,
                        current,
                        download,
                        next: span.first,
                        first,
                        last: span.last,
                        size,
                        tries: 0,
                        resumed_at: span.first,
                        metrics: Arc::clone(&self.metrics),
                    });
                }
                Err(e) => {
                    tracing::warn!(image.id = %image.id, store.id = current.store.name(), error = &e as &dyn std::error::Error, "location does not open");
                    // One store that is only away may still have the data that another has lost.
                    if !matches!(e, store::Error::Missing) {
                        error = e.into();
                    }
                }
            }
        }
        Err(error)
    }

    fn sources(&self, image: &Image, preferred: &[&str]) -> Result<Vec<Source>> {
        let names = self.stores.by_weight(
            image
                .locations
                .iter()
                .map(|location| location.store.as_str()),
        );
        let rank = |store: &str| {
            let wish = preferred
                .iter()
                .position(|name| *name == store)
                .unwrap_or(preferred.len());
            (wish, names.iter().position(|name| *name == store))
        };
        let mut locations: Vec<&Location> = image.locations.iter().collect();
        locations.sort_by_key(|location| rank(location.store.as_str()));
        let sources: Vec<Source> = locations
            .iter()
            .filter_map(|location| {
                let store = Arc::clone(self.stores.find(location.store.as_str())?);
                Some(Source {
                    store,
                    location: (*location).clone(),
                })
            })
            .collect();
        match (sources.is_empty(), image.locations.first()) {
            (true, Some(location)) => Err(Error::StoreUnknown(location.store.to_string())),
            _ => Ok(sources),
        }
    }
}

async fn open(
    source: &Source,
    size: u64,
    span: ByteSpan,
) -> Result<(Download, Option<Bytes>), store::Error> {
    let Location { key, etag, .. } = &source.location;
    let mut download = source.store.open(key, size, span, etag.as_deref()).await?;
    let first = download.next().await?;
    Ok((download, first))
}

impl Delivery {
    /// The bytes in order. The stream ends after the last promised byte or with an error, never in between.
    pub(crate) fn into_stream(
        self,
    ) -> impl Stream<Item = Result<Bytes, store::Error>> + Send + 'static {
        stream::unfold(Some(self), async |delivery| {
            let mut delivery = delivery?;
            match delivery.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(delivery))),
                Ok(None) => None,
                Err(e) => Some((Err(e), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, store::Error> {
        if self.next > self.last {
            return Ok(None);
        }
        loop {
            let read = match self.first.take() {
                Some(bytes) => Ok(Some(bytes)),
                None => self.download.next().await,
            };
            match read {
                Ok(Some(bytes)) => {
                    self.next += bytes.len() as u64;
                    if self.next - self.resumed_at >= PROGRESS {
                        self.tries = 0;
                    }
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(e) => self.resume(e).await?,
            }
        }
    }

    /// Opens the rest of the span: where it was, then at the next location.
    async fn resume(&mut self, mut why: store::Error) -> Result<(), store::Error> {
        loop {
            let is_lost = matches!(why, store::Error::Missing | store::Error::Changed);
            if is_lost || self.tries >= RESUMES {
                let Some(other) = self.sources.next() else {
                    return Err(why);
                };
                (self.current, self.tries) = (other, 0);
            }
            if self.tries > 0 {
                let pause = FIRST_PAUSE * 2_u32.pow(self.tries - 1);
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            self.tries += 1;
            tracing::warn!(
                store.id = self.current.store.name(),
                offset_bytes = self.next,
                attempt = self.tries,
                error = &why as &dyn std::error::Error,
                "download resumed"
            );
            self.metrics.download_resumed(self.current.store.name());
            let span = ByteSpan {
                first: self.next,
                last: self.last,
            };
            match open(&self.current, self.size, span).await {
                Ok((download, first)) => {
                    (self.download, self.first, self.resumed_at) = (download, first, self.next);
                    return Ok(());
                }
                Err(e) => why = e,
            }
        }
    }
}
