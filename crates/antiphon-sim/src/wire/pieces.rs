//! An answer in the order in which a stream tells it, before it is written in a dialect.

use crate::{
    answer::{Call, Choice, Finish},
    tokens::pieces,
};

/// A piece of one choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    Begin,
    Reasoning(&'a str),
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
    told.extend(pieces(&choice.reasoning).into_iter().map(Piece::Reasoning));
    told.extend(pieces(&choice.text).into_iter().map(Piece::Text));
    let refusal = choice.refusal.as_deref().map(pieces).unwrap_or_default();
    told.extend(refusal.into_iter().map(Piece::Refusal));
    told.extend(calls(choice));
    told.push(Piece::Finish(&choice.finish));
    told
}

fn calls(choice: &Choice) -> Vec<Piece<'_>> {
    let mut told = Vec::new();
    if !choice.alternates {
        for (index, call) in choice.calls.iter().enumerate() {
            told.push(Piece::Call(index, call));
            told.extend(halves(&call.arguments).map(|half| Piece::Arguments(index, half)));
        }
        return told;
    }
    let calls = choice.calls.iter().enumerate();
    told.extend(calls.clone().map(|(index, call)| Piece::Call(index, call)));
    // readers must go by the index
    for half in 0..2 {
        for (index, call) in calls.clone() {
            told.push(Piece::Arguments(index, halves(&call.arguments)[half]));
        }
    }
    told
}

/// A text in two pieces.
pub(crate) fn halves(text: &str) -> [&str; 2] {
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    [first, second]
}
