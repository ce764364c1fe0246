use futures_util::FutureExt;
use futures_util::future::join_all;
use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn budget(pages: u64, largest: u64) -> Arc<Budget> {
    let metrics = Arc::new(Metrics::new());
    Budget::new(pages * PAGE, largest * PAGE, PATIENCE, metrics)
}

fn project(name: &str) -> Arc<str> {
    name.into()
}

#[tokio::test]
async fn a_part_takes_pages_as_its_bytes_come_and_gives_them_back() {
    let budget = budget(6, 2);
    let mut claim = budget.claim(&project("a"), 4 * PAGE);
    assert_eq!(claim.bytes(), 0);
    for held in [1, 2, 4] {
        assert!(claim.try_grow());
        assert_eq!(claim.bytes(), held * PAGE);
    }
    assert!(!claim.try_grow(), "the reserve is for those who wait");
    let mut other = budget.claim(&project("a"), 2 * PAGE);
    other.complete().await.unwrap();
    assert_eq!(other.bytes(), 2 * PAGE);
    drop((claim, other));
    let mut all = budget.claim(&project("b"), 6 * PAGE);
    all.complete().await.unwrap();
    assert!(budget.lock().held.len() == 1);
}

#[test]
fn a_part_that_has_begun_takes_all_where_there_is_plenty() {
    let budget = budget(42, 2);
    let mut claim = budget.claim(&project("a"), 9 * PAGE);
    let mut other = budget.claim(&project("a"), 9 * PAGE);
    for (claim, held) in [(&mut claim, 1), (&mut other, 1)] {
        assert!(claim.try_grow());
        assert_eq!(claim.bytes(), held * PAGE);
    }
    // 38 of 40 pages are free, then 30.
    assert!(claim.try_grow() && other.try_grow());
    assert_eq!((claim.bytes(), other.bytes()), (9 * PAGE, 2 * PAGE));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_after_a_time_and_leaves_nothing_behind() {
    let budget = budget(4, 2);
    let mut all = budget.claim(&project("a"), 4 * PAGE);
    all.complete().await.unwrap();
    let mut late = budget.claim(&project("b"), PAGE);
    assert!(matches!(late.complete().await, Err(Error::NoMemory(time)) if time == PATIENCE));
    assert!(!budget.is_short());
    drop(all);
    let mut all = budget.claim(&project("b"), 4 * PAGE);
    assert!(all.complete().now_or_never().is_some());
}

#[tokio::test]
async fn a_project_that_holds_less_goes_first() {
    let budget = budget(4, 2);
    let (busy, idle) = (project("busy"), project("idle"));
    let mut first = budget.claim(&busy, 2 * PAGE);
    let mut second = budget.claim(&busy, 2 * PAGE);
    first.complete().await.unwrap();
    second.complete().await.unwrap();
    let mut third = budget.claim(&busy, 2 * PAGE);
    let mut victim = budget.claim(&idle, 2 * PAGE);
    let mut third = std::pin::pin!(third.complete());
    assert!(third.as_mut().now_or_never().is_none());
    let mut victim = std::pin::pin!(victim.complete());
    assert!(victim.as_mut().now_or_never().is_none());
    drop(first);
    assert!(third.as_mut().now_or_never().is_none());
    assert!(victim.as_mut().now_or_never().is_some());
    drop(second);
    assert!(third.as_mut().now_or_never().is_some());
}

#[tokio::test]
async fn what_was_granted_to_somebody_who_left_is_free_again() {
    let budget = budget(2, 2);
    let mut first = budget.claim(&project("a"), 2 * PAGE);
    first.complete().await.unwrap();
    let mut second = budget.claim(&project("a"), 2 * PAGE);
    {
        let mut waiting = Box::pin(second.complete());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
    }
    let mut third = budget.claim(&project("a"), 2 * PAGE);
    assert!(third.complete().now_or_never().is_some());
}

proptest! {
    /// Uploads of any parts, each holding a part while it fills the next, all end.
    #[test]
    fn uploads_never_lock_each_other_up(
        largest in 1..8_u64,
        more in 0..12_u64,
        uploads in proptest::collection::vec(proptest::collection::vec(1..8_u64, 1..6), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let budget = budget(2 * largest + more, largest);
            let running = uploads.iter().enumerate().map(async |(number, parts)| {
                let project = project(&(number % 3).to_string());
                let mut sending = None;
                for part in parts {
                    let size = part.min(&largest) * PAGE;
                    let mut claim = budget.claim(&project, size);
                    while claim.bytes() < size {
                        if !claim.try_grow() {
                            claim.complete().await.unwrap();
                        }
                        tokio::task::yield_now().await;
                    }
                    // The part before this one has been sent meanwhile.
                    drop(sending.replace(claim));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    drop(sending.take());
                }
            });
            join_all(running).await;
            prop_assert!(!budget.is_short());
            Ok(())
        })?;
    }
}
