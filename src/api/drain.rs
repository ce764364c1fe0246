//! Early refusals that clients can see.
//!
//! A client that sends its whole body before it looks for the answer (most Python ones) would see a reset connection
//! instead of the 409 or 413 if nobody read on. So a request body that is dropped before its end is read on in the
//! background, within bounds; then the connection closes. One exception: a client that sent `Expect: 100-continue` and
//! whose body was never asked for sends none.

use std::pin::Pin;
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

/// Where unread bodies are read on.
#[derive(Debug, Clone, Default)]
pub(super) struct Drains {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drains {
    /// Wraps the body of a request.
    pub(super) fn watch(&self, body: Body, expects_continue: bool) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Watched {
            body,
            is_owed: !expects_continue,
            drains: self.clone(),
        })
    }

    /// Ends the drains under way: their answers were sent long ago.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct Watched {
    body: Body,
    /// True while the client is sending, or will send, bytes that nobody has read.
    is_owed: bool,
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
        self.is_owed = !matches!(polled, Poll::Ready(None | Some(Err(_))));
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
        if !self.is_owed || self.body.is_end_stream() || self.drains.stop.is_cancelled() {
            return;
        }
        let (body, stop) = (std::mem::take(&mut self.body), self.drains.stop.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.drains.tasks.spawn_on(drain(body, stop), &runtime);
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
