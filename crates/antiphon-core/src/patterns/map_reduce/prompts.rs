//! The words of map and reduce, and the requests made of them.

use std::{fmt, sync::Arc};

use crate::{ChatRequest, Message, chat::Role};

use super::super::document::{ABOUT_BLOCKS, Document, blocks};

/// What is done with each piece, where the caller does not say.
pub(super) const MAP: &str = "Summarise the document. Keep every name, number and fact that matters, and leave out the rest.";
/// What is done with the answers, where the caller does not say.
pub(super) const REDUCE: &str = "Combine the texts into one. Keep every name, number and fact that matters, and say nothing twice.";
const ABOUT_REDUCE: &str =
    "The texts are answers about consecutive parts of the input, in the order of the input.";

/// Ids of missing documents that a reduce step is told, and how much of each.
const MOST_NAMES: usize = 5;
const LONGEST_NAME: usize = 40;

/// A document, or the part of it that one map call sees.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The document.
    pub document: &'a Document,
    /// The part; all of the document where it fits.
    pub text: &'a str,
    /// Which part it is, from 1.
    pub number: usize,
    /// How many there are. While it is not known how many fit, both numbers are as high as they can be.
    pub of: usize,
}

type PromptOf = dyn Fn(&Piece<'_>) -> ChatRequest + Send + Sync;

/// How a piece is asked about.
#[derive(Clone)]
pub(super) enum MapPrompt {
    Instruction(String),
    Function(Arc<PromptOf>),
}

impl MapPrompt {
    pub(super) fn request(&self, piece: &Piece<'_>) -> ChatRequest {
        match self {
            Self::Function(prompt_of) => prompt_of(piece),
            Self::Instruction(instruction) => {
                let block = blocks([("document".to_owned(), piece.text)]);
                let user = match piece.of {
                    1 => block,
                    of => format!("Part {} of {of} of a document.\n{block}", piece.number),
                };
                chat(format!("{instruction}\n{ABOUT_BLOCKS}"), user)
            }
        }
    }
}

impl fmt::Debug for MapPrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instruction(text) => f.debug_tuple("Instruction").field(text).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}

/// Asks for one text in place of several.
pub(super) fn reduce_request(instruction: &str, texts: &[&str], note: Option<&str>) -> ChatRequest {
    let labelled = texts.iter().enumerate();
    let all = blocks(labelled.map(|(index, text)| (format!("text {}", index + 1), *text)));
    let user = match note {
        Some(note) => format!("{note}\n{all}"),
        None => all,
    };
    chat(
        format!("{instruction}\n{ABOUT_REDUCE} {ABOUT_BLOCKS}"),
        user,
    )
}

/// Tells a reduce step what it does not see. Short, however much is missing.
pub(super) fn missing_note(missing: &[&str]) -> Option<String> {
    if missing.is_empty() {
        return None;
    }
    let names: Vec<String> = missing
        .iter()
        .take(MOST_NAMES)
        .map(|id| format!("{:?}", &id[..id.floor_char_boundary(LONGEST_NAME)]))
        .collect();
    let more = match missing.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "Not in the texts, since it could not be read, is all or part of {}{more}. Say that it is missing.",
        names.join(", ")
    ))
}

fn chat(system: String, user: String) -> ChatRequest {
    ChatRequest::new(vec![
        Message::text(Role::System, system),
        Message::text(Role::User, user),
    ])
}
