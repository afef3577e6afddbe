//! [`Echoes`]: the same answer to different questions.

use std::collections::VecDeque;

/// Answers that are remembered.
const REMEMBERED: usize = 256;
/// Shorter answers are the same by chance: a class, a yes, an apology.
const LONG: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Answer {
    asked: u64,
    answer: u64,
    beside: bool,
}

/// Whose answers were the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// Nobody's.
    None,
    /// Those of two calls that were out alone, or of one after two others: it is the way of this model.
    Alone,
    /// Those of two calls of which one at least was out beside others.
    Beside,
}

/// Long answers of late.
#[derive(Debug, Default)]
pub(super) struct Echoes(VecDeque<Answer>);

impl Echoes {
    pub(super) fn heard(&mut self, asked: u64, answer: u64, bytes: usize, beside: bool) -> Echo {
        if bytes < LONG {
            return Echo::None;
        }
        let same = self.0.iter().filter(|other| other.answer == answer);
        let (others, alone) = same.clone().fold((0, false), |(others, alone), other| {
            (others + 1, alone || !other.beside)
        });
        if same.clone().any(|other| other.asked == asked) {
            return Echo::None;
        }
        let echo = match others {
            0 => Echo::None,
            1 if beside || !alone => Echo::Beside,
            _ if beside => Echo::Beside,
            _ => Echo::Alone,
        };
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Answer {
            asked,
            answer,
            beside,
        });
        echo
    }
}
