//! Which rows are finished, as ranges: as many as there are gaps.

use std::collections::BTreeMap;

/// A set of numbers as ranges: start → end (exclusive).
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let mut start = number;
        let mut end = number + 1;
        if let Some((&before, &before_end)) = self.0.range(..=number).next_back()
            && before_end == number
        {
            start = before;
        }
        if let Some(after_end) = self.0.remove(&end) {
            end = after_end;
        }
        self.0.insert(start, end);
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.end_of(number).is_some()
    }

    /// The end of the range that the number is in.
    pub(super) fn end_of(&self, number: u64) -> Option<u64> {
        let (_, &end) = self.0.range(..=number).next_back()?;
        (number < end).then_some(end)
    }

    pub(super) fn forget_below(&mut self, number: u64) {
        while let Some((&start, &end)) = self.0.iter().next() {
            if start >= number {
                return;
            }
            self.0.remove(&start);
            if end > number {
                self.0.insert(number, end);
                return;
            }
        }
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(&start, &end)| (start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ranges_are_a_set(numbers in proptest::collection::vec(0u64..60, 0..80), cut in 0u64..60) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                ranges.insert(number);
                set.insert(number);
            }
            ranges.forget_below(cut);
            set.retain(|number| *number >= cut);
            for number in 0..60 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            let listed: Vec<u64> = ranges.ranges().flat_map(|(start, end)| start..end).collect();
            prop_assert_eq!(listed, set.into_iter().collect::<Vec<_>>());
        }
    }
}
