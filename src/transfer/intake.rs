//! What a client sends, held to a pace.

use std::future::Future;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::{Error, Result};
use crate::net::{Broken, Credit, Pace};

/// A body that breaks when its client sends too slowly. Time counts only while it is waited for.
pub(super) struct Intake<'a, B> {
    body: &'a mut B,
    /// Of the client's connection.
    broken: Broken,
    pace: Pace,
    credit: Credit,
    /// What came while something else was waited for; `None` within it is the end of the body.
    ahead: Option<Option<Bytes>>,
}

impl<'a, B> Intake<'a, B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    pub(super) fn new(body: &'a mut B, broken: Broken, pace: Pace) -> Self {
        Self {
            body,
            broken,
            pace,
            credit: Credit::new(pace),
            ahead: None,
        }
    }

    /// The next data; `None` at the end. Can be dropped and called again.
    ///
    /// # Errors
    /// [`Error::Stalled`], [`Error::TooSlow`], [`Error::ClientGone`].
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(frame) = self.ahead.take() {
            return Ok(frame);
        }
        let wait = Wait {
            credit: &mut self.credit,
            since: Instant::now(),
        };
        let frame = tokio::time::timeout(wait.credit.left(), next_data(self.body)).await;
        let Ok(frame) = frame else {
            let is_pause = wait.since.elapsed() >= self.pace.idle;
            return Err(if is_pause {
                Error::Stalled(self.pace.idle)
            } else {
                Error::TooSlow(self.pace.bytes_per_second)
            });
        };
        let frame = frame?;
        drop(wait);
        if let Some(data) = &frame {
            self.credit.earn(data.len());
        }
        Ok(frame)
    }

    /// Waits for something else than the body, which may fail meanwhile: so a client is noticed that leaves. What it sends
    /// is kept, one piece of it.
    ///
    /// # Errors
    /// Those of `other`; [`Error::ClientGone`].
    pub(super) async fn meanwhile<T>(
        &mut self,
        other: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut other = std::pin::pin!(other);
        if self.ahead.is_none() {
            tokio::select! {
                biased;
                done = &mut other => return done,
                frame = next_data(self.body) => self.ahead = Some(frame?),
            }
        }
        // What is behind that piece is not read, so the body does not tell any more.
        tokio::select! {
            biased;
            done = &mut other => done,
            () = self.broken.wait() => Err(Error::ClientGone("the connection broke".into())),
        }
    }
}

/// A wait for the client counts however it ends.
struct Wait<'a> {
    credit: &'a mut Credit,
    since: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.credit.spend(self.since.elapsed());
    }
}

async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Error::ClientGone(e.into()))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
