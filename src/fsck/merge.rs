//! Two streams in the order of their keys, made one. Each is read a page at a time and holds no more than a page.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::catalog::RecordedCopy;
use crate::store::ListedObject;
use crate::transfer::Result;

/// What stands in the order of its key.
pub(super) trait Keyed: Clone {
    fn key(&self) -> &str;
}

impl Keyed for ListedObject {
    fn key(&self) -> &str {
        &self.key
    }
}

impl Keyed for RecordedCopy {
    fn key(&self) -> &str {
        &self.key
    }
}

/// A page, and whether there is another one behind it.
pub(super) type Page<T> = (Vec<T>, bool);

/// A stream, read by a function that gives the page behind an item.
pub(super) struct Paged<T, F> {
    read: F,
    page: VecDeque<T>,
    last: Option<T>,
    has_more: bool,
}

impl<T: Keyed, F: AsyncFnMut(Option<&T>) -> Result<Page<T>>> Paged<T, F> {
    pub(super) fn new(read: F) -> Self {
        Self {
            read,
            page: VecDeque::new(),
            last: None,
            has_more: true,
        }
    }

    async fn peek(&mut self) -> Result<Option<&T>> {
        while self.page.is_empty() && self.has_more {
            let (page, has_more) = (self.read)(self.last.as_ref()).await?;
            self.last = page.last().cloned().or(self.last.take());
            (self.page, self.has_more) = (page.into(), has_more);
        }
        Ok(self.page.front())
    }
}

/// What the streams have of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pair<L, R> {
    Left(L),
    Right(R),
    /// Told again with the same left for each right of the key.
    Both(L, R),
}

/// The two streams. Where one is not quite in order, the same keys are told as left and as right, and none is lost.
pub(super) struct Merge<L, R, FL, FR> {
    left: Paged<L, FL>,
    right: Paged<R, FR>,
    /// The last left that had a right.
    matched: Option<L>,
}

impl<L, R, FL, FR> Merge<L, R, FL, FR>
where
    L: Keyed,
    R: Keyed,
    FL: AsyncFnMut(Option<&L>) -> Result<Page<L>>,
    FR: AsyncFnMut(Option<&R>) -> Result<Page<R>>,
{
    pub(super) fn new(left: Paged<L, FL>, right: Paged<R, FR>) -> Self {
        Self {
            left,
            right,
            matched: None,
        }
    }

    /// The next of them in the order of keys.
    pub(super) async fn next(&mut self) -> Result<Option<Pair<L, R>>> {
        let right = self.right.peek().await?;
        if let (Some(matched), Some(key)) = (&self.matched, right.map(Keyed::key))
            && matched.key() == key
        {
            let left = matched.clone();
            return Ok(self
                .right
                .page
                .pop_front()
                .map(|right| Pair::Both(left, right)));
        }
        let left = self.left.peek().await?;
        let order = match (left, right) {
            (Some(left), Some(right)) => left.key().cmp(right.key()),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        Ok(match order {
            Ordering::Less => self.left.page.pop_front().map(Pair::Left),
            Ordering::Greater => self.right.page.pop_front().map(Pair::Right),
            Ordering::Equal => {
                let pair = self.left.page.pop_front().zip(self.right.page.pop_front());
                self.matched = pair.as_ref().map(|(left, _)| left.clone());
                pair.map(|(left, right)| Pair::Both(left, right))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A key, and which of several with it.
    type Item = (String, u32);

    impl Keyed for Item {
        fn key(&self) -> &str {
            &self.0
        }
    }

    fn item(key: u32, place: u32) -> Item {
        (format!("{key:05}"), place)
    }

    /// Pages of `items`, each of `size` at most.
    fn pages(items: &[Item], size: usize) -> impl AsyncFnMut(Option<&Item>) -> Result<Page<Item>> {
        async move |after| {
            let begin = after.map_or(0, |after| items.partition_point(|item| item <= after));
            let end = items.len().min(begin + size);
            Ok((items[begin..end].to_vec(), end < items.len()))
        }
    }

    #[tokio::test]
    async fn every_key_is_told_once_whatever_the_pages() {
        let mut rng = fastrand::Rng::with_seed(7);
        for size in [1, 2, 7, 100, 5000] {
            let mut pick = || -> Vec<Item> {
                let keys = (0..3000).filter(|_| rng.u8(..4) > 0);
                keys.map(|key| item(key, 0)).collect()
            };
            let (left, right) = (pick(), pick());
            let mut merge = Merge::new(
                Paged::new(pages(&left, size)),
                Paged::new(pages(&right, size)),
            );
            let (mut lefts, mut rights, mut both) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            while let Some(pair) = merge.next().await.unwrap() {
                let is_new = match pair {
                    Pair::Left(left) => lefts.insert(left),
                    Pair::Right(right) => rights.insert(right),
                    Pair::Both(left, right) => {
                        assert_eq!(left, right);
                        both.insert(left)
                    }
                };
                assert!(is_new);
                let held = merge.left.page.len().max(merge.right.page.len());
                assert!(held <= size, "{held} are held of pages of {size}");
            }
            drop(merge);
            let (left, right) = (BTreeSet::from_iter(left), BTreeSet::from_iter(right));
            assert_eq!(lefts, &left - &right);
            assert_eq!(rights, &right - &left);
            assert_eq!(both, &left & &right);
        }
    }

    #[tokio::test]
    async fn several_of_one_key_all_have_their_match() {
        let left = [item(1, 0), item(2, 0)];
        let right = [item(1, 1), item(1, 2), item(2, 3), item(3, 4)];
        for size in [1, 2, 10] {
            let mut merge = Merge::new(
                Paged::new(pages(&left, size)),
                Paged::new(pages(&right, size)),
            );
            let mut found = Vec::new();
            while let Some(pair) = merge.next().await.unwrap() {
                found.push(pair);
            }
            assert_eq!(
                found,
                [
                    Pair::Both(item(1, 0), item(1, 1)),
                    Pair::Both(item(1, 0), item(1, 2)),
                    Pair::Both(item(2, 0), item(2, 3)),
                    Pair::Right(item(3, 4)),
                ]
            );
        }
    }
}
