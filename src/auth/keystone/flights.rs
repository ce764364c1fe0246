//! Work that many ask for at once and that is done once: whoever comes while it is under way waits for the same outcome.
//!
//! The work is carried on by those who wait. One that goes away leaves it to the others; when all have gone it ends, and
//! the next to come begins anew.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

type Flight<T> = Shared<BoxFuture<'static, T>>;

/// What is under way, by key.
pub(super) struct Flights<K, T: Clone>(Mutex<HashMap<K, WeakShared<BoxFuture<'static, T>>>>);

impl<K: Eq + Hash + Clone, T: Clone> Flights<K, T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Waits for the work under this key, which `begin` makes when there is none.
    pub(super) async fn join(&self, key: K, begin: impl FnOnce() -> BoxFuture<'static, T>) -> T {
        let flight = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let under_way = flights.get(&key).and_then(WeakShared::upgrade);
            under_way.unwrap_or_else(|| {
                let flight = begin().shared();
                if let Some(weak) = flight.downgrade() {
                    flights.insert(key.clone(), weak);
                }
                flight
            })
        };
        let seat = Seat {
            flights: self,
            key,
            flight: Some(flight.clone()),
        };
        let outcome = flight.await;
        drop(seat);
        outcome
    }

    fn leave(&self, key: &K, flight: Option<Flight<T>>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(flight);
        if flights
            .get(key)
            .is_some_and(|weak| weak.upgrade().is_none())
        {
            flights.remove(key);
        }
    }
}

/// One that waits. The last to leave, finished or not, takes the entry out.
struct Seat<'a, K: Eq + Hash + Clone, T: Clone> {
    flights: &'a Flights<K, T>,
    key: K,
    flight: Option<Flight<T>>,
}

impl<K: Eq + Hash + Clone, T: Clone> Drop for Seat<'_, K, T> {
    fn drop(&mut self) {
        self.flights.leave(&self.key, self.flight.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn those_who_come_together_share_one_outcome() {
        let flights: Arc<Flights<&str, usize>> = Arc::new(Flights::new());
        let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let mut waiting = JoinSet::new();
        for _ in 0..50 {
            let (flights, begun, gate) = (flights.clone(), begun.clone(), gate.clone());
            waiting.spawn(async move {
                let work = || {
                    let gate = gate.clone();
                    let number = begun.fetch_add(1, Ordering::SeqCst);
                    async move {
                        let _ = gate.acquire().await.unwrap();
                        number
                    }
                    .boxed()
                };
                flights.join("key", work).await
            });
        }
        tokio::task::yield_now().await;
        gate.add_permits(1);
        while let Some(outcome) = waiting.join_next().await {
            assert_eq!(outcome.unwrap(), 0);
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert!(flights.0.lock().unwrap().is_empty());
        assert_eq!(flights.join("key", || async { 7 }.boxed()).await, 7);
    }

    #[tokio::test]
    async fn the_work_outlives_whoever_began_it_and_ends_with_the_last() {
        let flights: Flights<&str, usize> = Flights::new();
        let gate = Arc::new(Semaphore::new(0));
        let work = |number| {
            let gate = gate.clone();
            async move {
                let _ = gate.acquire().await.unwrap();
                number
            }
            .boxed()
        };
        {
            let mut first = Box::pin(flights.join("key", || work(1)));
            assert!(futures_util::poll!(&mut first).is_pending());
            let mut second = Box::pin(flights.join("key", || work(2)));
            assert!(futures_util::poll!(&mut second).is_pending());
            drop(first);
            gate.add_permits(1);
            assert_eq!(second.await, 1);
        }
        {
            gate.forget_permits(1);
            let mut left = Box::pin(flights.join("key", || work(3)));
            assert!(futures_util::poll!(&mut left).is_pending());
        }
        assert!(flights.0.lock().unwrap().is_empty());
        gate.add_permits(1);
        assert_eq!(flights.join("key", || work(4)).await, 4);
    }
}
