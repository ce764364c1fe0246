//! Which stores have refused to copy from each other, so that it is not tried for each image.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For how long a refusal counts: rights are given and servers are upgraded while we run.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// The store that is read from, the one that is written to, and the way between them.
type Pair = (String, String, &'static str);

/// Refusals of late. There are no more of them than pairs of configured stores.
#[derive(Debug, Default)]
pub(in crate::transfer) struct UnfitPairs {
    noted: Mutex<HashMap<Pair, Instant>>,
}

impl UnfitPairs {
    /// Notes that a way between two stores does not serve.
    pub(super) fn note(&self, from: &str, to: &str, way: &'static str) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.insert((from.to_owned(), to.to_owned(), way), Instant::now());
    }

    /// Whether that was noted a short while ago.
    pub(super) fn contains(&self, from: &str, to: &str, way: &'static str) -> bool {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted
            .get(&(from.to_owned(), to.to_owned(), way))
            .is_some_and(|at| at.elapsed() < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusal_counts_for_its_pair_and_way_and_for_a_while() {
        let pairs = UnfitPairs::default();
        pairs.note("a", "b", "object");
        assert!(pairs.contains("a", "b", "object"));
        assert!(!pairs.contains("b", "a", "object"));
        assert!(!pairs.contains("a", "b", "parts"));
        tokio::time::advance(REMEMBERED).await;
        assert!(!pairs.contains("a", "b", "object"));
    }
}
