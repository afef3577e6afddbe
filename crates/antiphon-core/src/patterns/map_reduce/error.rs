//! Why a map-reduce has no result.

use std::fmt;

use crate::{Error, ErrorKind};

use super::{
    super::{asking::Expense, document::NoDocuments},
    outcome::MappedDocument,
};

/// Why a map-reduce has no result.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MapReduceError {
    /// The list of documents is empty.
    NoDocuments,
    /// Fewer than two texts a reduce step: nothing would become fewer.
    FanIn(usize),
    /// A document has no text.
    Blank {
        /// Its place in the input.
        index: usize,
        /// Its id.
        id: String,
    },
    /// A window leaves no useful room for text.
    WindowTooSmall(Room),
    /// Calls were made, and then it ended.
    Ended(Box<Ended>),
}

/// Where the tokens of a window go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The step, in words: `map`, `reduce`.
    pub step: &'static str,
    /// The model.
    pub model: String,
    /// Tokens of its window.
    pub window: usize,
    /// Tokens that the request takes without any text.
    pub prompt: usize,
    /// Tokens kept for the answer.
    pub max_output: usize,
    /// Tokens of text that must have room at least.
    pub least: usize,
}

impl Room {
    /// Tokens left for text.
    pub fn left(&self) -> usize {
        self.window
            .saturating_sub(self.prompt)
            .saturating_sub(self.max_output)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            model,
            window,
            prompt,
            max_output,
            least,
        } = self;
        write!(
            f,
            "the {step} step has room for {} tokens of text and needs {least}: of the {window} tokens of {model}, the prompt \
             takes {prompt} and the answer {max_output}; use a larger window, a smaller output cap or a shorter prompt",
            self.left()
        )
    }
}

/// What had been reached when it ended: nothing that was paid is lost.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Why.
    pub cause: Cause,
    /// The documents, in their order; pieces that had no answer yet are [`ErrorKind::Stopped`].
    pub documents: Vec<MappedDocument>,
    /// All calls together.
    pub spent: Expense,
}

/// Why it ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Map calls failed, and failures are not skipped or nothing else is left.
    Pieces(Vec<FailedPiece>),
    /// A map call was given up on this side, or its answer could not be recorded ([`ErrorKind::is_given_up`]).
    GivenUp(Error),
    /// A reduce call failed.
    Reduce {
        /// The level of the tree, from 1.
        level: usize,
        /// The place in the level.
        index: usize,
        /// What happened.
        error: Error,
    },
    /// Reducing makes the texts no shorter, so it would go on for ever.
    NoProgress {
        /// The level of the tree, from 1.
        level: usize,
        /// The place in the level.
        index: usize,
        /// Tokens of the texts that went in.
        before: usize,
        /// Tokens of the answers.
        after: usize,
    },
    /// With the note on what is missing, a reduce step has no room for text.
    WindowTooSmall(Room),
}

/// A piece of a document without an answer.
#[derive(Clone, Debug)]
pub struct FailedPiece {
    /// The document's place in the input.
    pub document: usize,
    /// Its id.
    pub id: String,
    /// The piece, from 0.
    pub piece: usize,
    /// What happened.
    pub error: Error,
}

/// The failures that have a cause of their own.
pub(super) fn failed_pieces(documents: &[MappedDocument]) -> Vec<FailedPiece> {
    let pieces = documents.iter().flat_map(|document| {
        let numbered = document.pieces.iter().enumerate();
        numbered.map(move |(piece, outcome)| (document, piece, outcome))
    });
    pieces
        .filter_map(|(document, piece, outcome)| {
            let error = outcome.as_ref().err()?;
            let is_asked_again = matches!(error.kind(), ErrorKind::Stopped | ErrorKind::Budget);
            (!is_asked_again).then(|| FailedPiece {
                document: document.index,
                id: document.id.clone(),
                piece,
                error: error.clone(),
            })
        })
        .collect()
}

impl fmt::Display for MapReduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDocuments => NoDocuments.fmt(f),
            Self::FanIn(given) => write!(f, "a fan-in of {given} reduces nothing: use 2 or more"),
            Self::Blank { index, id } => write!(
                f,
                "document {index} (`{id}`) is empty: leave it out, or skip failures"
            ),
            Self::WindowTooSmall(room) => room.fmt(f),
            Self::Ended(ended) => ended.cause.fmt(f),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pieces(failed) => {
                let told = failed.iter().map(ToString::to_string);
                let told: Vec<String> = told.collect();
                write!(f, "{} map calls failed: {}", failed.len(), told.join("; "))
            }
            Self::GivenUp(error) => write!(f, "the map calls were given up: {error}"),
            Self::Reduce {
                level,
                index,
                error,
            } => {
                write!(f, "reduce step {index} of level {level} failed: {error}")
            }
            Self::NoProgress {
                level,
                index,
                before,
                after,
            } => write!(
                f,
                "reduce step {index} of level {level} made {after} tokens of {before} and would never end: ask for shorter \
                 answers or use a larger window"
            ),
            Self::WindowTooSmall(room) => room.fmt(f),
        }
    }
}

impl fmt::Display for FailedPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            document,
            id,
            piece,
            error,
        } = self;
        write!(
            f,
            "document {document} (`{id}`), piece {piece}: {}: {error}",
            error.kind()
        )
    }
}

impl std::error::Error for MapReduceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ended(ended) => match &ended.cause {
                Cause::Reduce { error, .. } | Cause::GivenUp(error) => Some(error),
                Cause::Pieces(failed) => failed.first().map(|piece| &piece.error as _),
                _ => None,
            },
            _ => None,
        }
    }
}
