//! Every row several times: as many as there are ways to ask it.

use antiphon_core::job::{Beginning, RawRow, Source};

/// Gives each row of a source so many times in a row. Row `i` of the source becomes the rows `i * times` to
/// `i * times + times - 1`.
pub struct Repeated {
    inner: Box<dyn Source>,
    times: u64,
    row: Option<RawRow>,
    /// Which time of `row` is next.
    next: u64,
}

impl std::fmt::Debug for Repeated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repeated")
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

impl Repeated {
    /// Each row of `inner` so many times; none at all where that is 0.
    pub fn new(inner: Box<dyn Source>, times: u32) -> Self {
        Self {
            inner,
            times: u64::from(times),
            row: None,
            next: 0,
        }
    }
}

impl Source for Repeated {
    fn next_row(&mut self) -> std::io::Result<Option<RawRow>> {
        if self.next >= self.times {
            self.row = None;
        }
        if self.row.is_none() {
            if self.times == 0 {
                return Ok(None);
            }
            self.row = self.inner.next_row()?;
            self.next = 0;
        }
        let time = self.next;
        self.next += 1;
        Ok(self.row.clone().map(|row| RawRow {
            index: row.index * self.times + time,
            ..row
        }))
    }

    fn is_ready(&self) -> bool {
        (self.row.is_some() && self.next < self.times) || self.inner.is_ready()
    }

    fn total_bytes(&self) -> Option<u64> {
        self.inner.total_bytes()
    }

    /// A beginning may end between two times of a row, of which the source below knows nothing: its rows are read again.
    fn skip(&mut self, beginning: Beginning) -> std::io::Result<()> {
        for _ in 0..beginning.rows {
            self.next_row()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::LineSource;

    fn rows(source: &mut Repeated) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| source.next_row().unwrap())
            .map(|row| (row.index, row.line))
            .collect()
    }

    fn twice() -> Repeated {
        Repeated::new(Box::new(LineSource::new(&b"a\n\nb\n"[..], None)), 2)
    }

    #[test]
    fn each_row_comes_so_many_times() {
        assert_eq!(rows(&mut twice()), [(0, 1), (1, 1), (2, 3), (3, 3)]);
        let none = Repeated::new(Box::new(LineSource::new(&b"a\n"[..], None)), 0);
        assert!(rows(&mut { none }).is_empty());
    }

    #[test]
    fn a_beginning_may_end_between_two_times_of_a_row() {
        let mut source = twice();
        let beginning = Beginning {
            rows: 3,
            line: 3,
            end: 5,
        };
        source.skip(beginning).unwrap();
        assert_eq!(rows(&mut source), [(3, 3)]);
    }
}
