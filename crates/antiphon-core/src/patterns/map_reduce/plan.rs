//! What a map-reduce asks, and whether it has room.

use std::sync::Arc;

use crate::{ChatRequest, SharedModel, job::AttemptJournal};

use super::{
    super::{document::Document, tokens::tokens_of},
    MapReduce, MapReduceError, OnFailure, Piece, Room, prompts,
    run::Run,
    split::split,
};

/// Tokens of text that a request must have room for: with less, it would be all prompt.
pub(super) const LEAST_ROOM: usize = 64;

impl MapReduce {
    /// How many map calls these documents take. Nothing is sent.
    ///
    /// # Errors
    /// As [`Self::run`] where it refuses them before any call.
    pub fn map_calls(&self, documents: &[Document]) -> Result<usize, MapReduceError> {
        Ok(self.begin(documents, None)?.map_calls())
    }

    pub(super) fn begin<'a>(
        &'a self,
        documents: &'a [Document],
        journal: Option<Arc<dyn AttemptJournal>>,
    ) -> Result<Run<'a>, MapReduceError> {
        if documents.is_empty() {
            return Err(MapReduceError::NoDocuments);
        }
        if self.fan_in < 2 {
            return Err(MapReduceError::FanIn(self.fan_in));
        }
        let empty = self.reduce_request(&[""], None, self.schema.is_some());
        let room = self.room("reduce", self.reduce_model(), self.reduce_window(), &empty);
        if room.left() < LEAST_ROOM {
            return Err(MapReduceError::WindowTooSmall(room));
        }
        let mut pieces = Vec::new();
        for (index, document) in documents.iter().enumerate() {
            if document.is_blank() && self.on_failure == OnFailure::Fail {
                let id = document.id.clone();
                return Err(MapReduceError::Blank { index, id });
            }
            let of_document = self.pieces(document)?;
            pieces.extend(of_document.into_iter().map(|piece| (index, piece)));
        }
        Ok(Run::new(self, documents, pieces, journal))
    }

    /// The document whole where it fits, else in pieces.
    fn pieces<'a>(&self, document: &'a Document) -> Result<Vec<Piece<'a>>, MapReduceError> {
        let window = self.map.window;
        let piece = |text, number, of| Piece {
            document,
            text,
            number,
            of,
        };
        let whole = piece(&document.text, 1, 1);
        if self.size(&self.map_request(&whole)) <= window {
            return Ok(vec![whole]);
        }
        // there cannot be more pieces than bytes
        let most = document.text.len();
        let request = |text: &str| {
            let longest = Piece {
                document,
                text,
                number: most,
                of: most,
            };
            self.map_request(&longest)
        };
        let room = self.room("map", &self.map.model, window, &request(""));
        if room.left() < LEAST_ROOM {
            return Err(MapReduceError::WindowTooSmall(room));
        }
        let texts = split(&document.text, window, |text| self.size(&request(text)))
            .map_err(|_| MapReduceError::WindowTooSmall(room))?;
        let of = texts.len();
        let numbered = texts.into_iter().enumerate();
        Ok(numbered
            .map(|(index, text)| piece(text, index + 1, of))
            .collect())
    }

    pub(super) fn map_request(&self, piece: &Piece<'_>) -> ChatRequest {
        self.completed(self.map_prompt.request(piece))
    }

    pub(super) fn reduce_request(
        &self,
        texts: &[&str],
        note: Option<&str>,
        structured: bool,
    ) -> ChatRequest {
        let mut request = prompts::reduce_request(&self.reduce_instruction, texts, note);
        request.schema = self.schema.clone().filter(|_| structured);
        self.completed(request)
    }

    fn completed(&self, mut request: ChatRequest) -> ChatRequest {
        let params = Arc::make_mut(&mut request.params);
        for (name, value) in &self.params {
            params.entry(name).or_insert_with(|| value.clone());
        }
        match request.max_output_tokens() {
            Some(_) => request,
            None => request.with_param("max_tokens", self.max_output_tokens.into()),
        }
    }

    /// Tokens of a request and its answer.
    pub(super) fn size(&self, request: &ChatRequest) -> usize {
        tokens_of(request, &self.estimate).saturating_add(max_output(request))
    }

    pub(super) fn room(
        &self,
        step: &'static str,
        model: &SharedModel,
        window: usize,
        empty: &ChatRequest,
    ) -> Room {
        Room {
            step,
            model: model.name().to_owned(),
            window,
            prompt: tokens_of(empty, &self.estimate),
            max_output: max_output(empty),
            least: LEAST_ROOM,
        }
    }

    pub(super) fn reduce_model(&self) -> &SharedModel {
        &self.reduce.as_ref().unwrap_or(&self.map).model
    }

    pub(super) fn reduce_window(&self) -> usize {
        self.reduce.as_ref().unwrap_or(&self.map).window
    }
}

fn max_output(request: &ChatRequest) -> usize {
    let cap = request.max_output_tokens().unwrap_or_default();
    usize::try_from(cap).unwrap_or(usize::MAX)
}
