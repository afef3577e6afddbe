//! An answer in the order in which a stream tells it, before it is written in a dialect.

use crate::{
    answer::{Call, Choice, Finish},
    tokens::pieces,
};

/// A piece of one choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    Begin,
    Text(&'a str),
    Refusal(&'a str),
    Call(usize, &'a Call),
    Arguments(usize, &'a str),
    Finish(&'a Finish),
}

/// The pieces of all choices, interleaved, each with the index of its choice.
pub(crate) fn told(choices: &[Choice]) -> Vec<(usize, Piece<'_>)> {
    let mut queues: Vec<_> = choices
        .iter()
        .map(|choice| of_choice(choice).into_iter())
        .collect();
    let mut told = Vec::new();
    loop {
        let before = told.len();
        for (index, queue) in queues.iter_mut().enumerate() {
            told.extend(queue.next().map(|piece| (index, piece)));
        }
        if told.len() == before {
            return told;
        }
    }
}

fn of_choice(choice: &Choice) -> Vec<Piece<'_>> {
    let mut told = vec![Piece::Begin];
    told.extend(pieces(&choice.text).into_iter().map(Piece::Text));
    told.extend(
        choice
            .refusal
            .as_deref()
            .map(pieces)
            .unwrap_or_default()
            .into_iter()
            .map(Piece::Refusal),
    );
    told.extend(
        choice
            .calls
            .iter()
            .enumerate()
            .map(|(index, call)| Piece::Call(index, call)),
    );
    // arguments of several calls alternate: readers must go by the index
    let mut queues: Vec<_> = choice
        .calls
        .iter()
        .map(|call| halves(&call.arguments).into_iter())
        .collect();
    for _ in 0..2 {
        for (index, queue) in queues.iter_mut().enumerate() {
            told.extend(queue.next().map(|piece| Piece::Arguments(index, piece)));
        }
    }
    told.push(Piece::Finish(&choice.finish));
    told
}

fn halves(text: &str) -> Vec<&str> {
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    vec![first, second]
}
