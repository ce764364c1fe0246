//! The open connections: how many there may be, which of them idle, and how they end.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often a new connection looks for another one that has begun to idle while all are taken.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The mark of a connection that has a request.
const BUSY: u64 = u64::MAX;

/// The open connections of a listener.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pub(super) tasks: TaskTracker,
    pub(super) finish: CancellationToken,
    pub(super) cut: CancellationToken,
    places: Arc<Semaphore>,
    begun: Instant,
    /// Taken when a connection begins and when it ends, never for a request.
    open: Arc<Mutex<HashMap<u64, Arc<State>>>>,
    next_id: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State {
    /// Since when it idles, in milliseconds, or [`BUSY`].
    idle_since: AtomicU64,
    leave: CancellationToken,
}

impl Connections {
    /// None yet, and at most so many at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            tasks: TaskTracker::new(),
            finish: CancellationToken::new(),
            cut: CancellationToken::new(),
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            begun: Instant::now(),
            open: Arc::default(),
            next_id: Arc::default(),
        }
    }

    /// Asks every connection to end after its request and waits up to `patience`.
    pub(super) async fn finish(&self, patience: Duration) {
        self.finish.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(patience, self.tasks.wait()).await;
    }

    /// Ends what is left. Clients see a broken connection, never a short body that looks whole.
    pub(super) async fn cut(&self) {
        self.cut.cancel();
        self.tasks.wait().await;
    }

    /// A place for one more. When all are taken, the one that has idled longest ends for it; when none idles, the first
    /// that ends gives its own.
    pub(super) async fn place(&self) -> Place {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
                break permit;
            }
            self.end_oldest_idle();
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(permit)) = tokio::time::timeout(LOOK_AGAIN, place).await {
                break permit;
            }
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(State {
            idle_since: AtomicU64::new(millis_since(self.begun)),
            leave: CancellationToken::new(),
        });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(id, Arc::clone(&state));
        drop(open);
        Place {
            connections: self.clone(),
            id,
            state,
            _permit: permit,
        }
    }

    fn end_oldest_idle(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = open
            .values()
            .filter(|state| !state.leave.is_cancelled())
            .map(|state| (state.idle_since.load(Ordering::Relaxed), state))
            .filter(|(since, _)| *since != BUSY)
            .min_by_key(|(since, _)| *since);
        if let Some((_, state)) = oldest {
            state.leave.cancel();
        }
    }
}

fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(BUSY - 1)
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    id: u64,
    state: Arc<State>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Ready once the connection should end if it idles: its place is wanted, or the service stops.
    pub(super) async fn left(&self) {
        tokio::select! {
            () = self.state.leave.cancelled() => {}
            () = self.connections.finish.cancelled() => {}
        }
    }

    /// Counts the connection as busy until the guard is dropped.
    pub(super) fn busy(&self) -> Busy {
        self.state.idle_since.store(BUSY, Ordering::Relaxed);
        Busy {
            state: Arc::clone(&self.state),
            begun: self.connections.begun,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = self.connections.open.lock();
        open.unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

/// A request that a connection has.
#[derive(Debug)]
pub(super) struct Busy {
    state: Arc<State>,
    begun: Instant,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = millis_since(self.begun);
        self.state.idle_since.store(now, Ordering::Relaxed);
    }
}

/// The body of an answer, which keeps its connection busy to its end.
#[derive(Debug)]
pub(super) struct Holding<B> {
    pub(super) body: B,
    pub(super) _busy: Busy,
}

impl<B: Body + Unpin> Body for Holding<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
