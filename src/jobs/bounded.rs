//! Many requests of one store: some at once, and not all of them when the store fails.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::transfer::{Error, Result};

/// Requests of one job to one store at once. Enough to keep a store busy that syncs its disk for each, few enough to leave
/// it to the uploads.
const AT_ONCE: usize = 16;

/// After so many failures in a row it is the store's trouble and not the items', and the rest would fail the same way. It
/// is left to the next round, which has to begin with others: a few items that always fail must not keep the rest.
const MOST_FAILURES: usize = 3;

/// How a list was worked off. What is in neither was not begun.
pub(super) struct Done<'a, T, O> {
    /// What went well, with its result.
    pub(super) done: Vec<(&'a T, O)>,
    /// What did not.
    pub(super) failed: Vec<&'a T>,
    /// The last of the errors.
    pub(super) error: Option<Error>,
    /// So much failed in a row that the rest was left.
    pub(super) is_given_up: bool,
}

/// Does `work` with every item, a bounded number at once, in the order of the list, until too many fail in a row.
pub(super) async fn work_off<'a, T, O, F>(
    items: &'a [T],
    work: impl Fn(&'a T) -> F,
) -> Done<'a, T, O>
where
    F: Future<Output = Result<O>>,
{
    let mut all = Done {
        done: Vec::with_capacity(items.len()),
        failed: Vec::new(),
        error: None,
        is_given_up: false,
    };
    let (mut items, mut running, mut failures) = (items.iter(), FuturesUnordered::new(), 0);
    loop {
        while failures < MOST_FAILURES && running.len() < AT_ONCE {
            let Some(item) = items.next() else { break };
            let result = work(item);
            running.push(async move { (item, result.await) });
        }
        match running.next().await {
            Some((item, Ok(result))) => {
                failures = 0;
                all.done.push((item, result));
            }
            Some((item, Err(e))) => {
                failures += 1;
                all.failed.push(item);
                all.error = Some(e);
            }
            None => break,
        }
    }
    all.is_given_up = failures >= MOST_FAILURES;
    all
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_bounded_number_is_under_way_at_once() {
        let items: Vec<usize> = (0..100).collect();
        let (running, most) = (Cell::new(0), Cell::new(0));
        let all = work_off(&items, async |item| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::task::yield_now().await;
            running.set(running.get() - 1);
            Ok(*item)
        })
        .await;
        assert_eq!((all.done.len(), most.get()), (100, AT_ONCE));
        assert!(all.error.is_none() && !all.is_given_up);
    }

    #[tokio::test]
    async fn failures_in_a_row_end_it_and_single_ones_do_not() {
        let items: Vec<usize> = (0..100).collect();
        let fail = async |is_failure| match is_failure {
            true => Err(Error::Stopping),
            false => Ok(()),
        };
        let all = work_off(&items, |item| fail(item % 3 == 0)).await;
        assert_eq!((all.done.len(), all.failed.len()), (66, 34));
        assert!(all.error.is_some() && !all.is_given_up);

        let all = work_off(&items, |item| fail(*item >= 50)).await;
        assert_eq!(all.done.len(), 50);
        assert!(all.is_given_up);
        assert!(
            all.failed.len() < AT_ONCE + MOST_FAILURES,
            "{}",
            all.failed.len()
        );
    }
}
