//! A body that counts its data bytes where they pass and tells once how it ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;

use super::labels::BodyEnd;
use super::metrics::InFlight;

type OnEnd = Box<dyn FnOnce(BodyEnd) + Send>;

/// A body that counts its data bytes, holds a guard till its end and then tells how it ended.
///
/// It is complete when the inner body says so, and also once the expected length has passed: HTTP/1 servers drop a
/// body after the last promised byte without asking whether more would come. A body that is dropped earlier was
/// cancelled. One that breaks, or ends short of the expected length, failed.
pub(crate) struct Counted<B> {
    inner: B,
    counter: Counter,
    /// Bytes still expected, when a length was promised.
    remaining: Option<u64>,
    /// Taken at the end, whichever way it comes.
    open: Option<Open>,
}

/// What is let go of at the end.
#[derive(Default)]
struct Open {
    guard: Option<InFlight>,
    on_end: Option<OnEnd>,
}

impl<B: Body + Unpin> Counted<B> {
    /// Counts the data of a body.
    pub(crate) fn new(inner: B, counter: Counter) -> Self {
        Self {
            remaining: inner.size_hint().exact(),
            inner,
            counter,
            open: Some(Open::default()),
        }
    }

    /// States the length of the body where the body itself does not know it.
    pub(crate) fn expecting(mut self, length: u64) -> Self {
        self.remaining = Some(length);
        self
    }

    /// Holds the guard until the body ends.
    pub(crate) fn holding(mut self, guard: InFlight) -> Self {
        if let Some(open) = &mut self.open {
            open.guard = Some(guard);
        }
        self
    }

    /// Calls the function once, when the body ends.
    pub(crate) fn on_end(mut self, tell: impl FnOnce(BodyEnd) + Send + 'static) -> Self {
        if let Some(open) = &mut self.open {
            open.on_end = Some(Box::new(tell));
        }
        self
    }
}

impl<B> Counted<B> {
    fn end(&mut self, end: BodyEnd) {
        if let Some(open) = self.open.take() {
            drop(open.guard);
            if let Some(tell) = open.on_end {
                tell(end);
            }
        }
    }

    fn count(&mut self, bytes: u64) {
        self.counter.inc_by(bytes);
        self.remaining = self
            .remaining
            .map(|remaining| remaining.saturating_sub(bytes));
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.count(u64::try_from(data.remaining()).unwrap_or(u64::MAX));
                }
                if this.remaining == Some(0)
                    || (this.remaining.is_none() && this.inner.is_end_stream())
                {
                    this.end(BodyEnd::Complete);
                }
            }
            Some(Err(_)) => this.end(BodyEnd::Failed),
            None if this.remaining.is_some_and(|remaining| remaining > 0) => {
                this.end(BodyEnd::Failed)
            }
            None => this.end(BodyEnd::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.remaining {
            Some(remaining) => SizeHint::with_exact(remaining),
            None => self.inner.size_hint(),
        }
    }
}

impl<B> Drop for Counted<B> {
    fn drop(&mut self) {
        // An empty body is never polled by a server that knows its length.
        let end = if self.remaining == Some(0) {
            BodyEnd::Complete
        } else {
            BodyEnd::Cancelled
        };
        self.end(end);
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the bodies of these tests are a few bytes"
)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{BodyExt, Empty, Full, StreamBody};

    use super::*;
    use crate::telemetry::metrics::Metrics;

    type Ends = Arc<Mutex<Vec<BodyEnd>>>;
    type TestFrame = Result<Frame<Bytes>, std::io::Error>;

    fn watched<B: Body + Unpin>(inner: B) -> (Counted<B>, Counter, Ends) {
        let (counter, ends) = (Counter::default(), Ends::default());
        let seen = ends.clone();
        let body =
            Counted::new(inner, counter.clone()).on_end(move |end| seen.lock().unwrap().push(end));
        (body, counter, ends)
    }

    fn data(text: &'static str) -> TestFrame {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    fn streamed(frames: Vec<TestFrame>) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin {
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn body_read_to_its_end_is_complete_once() {
        let (body, counter, ends) = watched(streamed(vec![data("abc"), data("de")]));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcde");
        assert_eq!(counter.get(), 5);
        assert_eq!(*ends.lock().unwrap(), [BodyEnd::Complete]);
    }

    #[tokio::test]
    async fn body_dropped_after_the_promised_bytes_is_complete() {
        let (body, _, ends) = watched(streamed(vec![data("abc"), data("de")]));
        let mut body = body.expecting(5);
        assert_eq!(body.size_hint().exact(), Some(5));
        body.frame().await.unwrap().unwrap();
        assert_eq!(body.size_hint().exact(), Some(2));
        assert!(ends.lock().unwrap().is_empty());
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(*ends.lock().unwrap(), [BodyEnd::Complete]);
    }

    #[tokio::test]
    async fn body_dropped_before_its_end_is_cancelled_and_frees_its_guard() {
        let metrics = Metrics::new();
        let (body, counter, ends) = watched(streamed(vec![data("abc"), data("de")]));
        let mut body = body.holding(metrics.download_in_flight());
        body.frame().await.unwrap().unwrap();
        assert!(metrics.encode().contains("oriel_downloads_in_flight 1"));
        drop(body);
        assert!(metrics.encode().contains("oriel_downloads_in_flight 0"));
        assert_eq!(counter.get(), 3);
        assert_eq!(*ends.lock().unwrap(), [BodyEnd::Cancelled]);
    }

    #[tokio::test]
    async fn guard_is_freed_at_the_end_and_not_only_when_dropped() {
        let metrics = Metrics::new();
        let (body, _, _) = watched(streamed(vec![data("abc")]));
        let mut body = body.expecting(3).holding(metrics.download_in_flight());
        body.frame().await.unwrap().unwrap();
        assert!(metrics.encode().contains("oriel_downloads_in_flight 0"));
    }

    #[tokio::test]
    async fn body_that_breaks_or_ends_short_has_failed() {
        let (body, counter, ends) = watched(streamed(vec![
            data("abc"),
            Err(std::io::Error::other("cut")),
        ]));
        assert!(body.collect().await.is_err());
        assert_eq!(counter.get(), 3);
        assert_eq!(*ends.lock().unwrap(), [BodyEnd::Failed]);

        let (body, _, ends) = watched(streamed(vec![data("abc")]));
        body.expecting(5).collect().await.unwrap();
        assert_eq!(*ends.lock().unwrap(), [BodyEnd::Failed]);
    }

    #[test]
    fn body_of_known_length_keeps_its_hints() {
        let (body, _, ends) = watched(Full::new(Bytes::from_static(b"abc")));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(!body.is_end_stream());
        drop(body);
        assert_eq!(*ends.lock().unwrap(), [BodyEnd::Cancelled]);

        let (body, _, ends) = watched(Empty::<Bytes>::new());
        assert!(body.is_end_stream());
        drop(body);
        assert_eq!(*ends.lock().unwrap(), [BodyEnd::Complete]);
    }
}
