//! JSON bodies: what one may take of time, and all of them together of memory.
//!
//! Memory is claimed as bytes come, so a body that was announced and is not sent holds nothing; a small one that fits the
//! first read of its connection claims nothing at all. When the memory is used up, whoever holds most of it gives way: the
//! oldest body of that project ends. So a project that opens many bodies and lets them lie stands in its own way alone.
//!
//! A text is held in pieces of one size: in buffers that double, what one body had outgrown would fit no other, and the
//! allocator would keep twice of what is claimed. What it is parsed into is claimed as well, till the request is answered:
//! `[0,0,…]` is a hundred times as large in memory as on the wire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::Error;

/// Most bytes of one body. 128 properties of some kilobytes fit; an image does not.
const MOST_EACH: usize = 1024 * 1024;
/// Most bytes of all bodies together.
const MOST_TOGETHER: usize = 32 * 1024 * 1024;
/// What is claimed at a time for the text. Values that take no more are not counted, in a body of one read.
const PIECE: usize = 16 * 1024;
/// What a value takes in memory, with the room of its list or object that grows by doubling and with the name it has there.
const VALUE: usize = 192;
/// Most values of one body: there is room for two such.
const MOST_VALUES: usize = 80_000;
/// How long a body waits for memory before its sender is asked to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a body may take before another one of the same project ends it for want of memory.
const UNDISTURBED: Duration = Duration::from_secs(1);
/// How often whoever waits looks whether a body has become old enough for that.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The memory of all bodies that are being read.
#[derive(Debug)]
pub(super) struct Bodies {
    /// How long one may take from its first byte to its last.
    timeout: Duration,
    stop: CancellationToken,
    claims: Mutex<Claims>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Claims {
    used: usize,
    next_id: u64,
    open: HashMap<u64, Claim>,
}

#[derive(Debug)]
struct Claim {
    holder: String,
    bytes: usize,
    begun: Instant,
    /// It is read: ending it would free nothing any sooner.
    is_read: bool,
    /// Cancelled: others need the memory more.
    ended: CancellationToken,
}

impl Bodies {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            stop: CancellationToken::new(),
            claims: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// Ends the reading of every body; those that come later are read only if they are there.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Reads a body whole and parses it. Its memory counts for `holder`, and for as long as the claim is kept.
    ///
    /// # Errors
    /// 408 when it takes too long, 413 when it is too large, 503 when no memory is free for it or the service stops, 400
    /// when it breaks off or is no JSON.
    pub(super) async fn read(
        self: &Arc<Self>,
        mut body: Body,
        holder: &str,
    ) -> Result<(Value, Option<Held>), Error> {
        // What is announced need not be waited for.
        if body.size_hint().lower() > MOST_EACH as u64 {
            return Err(too_large());
        }
        let reading = async {
            let first = next(&mut body).await?.unwrap_or_default();
            if body.is_end_stream() && first.len() <= MOST_EACH {
                let values = bytes_of(values_in(&first))?;
                if values <= PIECE {
                    return Ok((parse(&first)?, None));
                }
                let held = Held::of(self, holder);
                held.claim(first.len() + values).await?;
                return Ok((parse(&first)?, Some(held)));
            }
            let held = Held::of(self, holder);
            let pieces = held.collect(first, &mut body).await?;
            // Whole for no longer than it takes to parse it.
            let values = pieces.iter().map(|piece| values_in(piece)).sum();
            held.claim(pieces.len() * PIECE + bytes_of(values)?).await?;
            Ok((parse(&pieces.concat())?, Some(held)))
        };
        let read = tokio::select! {
            biased;
            read = tokio::time::timeout(self.timeout, reading) => read.unwrap_or_else(|_| {
                Err(Error::TooSlow(format!("The request body took longer than {:?}.", self.timeout)))
            }),
            () = self.stop.cancelled() => Err(Error::Busy("The service is about to stop.".into())),
        };
        if let Ok((_, Some(held))) = &read {
            held.is_read();
        }
        read
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Err(_) => return Err(Error::BadRequest("The request body broke off.".into())),
        }
    }
    Ok(None)
}

/// How many values a text has at most, beyond the first. Each of them follows one of these marks; those within strings count
/// too, since telling them apart would be parsing.
fn values_in(text: &[u8]) -> usize {
    let is_mark = |byte: &&u8| matches!(byte, b'[' | b'{' | b',' | b':');
    text.iter().filter(is_mark).count()
}

/// What so many values take in memory, bytes.
///
/// # Errors
/// 413 when they are too many.
fn bytes_of(values: usize) -> Result<usize, Error> {
    if values > MOST_VALUES {
        return Err(Error::TooLarge(format!(
            "The request body has more than {MOST_VALUES} values, or marks of JSON in its texts."
        )));
    }
    Ok(values * VALUE)
}

fn parse(text: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(text)
        .map_err(|e| Error::BadRequest(format!("The request body is not valid JSON: {e}")))
}

