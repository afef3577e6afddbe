//! Some rows of an input, drawn at random.

use std::{collections::BinaryHeap, io};

use antiphon_core::job::{Beginning, RawRow, Source};

/// Which rows of an input are drawn.
///
/// Every row number has a rank that looks random and is always the same; those of the lowest rank are drawn. So the same
/// input gives the same rows, a larger sample holds the smaller one, and rows that are added to the input take the places of
/// few others. What was paid for in one sample is at hand in the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    rows: u64,
    /// The highest rank that is drawn, where any is.
    highest: Option<u64>,
}

impl Drawn {
    /// Draws `sample` of the rows of an input, or all where it has no more. It takes 8 bytes for each row drawn.
    pub fn of(rows: u64, sample: u64) -> Self {
        let sample = sample.min(rows);
        let mut lowest = BinaryHeap::new();
        if sample > 0 {
            for rank in (0..rows).map(rank) {
                if (lowest.len() as u64) < sample {
                    lowest.push(rank);
                } else if let Some(mut highest) = lowest.peek_mut()
                    && rank < *highest
                {
                    *highest = rank;
                }
            }
        }
        Self {
            rows: sample,
            highest: lowest.peek().copied(),
        }
    }

    /// How many rows are drawn.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn holds(&self, row: u64) -> bool {
        self.highest.is_some_and(|highest| rank(row) <= highest)
    }
}

/// A number for each row that looks random: the last step of SplitMix64 (Steele, Lea and Flood 2014). No two rows have the same,
/// because every one of its operations can be undone.
fn rank(row: u64) -> u64 {
    // the golden ratio, of which multiples are spread evenly; the 1 keeps row 0 from being drawn first, always
    let mut bits = (row + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Gives the rows of a source that are drawn, each with the number that it has in the input.
pub struct Sampled {
    inner: Box<dyn Source>,
    drawn: Drawn,
    /// As often as each row of the input comes.
    times: u64,
    given: u64,
}

impl std::fmt::Debug for Sampled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampled")
            .field("drawn", &self.drawn)
            .finish_non_exhaustive()
    }
}

impl Sampled {
    /// The rows of `inner` that are drawn, where each row of the input comes `times` times in it.
    pub fn new(inner: Box<dyn Source>, drawn: Drawn, times: u32) -> Self {
        Self {
            inner,
            drawn,
            times: u64::from(times.max(1)),
            given: 0,
        }
    }
}

impl Source for Sampled {
    fn next_row(&mut self) -> io::Result<Option<RawRow>> {
        // an input that has grown since it was counted ends where it ended
        while self.given < self.drawn.rows.saturating_mul(self.times) {
            let Some(row) = self.inner.next_row()? else {
                break;
            };
            if self.drawn.holds(row.index / self.times) {
                self.given += 1;
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn total_bytes(&self) -> Option<u64> {
        self.inner.total_bytes()
    }

    /// Rows that are passed over may have been drawn or not.
    fn skip(&mut self, beginning: Beginning) -> io::Result<()> {
        let passed = (0..beginning.rows).filter(|row| self.drawn.holds(row / self.times));
        self.given = self.given.max(passed.count() as u64);
        self.inner.skip(beginning)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sources::{LineSource, Repeated};

    fn lines(rows: u64) -> Box<dyn Source> {
        let text: String = (0..rows).map(|row| format!("{row}\n")).collect();
        Box::new(LineSource::new(io::Cursor::new(text), None))
    }

    fn indices(source: &mut dyn Source) -> Vec<u64> {
        std::iter::from_fn(|| source.next_row().unwrap())
            .map(|row| row.index)
            .collect()
    }

    fn sample(rows: u64, sample: u64) -> Vec<u64> {
        indices(&mut Sampled::new(lines(rows), Drawn::of(rows, sample), 1))
    }

    proptest! {
        #[test]
        fn a_sample_is_so_many_rows_in_order_and_holds_every_smaller_one(
            rows in 0..300u64,
            small in 0..50u64,
            more in 0..50u64,
        ) {
            let few = sample(rows, small);
            let many = sample(rows, small + more);
            prop_assert_eq!(few.len() as u64, small.min(rows));
            prop_assert!(few.is_sorted() && many.is_sorted());
            prop_assert!(few.iter().all(|row| many.contains(row)), "{:?} {:?}", few, many);
        }

        #[test]
        fn it_goes_on_after_any_beginning(rows in 1..100u64, drawn in 1..30u64, after in 0..100u64) {
            let whole = sample(rows, drawn);
            let text: String = (0..rows).map(|row| format!("{row}\n")).collect();
            let end: usize = text.split_inclusive('\n').take(after as usize).map(str::len).sum();
            let mut source = Sampled::new(lines(rows), Drawn::of(rows, drawn), 1);
            let beginning = Beginning { rows: after.min(rows), line: after.min(rows), end: end as u64 };
            source.skip(beginning).unwrap();
            let rest: Vec<u64> = whole.into_iter().filter(|row| *row >= after).collect();
            prop_assert_eq!(indices(&mut source), rest);
        }
    }

    /// 1,000 samples would be one and the same; so 1,000 places of one large sample are counted instead.
    #[test]
    fn every_part_of_the_input_is_drawn_from_alike() {
        let drawn = sample(200_000, 20_000);
        let mut tenths = [0u32; 10];
        for row in &drawn {
            tenths[(row / 20_000) as usize] += 1;
        }
        // 2,000 each, give or take five deviations
        assert!(
            tenths.iter().all(|rows| rows.abs_diff(2_000) < 225),
            "{tenths:?}"
        );
        let even = drawn.iter().filter(|row| *row % 2 == 0).count();
        assert!(even.abs_diff(10_000) < 500, "{even}");
    }

    #[test]
    fn all_times_of_a_row_are_drawn_together_and_what_is_added_later_is_not() {
        let twice = Box::new(Repeated::new(lines(100), 2));
        let mut source = Sampled::new(twice, Drawn::of(50, 3), 2);
        let rows = indices(&mut source);
        assert_eq!(rows.len(), 6);
        let pairs = rows
            .chunks(2)
            .all(|pair| pair[0] % 2 == 0 && pair[1] == pair[0] + 1);
        assert!(pairs, "{rows:?}");
    }
}
