//! Early refusals that clients can see.
//!
//! A client that sends its whole body before it looks for the answer (most Python ones) would see a reset connection
//! instead of the 409 or 413 if nobody read on. So a request body that is dropped before its end is read on in the
//! background, within bounds; then the connection closes, which the answer says. One exception: a client that sent
//! `Expect: 100-continue` and whose body was never asked for sends none.
//!
//! What is left of a short body is mostly there already. It is waited for a moment, and the connection stays.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bounds of what is read and thrown away. Past them the client had its time to look.
const LONGEST: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const MOST_BYTES: u64 = 1024 * 1024 * 1024;

/// What is read before the answer, so that the connection can stay.
const SHORT_BYTES: u64 = 64 * 1024;
const SHORT_WAIT: Duration = Duration::from_millis(20);

/// Where unread bodies are read on.
#[derive(Debug, Clone, Default)]
pub(super) struct Drains {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drains {
    /// Wraps the body of a request, and gives what is asked about it once there is an answer.
    pub(super) fn watch(&self, body: Body, expects_continue: bool) -> (Body, Unread) {
        if body.is_end_stream() {
            return (body, Unread(None));
        }
        let watched = Watched {
            body,
            progress: if expects_continue {
                Progress::NotAsked
            } else {
                Progress::Owed
            },
            place: Arc::new(Mutex::new(Place::InUse)),
            drains: self.clone(),
        };
        let unread = Unread(Some((Arc::clone(&watched.place), self.clone())));
        (Body::new(watched), unread)
    }

    /// Ends the drains under way: their answers were sent long ago.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn read_on(&self, body: Body) {
        if self.stop.is_cancelled() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.tasks
                .spawn_on(drain(body, self.stop.clone()), &runtime);
        }
    }
}

/// How far a body has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The client waits to be asked for it.
    NotAsked,
    /// The client is sending, or will send, bytes that nobody has read.
    Owed,
    /// To its end.
    Ended,
    /// It broke.
    Broken,
}

/// Where the body is: one request's own lock, taken twice.
#[derive(Debug)]
enum Place {
    InUse,
    /// Dropped by whoever was to read it.
    Dropped(Body, Progress),
    /// There is an answer; what is dropped from now on is read on by itself.
    Answered,
}

/// What is left of a request's body when there is an answer.
#[derive(Debug)]
pub(super) struct Unread(Option<(Arc<Mutex<Place>>, Drains)>);

impl Unread {
    /// Sees to what was not read. Whether the connection closes after the answer.
    pub(super) async fn settle(self) -> bool {
        let Some((place, drains)) = self.0 else {
            return false;
        };
        let place = std::mem::replace(
            &mut *place.lock().unwrap_or_else(PoisonError::into_inner),
            Place::Answered,
        );
        match place {
            Place::Dropped(_, Progress::Ended) => false,
            Place::InUse
            | Place::Answered
            | Place::Dropped(_, Progress::NotAsked | Progress::Broken) => true,
            Place::Dropped(mut body, Progress::Owed) => {
                let closes = !ends_soon(&mut body).await;
                if closes {
                    drains.read_on(body);
                }
                closes
            }
        }
    }
}

async fn ends_soon(body: &mut Body) -> bool {
    if body.is_end_stream() {
        return true;
    }
    if body.size_hint().lower() > SHORT_BYTES {
        return false;
    }
    let reading = async {
        let mut left = SHORT_BYTES;
        while let Some(frame) = body.frame().await {
            let read = frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
            left = left.checked_sub(read)?;
        }
        Some(())
    };
    matches!(
        tokio::time::timeout(SHORT_WAIT, reading).await,
        Ok(Some(()))
    )
}

struct Watched {
    body: Body,
    progress: Progress,
    place: Arc<Mutex<Place>>,
    drains: Drains,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // Asking for the first byte sends the 100; from the end or an error on nothing is owed.
        self.progress = match &polled {
            Poll::Ready(None) => Progress::Ended,
            Poll::Ready(Some(Err(_))) => Progress::Broken,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => Progress::Owed,
        };
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.progress = Progress::Ended;
        }
        let body = std::mem::take(&mut self.body);
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*place, Place::InUse) {
            *place = Place::Dropped(body, self.progress);
        } else if self.progress == Progress::Owed {
            self.drains.read_on(body);
        }
    }
}

async fn drain(mut body: Body, stop: CancellationToken) {
    let reading = async {
        let mut left = MOST_BYTES;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(LONGEST_PAUSE, body.frame()).await {
            let read = frame.data_ref().map_or(0, |data| data.len() as u64);
            let Some(rest) = left.checked_sub(read) else {
                return;
            };
            left = rest;
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(LONGEST, reading) => {}
        () = stop.cancelled() => {}
    }
}