/// What one body holds until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    bodies: Arc<Bodies>,
    id: u64,
    ended: CancellationToken,
}

impl Held {
    fn of(bodies: &Arc<Bodies>, holder: &str) -> Self {
        let ended = CancellationToken::new();
        let mut claims = bodies.claims();
        let id = claims.next_id;
        claims.next_id += 1;
        let claim = Claim {
            holder: holder.to_owned(),
            bytes: 0,
            begun: Instant::now(),
            is_read: false,
            ended: ended.clone(),
        };
        claims.open.insert(id, claim);
        drop(claims);
        Self {
            bodies: Arc::clone(bodies),
            id,
            ended,
        }
    }

    fn is_read(&self) {
        if let Some(claim) = self.bodies.claims().open.get_mut(&self.id) {
            claim.is_read = true;
        }
    }

    /// The text in pieces, all but the last one full.
    async fn collect(&self, first: Bytes, body: &mut Body) -> Result<Vec<Vec<u8>>, Error> {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut length = 0;
        let mut chunk = Some(first);
        while let Some(data) = chunk {
            if length + data.len() > MOST_EACH {
                return Err(too_large());
            }
            let mut rest = &data[..];
            while !rest.is_empty() {
                let piece = match pieces.last_mut().filter(|piece| piece.len() < PIECE) {
                    Some(piece) => piece,
                    None => {
                        self.claim((pieces.len() + 1) * PIECE).await?;
                        pieces.push_mut(Vec::with_capacity(PIECE))
                    }
                };
                let (taken, left) = rest.split_at(rest.len().min(PIECE - piece.len()));
                piece.extend_from_slice(taken);
                length += taken.len();
                rest = left;
            }
            drop(data);
            chunk = tokio::select! {
                biased;
                () = self.ended.cancelled() => return Err(no_memory()),
                chunk = next(body) => chunk?,
            };
        }
        Ok(pieces)
    }

    /// Waits until this body may hold `bytes` in all.
    async fn claim(&self, bytes: usize) -> Result<(), Error> {
        let until = Instant::now() + LONGEST_WAIT;
        loop {
            let freed = self.bodies.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            if self.bodies.claims().try_claim(self.id, bytes) {
                return Ok(());
            }
            let now = Instant::now();
            if now >= until {
                return Err(no_memory());
            }
            tokio::select! {
                () = freed => {}
                () = tokio::time::sleep_until(until.min(now + LOOK_AGAIN)) => {}
                () = self.ended.cancelled() => return Err(no_memory()),
            }
        }
    }
}

fn too_large() -> Error {
    Error::TooLarge(format!("The request body exceeds {MOST_EACH} bytes."))
}

fn no_memory() -> Error {
    Error::Busy("Too many request bodies are being read.".into())
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut claims = self.bodies.claims();
        if let Some(claim) = claims.open.remove(&self.id) {
            claims.used -= claim.bytes;
        }
        drop(claims);
        self.bodies.freed.notify_waiters();
    }
}

impl Claims {
    /// Claims `bytes` in all for a body, or has another one end for it.
    fn try_claim(&mut self, id: u64, bytes: usize) -> bool {
        let Some(claim) = self.open.get_mut(&id) else {
            return false;
        };
        let wanted = self.used - claim.bytes + bytes;
        if wanted <= MOST_TOGETHER {
            self.used = wanted;
            claim.bytes = bytes;
            return true;
        }
        let ending = self
            .open
            .values()
            .filter(|claim| claim.ended.is_cancelled());
        if wanted - ending.map(|claim| claim.bytes).sum::<usize>() > MOST_TOGETHER
            && let Some(ended) = self.to_end_for(id)
        {
            ended.cancel();
        }
        false
    }

    /// The oldest body of whoever holds most; of one's own project only when it has had its time.
    fn to_end_for(&self, id: u64) -> Option<CancellationToken> {
        let live = || {
            let live =
                |claim: &&Claim| claim.bytes > 0 && !claim.is_read && !claim.ended.is_cancelled();
            self.open.values().filter(live)
        };
        let own = &self.open.get(&id)?.holder;
        let mut sums: HashMap<&str, usize> = HashMap::new();
        for claim in live() {
            *sums.entry(&claim.holder).or_default() += claim.bytes;
        }
        let held = sums.get(own.as_str()).copied().unwrap_or(0);
        let (most, sum) = sums.into_iter().max_by_key(|(_, sum)| *sum)?;
        let oldest = |holder: &str| {
            live()
                .filter(|claim| claim.holder == holder)
                .min_by_key(|claim| claim.begun)
        };
        let victim = if most != own && sum > held {
            oldest(most)
        } else {
            oldest(own).filter(|claim| claim.begun.elapsed() >= UNDISTURBED)
        };
        victim.map(|claim| claim.ended.clone())
    }
}
