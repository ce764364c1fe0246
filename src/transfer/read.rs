//! The first stage: the client's body, frame by frame, into parts.
//!
//! Length rules are kept here, on the bytes that really came (OSSA 2014-028), never on headers alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::budget::{Budget, Claim};
use super::lease::Reservation;
use super::plan::PartPlan;
use super::{Error, Result};
use crate::format::Inspection;

/// A piece of the stream in one buffer. Holds its share of the byte budget until the last user is done.
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// True when the stream ends with this part.
    pub(super) is_last: bool,
    _claim: Claim,
}

/// What the stage needs besides the body.
pub(super) struct Reader<'a> {
    pub(super) budget: &'a Budget,
    pub(super) plan: PartPlan,
    pub(super) idle_timeout: Duration,
    pub(super) declared: Option<u64>,
    pub(super) cap: u64,
    pub(super) reservation: Reservation<'a>,
    pub(super) inspection: Option<Inspection>,
}

/// What the stage knows at the end.
pub(super) struct Received {
    pub(super) size: u64,
    pub(super) inspection: Option<Inspection>,
}

/// A part being filled.
struct Filling {
    buffer: BytesMut,
    size: usize,
    claim: Claim,
}

impl Reader<'_> {
    /// Reads the body to its end and hands each part to both receivers.
    ///
    /// A full part is held back until the next byte or the end has come, so that `is_last` is always true to the fact.
    pub(super) async fn run<B>(
        mut self,
        body: &mut B,
        digest: mpsc::Sender<Arc<Part>>,
        send: mpsc::Sender<Arc<Part>>,
    ) -> Result<Received>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let mut size = 0_u64;
        let mut filling: Option<Filling> = None;
        while let Some(mut frame) = next_frame(body, self.idle_timeout).await? {
            size += frame.len() as u64;
            self.check(size).await?;
            self.inspect(&frame);
            while !frame.is_empty() {
                if let Some(full) = filling.take_if(|part| part.buffer.len() == part.size) {
                    pass_on(full.freeze(false), &digest, &send).await;
                }
                let part = match &mut filling {
                    Some(part) => part,
                    None => filling.insert(self.new_part(size - frame.len() as u64).await),
                };
                let taken = frame.len().min(part.size - part.buffer.len());
                part.buffer.extend_from_slice(&frame[..taken]);
                frame.advance(taken);
            }
        }
        if let Some(declared) = self.declared.filter(|declared| *declared != size) {
            return Err(Error::SizeMismatch {
                declared,
                received: size,
            });
        }
        let last = match filling {
            Some(part) => part,
            None => Filling {
                buffer: BytesMut::new(),
                size: 0,
                claim: self.budget.claim(0).await,
            },
        };
        pass_on(last.freeze(true), &digest, &send).await;
        Ok(Received {
            size,
            inspection: self.inspection,
        })
    }

    async fn check(&mut self, size: u64) -> Result<()> {
        if size > self.cap {
            return Err(Error::TooLarge { cap: self.cap });
        }
        if let Some(declared) = self.declared.filter(|declared| size > *declared) {
            return Err(Error::SizeMismatch {
                declared,
                received: size,
            });
        }
        self.reservation.ensure_reserved(size).await
    }

    fn inspect(&mut self, frame: &Bytes) {
        if let Some(inspection) = &mut self.inspection {
            inspection.feed(frame);
        }
    }

    /// A buffer for the next part, as large as the plan says but no larger than what is still declared to come.
    async fn new_part(&mut self, received: u64) -> Filling {
        let planned = self.plan.next_part();
        let size = self
            .declared
            .map_or(planned, |declared| planned.min(declared - received));
        let claim = self.budget.claim(size).await;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Filling {
            buffer: BytesMut::with_capacity(size),
            size,
            claim,
        }
    }
}

impl Filling {
    fn freeze(self, is_last: bool) -> Arc<Part> {
        Arc::new(Part {
            bytes: self.buffer.freeze(),
            is_last,
            _claim: self.claim,
        })
    }
}

/// A receiver that is gone has failed; the join reports its error, so there is nothing to say here.
async fn pass_on(
    part: Arc<Part>,
    digest: &mpsc::Sender<Arc<Part>>,
    send: &mpsc::Sender<Arc<Part>>,
) {
    let _ = digest.send(Arc::clone(&part)).await;
    let _ = send.send(part).await;
}

/// The next data of a body; `None` at its end.
async fn next_frame<B>(body: &mut B, idle_timeout: Duration) -> Result<Option<Bytes>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    loop {
        let frame = tokio::time::timeout(idle_timeout, body.frame())
            .await
            .map_err(|_| Error::Stalled(idle_timeout))?;
        match frame {
            None => return Ok(None),
            Some(Err(e)) => return Err(Error::ClientGone(e.into())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
