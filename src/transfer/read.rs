//! The first stage: the client's body, frame by frame, into parts.
//!
//! Length rules are kept here, on the bytes that really came (OSSA 2014-028), never on headers alone.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::budget::{Budget, Claim};
use super::intake::Intake;
use super::lease::Reservation;
use super::plan::PartPlan;
use super::{Error, Result};
use crate::format::Inspection;
use crate::net::{Broken, Pace};

/// A piece of the stream in one buffer. Holds its share of the byte budget until the last user is done.
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// True when the stream ends with this part.
    pub(super) is_last: bool,
    _claim: Claim,
}

/// What the stage needs besides the body.
pub(super) struct Reader<'a> {
    pub(super) budget: &'a Arc<Budget>,
    /// Whose memory it is.
    pub(super) project: Arc<str>,
    pub(super) plan: PartPlan,
    /// How fast the client has to send.
    pub(super) pace: Pace,
    pub(super) broken: Broken,
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
    /// As large as the claim, and no larger: what the allocator gives out again was written to before, and is memory whether
    /// anything is put in or not.
    buffer: Vec<u8>,
    size: usize,
    claim: Claim,
    /// When it holds memory for too long, if others wait for it.
    fill_until: Instant,
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
        let mut intake = Intake::new(body, self.broken.clone(), self.pace);
        while let Some(mut frame) = next_frame(&mut intake, filling.as_mut(), self.budget).await? {
            size += frame.len() as u64;
            self.check(size)?;
            intake
                .meanwhile(self.reservation.ensure_reserved(size))
                .await?;
            self.inspect(&frame);
            while !frame.is_empty() {
                if let Some(full) = filling.take_if(|part| part.buffer.len() == part.size) {
                    pass_on(full.freeze(false), &digest, &send).await;
                }
                let part = match &mut filling {
                    Some(part) => part,
                    None => filling.insert(self.new_part(size - frame.len() as u64)),
                };
                if part.room() == 0 {
                    if !part.claim.try_grow() {
                        intake.meanwhile(part.claim.complete()).await?;
                        part.fill_until = Instant::now() + self.budget.patience();
                    }
                    let room = part.room();
                    part.buffer.reserve_exact(room);
                }
                let taken = frame.len().min(part.room());
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
            None => self.new_part(0),
        };
        pass_on(last.freeze(true), &digest, &send).await;
        Ok(Received {
            size,
            inspection: self.inspection,
        })
    }

    fn check(&self, size: u64) -> Result<()> {
        if size > self.cap {
            return Err(Error::TooLarge { cap: self.cap });
        }
        if let Some(declared) = self.declared.filter(|declared| size > *declared) {
            return Err(Error::SizeMismatch {
                declared,
                received: size,
            });
        }
        Ok(())
    }

    fn inspect(&mut self, frame: &Bytes) {
        if let Some(inspection) = &mut self.inspection {
            inspection.feed(frame);
        }
    }

    /// The next part, as large as the plan says but no larger than what is still declared to come.
    fn new_part(&mut self, received: u64) -> Filling {
        let planned = self.plan.next_part();
        let size = self
            .declared
            .map_or(planned, |declared| planned.min(declared - received));
        let claim = self.budget.claim(&self.project, size);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Filling {
            buffer: Vec::new(),
            size,
            claim,
            fill_until: Instant::now() + self.budget.patience(),
        }
    }
}

impl Filling {
    /// Bytes that may still be put in before the claim has to grow.
    fn room(&self) -> usize {
        let claimed = usize::try_from(self.claim.bytes()).unwrap_or(usize::MAX);
        self.size.min(claimed) - self.buffer.len()
    }

    fn freeze(self, is_last: bool) -> Arc<Part> {
        Arc::new(Part {
            bytes: self.buffer.into(),
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

/// The next data. While others wait for memory, the part that holds some has to be full in time.
async fn next_frame<B>(
    intake: &mut Intake<'_, B>,
    filling: Option<&mut Filling>,
    budget: &Budget,
) -> Result<Option<Bytes>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    let Some(part) = filling else {
        return intake.next().await;
    };
    loop {
        if let Ok(frame) = tokio::time::timeout_at(part.fill_until, intake.next()).await {
            return frame;
        }
        if budget.is_short() {
            return Err(Error::HeldMemory(budget.patience()));
        }
        // Looked at again before the patience of one that comes now has ended.
        part.fill_until = Instant::now() + budget.patience() / 2;
    }
}
