//! How large the parts of an upload are, so that S3's 10,000 parts carry it.

/// S3's limit on the number of parts.
pub(super) const MOST_PARTS: u64 = 10_000;

/// Part sizes are whole mebibytes, which stores lay out well.
const STEP: u64 = 1024 * 1024;

/// With an unknown size the part size doubles after this many parts: small images stay cheap, large ones fit.
const PARTS_PER_STEP: u64 = 400;

/// Sizes of the parts of one upload.
#[derive(Debug, Clone)]
pub(super) struct PartPlan {
    smallest: u64,
    /// Bytes to be carried: the declared size, or the size cap when none was declared.
    most: u64,
    is_declared: bool,
    numbered: u64,
    carried: u64,
}

impl PartPlan {
    /// A plan for `declared` bytes, or for any number up to `cap`. `smallest` is the store's configured part size.
    pub(super) fn new(smallest: u64, declared: Option<u64>, cap: u64) -> Self {
        Self {
            smallest,
            most: declared.unwrap_or(cap),
            is_declared: declared.is_some(),
            numbered: 0,
            carried: 0,
        }
    }

    /// Size of the next part, bytes.
    pub(super) fn next_part(&mut self) -> u64 {
        let left = self.most.saturating_sub(self.carried);
        // What each of the remaining parts has to carry at least.
        let needed = left
            .div_ceil((MOST_PARTS - self.numbered.min(MOST_PARTS - 1)).max(1))
            .next_multiple_of(STEP);
        let size = if self.is_declared {
            needed.max(self.smallest)
        } else {
            let doublings = u32::try_from(self.numbered / PARTS_PER_STEP).unwrap_or(u32::MAX);
            let grown = self
                .smallest
                .saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX));
            grown.min(needed.max(self.smallest))
        };
        self.numbered += 1;
        self.carried = self.carried.saturating_add(size);
        size
    }
}

/// Sizes of the parts that an object of `size` bytes was uploaded in, bytes, when a plan of ours made them: `count` parts,
/// the first of `first` bytes where that is known, else of the store's `part_size` or more. Cap as when it was uploaded.
pub(super) fn find_sizes(
    first: Option<u64>,
    part_size: u64,
    size: u64,
    cap: u64,
    count: u64,
) -> Option<Vec<u64>> {
    let plans = [first, Some(part_size)].into_iter().flatten();
    let mut plans = plans.flat_map(|smallest| [(smallest, Some(size)), (smallest, None)]);
    plans.find_map(|(smallest, declared)| {
        let mut plan = PartPlan::new(smallest, declared, cap.max(size));
        let mut left = size;
        let mut sizes = Vec::new();
        while left > 0 && (sizes.len() as u64) < count.min(MOST_PARTS) {
            let part = plan.next_part().min(left);
            sizes.push(part);
            left -= part;
        }
        let is_whole = left == 0 && sizes.len() as u64 == count;
        let begins_so = first.is_none() || first == sizes.first().copied();
        (is_whole && begins_so).then_some(sizes)
    })
}

/// The largest part an image of at most `cap` bytes can need, declared or not. The memory budget must hold two.
pub(crate) fn largest_part(smallest: u64, cap: u64) -> u64 {
    let largest = |declared: Option<u64>| {
        let mut plan = PartPlan::new(smallest, declared, cap);
        let mut largest = 0;
        while plan.carried < cap && plan.numbered < MOST_PARTS {
            largest = largest.max(plan.next_part());
        }
        largest
    };
    largest(Some(cap)).max(largest(None))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1024 * 1024;
    const TIB: u64 = MIB * MIB;

    fn parts_for(size: u64, mut plan: PartPlan) -> u64 {
        let (mut carried, mut parts) = (0, 0);
        while carried < size {
            carried += plan.next_part();
            parts += 1;
        }
        parts
    }

    #[test]
    fn small_images_have_parts_of_the_configured_size() {
        let mut plan = PartPlan::new(8 * MIB, None, TIB);
        assert_eq!(plan.next_part(), 8 * MIB);
        assert_eq!(
            PartPlan::new(8 * MIB, Some(50 * MIB), TIB).next_part(),
            8 * MIB
        );
    }

    #[test]
    fn the_default_budget_holds_two_of_the_largest_parts_of_the_default_cap() {
        for smallest in [5, 8, 16, 64] {
            let largest = largest_part(smallest * MIB, TIB);
            assert!(largest <= 128 * MIB, "{} MiB", largest / MIB);
        }
    }

    fn sizes_of(size: u64, mut plan: PartPlan) -> Vec<u64> {
        let (mut left, mut sizes) = (size, Vec::new());
        while left > 0 {
            sizes.push(plan.next_part().min(left));
            left -= sizes.last().unwrap();
        }
        sizes
    }

    #[test]
    fn sizes_of_parts_are_found_again() {
        let cap = TIB;
        for size in [
            1,
            8 * MIB,
            8 * MIB + 1,
            100 * MIB,
            7000 * MIB + 5,
            90_000 * MIB,
        ] {
            for declared in [Some(size), None] {
                for smallest in [5, 8, 64].map(|n| n * MIB) {
                    let sizes = sizes_of(size, PartPlan::new(smallest, declared, cap));
                    let (first, count) = (sizes[0], sizes.len() as u64);
                    let known = find_sizes(Some(first), 8 * MIB, size, cap, count);
                    assert_eq!(
                        known.as_ref(),
                        Some(&sizes),
                        "{size} {declared:?} {smallest}"
                    );
                    let told = find_sizes(None, smallest, size, cap, count);
                    assert_eq!(told, Some(sizes), "{size} {declared:?} {smallest}");
                }
            }
        }
    }

    #[test]
    fn sizes_that_no_plan_makes_are_not_found() {
        let size = 100 * MIB;
        for (first, count) in [
            (Some(8 * MIB), 12),
            (Some(8 * MIB), 14),
            (Some(7 * MIB), 13),
            (Some(0), 13),
            (None, 14),
            (None, u64::MAX),
        ] {
            assert_eq!(
                find_sizes(first, 8 * MIB, size, TIB, count),
                None,
                "{first:?} {count}"
            );
        }
        assert_eq!(find_sizes(None, 8 * MIB, 0, TIB, 1), None);
    }

    proptest! {
        #[test]
        fn ten_thousand_parts_carry_every_size(size in 1..=5 * TIB, smallest in 5..=64_u64, slack in 0..=TIB) {
            let cap = (size + slack).min(5 * TIB);
            prop_assert!(parts_for(size, PartPlan::new(smallest * MIB, Some(size), cap)) <= MOST_PARTS);
            prop_assert!(parts_for(size, PartPlan::new(smallest * MIB, None, cap)) <= MOST_PARTS);
        }
    }
}
