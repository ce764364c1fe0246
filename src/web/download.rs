//! The data of a source, in order and whole: what breaks off is gone on with where it was, as long as it is the same data.
//!
//! An end counts only when all that was promised has come. A source without a length says so by the last of its chunks.

use std::time::Duration;

use bytes::Bytes;

use super::Web;
use super::answer::{Described, check_rest, describe};
use super::error::Error;
use super::exchange::{Exchange, Rest};
use super::url::Url;

/// Tries in a row without progress before a source is given up.
const RESUMES: u32 = 5;

/// The pause before the second of them; the others double. A server that is started again needs some seconds.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Enough bytes after a resume to count as progress.
const PROGRESS: u64 = 1024 * 1024;

/// Data on its way.
pub(super) struct Download {
    web: Web,
    /// What the import names.
    origin: Url,
    /// Where that has led to.
    source: Url,
    exchange: Exchange,
    described: Described,
    received: u64,
    resumed_at: u64,
    tries: u32,
}

impl Download {
    pub(super) async fn open(web: &Web, uri: &str) -> Result<Self, Error> {
        let origin = Url::parse(uri).map_err(Error::Refused)?;
        let (source, exchange) = web.follow(&origin, None).await?;
        let described = describe(exchange.status, &exchange.headers, exchange.length())?;
        Ok(Self {
            web: web.clone(),
            origin,
            source,
            exchange,
            described,
            received: 0,
            resumed_at: 0,
            tries: 0,
        })
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.described.length
    }

    /// The next bytes; `None` after the last, and then the end of the download, which is not asked again.
    pub(super) async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        loop {
            if let Some(length) = self.described.length
                && self.received == length
            {
                return match self.exchange.has_more().await {
                    true => Err(Error::Longer(length)),
                    false => Ok(None),
                };
            }
            match self.exchange.next().await {
                Ok(Some(bytes)) => {
                    self.count(bytes.len() as u64)?;
                    return Ok(Some((bytes, self)));
                }
                Ok(None) if self.described.length.is_none() => return Ok(None),
                Ok(None) => self.resume(Error::Ended).await?,
                Err(why) => self.resume(why).await?,
            }
        }
    }

    fn count(&mut self, bytes: u64) -> Result<(), Error> {
        self.received += bytes;
        if self.received - self.resumed_at >= PROGRESS {
            self.tries = 0;
        }
        match self.described.length {
            Some(length) if self.received > length => Err(Error::Longer(length)),
            _ => Ok(()),
        }
    }

    /// Opens the rest: first where the data came from, then from the beginning of the way, since a redirect may have led to a URL that is
    /// good for a while only.
    async fn resume(&mut self, mut why: Error) -> Result<(), Error> {
        let (Some(total), Some(etag)) = (self.described.length, self.described.etag.clone()) else {
            return Err(self.broke_off(Error::NoValidator(why.into())));
        };
        loop {
            if self.tries >= RESUMES {
                return Err(self.broke_off(why));
            }
            if self.tries > 0 {
                let pause = self.web.first_pause() * 2_u32.pow(self.tries - 1);
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            self.tries += 1;
            tracing::warn!(
                source.host = %self.origin.host,
                offset_bytes = self.received,
                attempt = self.tries,
                error = &why as &dyn std::error::Error,
                "download from the web resumed"
            );
            let from = match self.tries {
                1 => &self.source,
                _ => &self.origin,
            };
            let rest = Rest {
                first: self.received,
                etag: &etag,
            };
            let opened = self.web.follow(from, Some(&rest)).await;
            let checked = opened.and_then(|(source, exchange)| {
                let (status, headers) = (exchange.status, &exchange.headers);
                let span = (self.received, total);
                check_rest(status, headers, exchange.length(), span, &etag)?;
                Ok((source, exchange))
            });
            match checked {
                Ok((source, exchange)) => {
                    (self.source, self.exchange) = (source, exchange);
                    self.resumed_at = self.received;
                    return Ok(());
                }
                Err(e) if e.is_passing() => why = e,
                Err(e) => return Err(self.broke_off(e)),
            }
        }
    }

    fn broke_off(&self, why: Error) -> Error {
        Error::BrokeOff {
            received: self.received,
            length: self.described.length,
            why: why.into(),
        }
    }
}
