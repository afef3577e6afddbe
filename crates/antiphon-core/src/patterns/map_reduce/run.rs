//! One run over a list of documents: map calls in a window, and reduce steps as soon as their texts are there.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Semaphore;

use crate::{
    BoxFuture, ChatRequest, Error, ErrorKind, Fingerprint, FinishReason, Reply, SharedModel,
    job::AttemptJournal, patterns::window,
};

use super::{
    super::{
        asking::{Expense, ask},
        document::Document,
    },
    MapReduce, OnFailure,
    error::{Cause, Ended, MapReduceError, failed_pieces},
    outcome::{MapReduced, MappedDocument, PieceAnswer},
    prompts::Piece,
    reduce::{Reduced, Text},
    tree::{Step, Tree},
};

/// What stays the same during a run.
pub(super) struct Run<'a> {
    pub(super) config: &'a MapReduce,
    documents: &'a [Document],
    /// All pieces of all documents, in order, each with its document's index.
    pieces: Vec<(usize, Piece<'a>)>,
    /// For each piece, how many before it give the same request: each of them is a call of its own.
    samples: Vec<u32>,
    /// Map and reduce calls share them.
    permits: Semaphore,
    journal: Option<Arc<dyn AttemptJournal>>,
}

type Mapped = Result<PieceAnswer, Error>;

/// What has come so far.
struct Progress {
    tree: Tree<Text>,
    mapped: Vec<Option<Mapped>>,
    levels: Vec<usize>,
    spent: Expense,
}

/// The text that is left, and its value where a schema is asked for.
type Root = (String, Option<serde_json::Value>);

impl<'a> Run<'a> {
    pub(super) fn new(
        config: &'a MapReduce,
        documents: &'a [Document],
        pieces: Vec<(usize, Piece<'a>)>,
        journal: Option<Arc<dyn AttemptJournal>>,
    ) -> Self {
        let mut seen: HashMap<Fingerprint, u32> = HashMap::new();
        let samples = pieces.iter().map(|(_, piece)| {
            let seen = seen
                .entry(Fingerprint::of(&[], &config.map_request(piece)))
                .or_default();
            *seen += 1;
            *seen - 1
        });
        Self {
            samples: samples.collect(),
            config,
            documents,
            pieces,
            permits: Semaphore::new(config.max_concurrent.get().min(Semaphore::MAX_PERMITS)),
            journal,
        }
    }

    pub(super) fn map_calls(&self) -> usize {
        self.pieces.len()
    }

    /// One call, when its turn has come.
    pub(super) async fn ask(
        &self,
        model: &SharedModel,
        request: ChatRequest,
        part: &str,
    ) -> Result<Reply, Error> {
        // the semaphore is never closed
        let _permit = self.permits.acquire().await;
        ask(
            model,
            request,
            self.journal.as_ref().map(|journal| journal.part(part)),
        )
        .await
    }

    pub(super) async fn finish(self) -> Result<MapReduced, MapReduceError> {
        let mut progress = Progress {
            tree: Tree::new(self.pieces.len(), self.config.fan_in),
            mapped: self.pieces.iter().map(|_| None).collect(),
            levels: Vec::new(),
            spent: Expense::default(),
        };
        let root = self.drive(&mut progress).await;
        let Progress {
            mapped,
            levels,
            spent,
            ..
        } = progress;
        let documents = self.by_document(mapped);
        let (text, value) = match root {
            Ok(Some(root)) => root,
            Ok(None) => {
                let cause = Cause::Pieces(failed_pieces(&documents));
                return Err(ended(cause, documents, spent));
            }
            Err(cause) => return Err(ended(cause, documents, spent)),
        };
        Ok(MapReduced {
            text,
            value,
            documents,
            levels,
            spent,
        })
    }

    /// Asks until one text is left, or nothing can be: `None` where the failures of pieces decide.
    async fn drive(&self, progress: &mut Progress) -> Result<Option<Root>, Cause> {
        let limit = self.config.max_concurrent;
        let mut maps = window(0..self.pieces.len(), limit, |index, _| self.map(index));
        let mut reduces: FuturesUnordered<BoxFuture<'_, Reduced>> = FuturesUnordered::new();
        let mut goes_on = true;
        let mut given_up = None;
        let mut root = None;
        loop {
            let (level, index, text) = tokio::select! {
                biased;
                Some(reduced) = reduces.next(), if !reduces.is_empty() => {
                    root = reduced.value.or(root);
                    progress.count(reduced.level, reduced.spent);
                    (reduced.level, reduced.index, reduced.text?)
                }
                Some((index, (mapped, spent))) = maps.next() => {
                    progress.spent += spent;
                    let fatal = mapped.as_ref().is_err_and(Error::stops_the_run);
                    if let Err(error) = &mapped
                        && error.kind().is_given_up()
                    {
                        given_up.get_or_insert(error.clone());
                    }
                    let is_skipped = given_up.is_none() && self.config.on_failure == OnFailure::Skip;
                    goes_on &= mapped.is_ok() || is_skipped;
                    let text = mapped.as_ref().ok().map(|answer| answer.text.clone());
                    progress.mapped[index] = Some(mapped);
                    if fatal {
                        return Ok(None);
                    }
                    (0, index, text)
                }
                else => return given_up.map_or(Ok(None), |error| Err(Cause::GivenUp(error))),
            };
            if !goes_on {
                continue;
            }
            match progress.tree.put(level, index, text) {
                Step::Wait => {}
                Step::Done(text) => return Ok(text.map(|text| (text, root))),
                Step::Reduce(node) => {
                    let missing =
                        self.missing(&progress.mapped[node.leaves.clone()], node.leaves.start);
                    reduces.push(Box::pin(self.reduce(node, missing)));
                }
            }
        }
    }

    async fn map(&self, index: usize) -> (Mapped, Expense) {
        let piece = &self.pieces[index].1;
        if piece.document.is_blank() {
            let message = format!("document `{}` is empty", piece.document.id);
            let error = Error::new(ErrorKind::BadRequest, message);
            return (Err(error), Expense::default());
        }
        let mut request = self.config.map_request(piece);
        request.sample = self.samples[index];
        let reply = self
            .ask(&self.config.map.model, request, &format!("map.{index}"))
            .await;
        let spent = Expense::by(&reply);
        let answer = reply.map(|reply| PieceAnswer {
            cut_off: reply.answer.finish_reason == FinishReason::Length,
            text: reply.answer.text,
        });
        (answer, spent)
    }

    /// The documents of pieces that failed, each once.
    fn missing(&self, mapped: &[Option<Mapped>], first: usize) -> Vec<&'a Document> {
        let mut failed: Vec<usize> = mapped
            .iter()
            .zip(&self.pieces[first..])
            .filter(|(mapped, _)| matches!(mapped, Some(Err(_))))
            .map(|(_, (document, _))| *document)
            .collect();
        failed.dedup();
        failed
            .into_iter()
            .map(|index| &self.documents[index])
            .collect()
    }

    fn by_document(&self, mapped: Vec<Option<Mapped>>) -> Vec<MappedDocument> {
        let mut documents: Vec<MappedDocument> = self
            .documents
            .iter()
            .enumerate()
            .map(|(index, document)| MappedDocument {
                index,
                id: document.id.clone(),
                metadata: document.metadata.clone(),
                pieces: Vec::new(),
            })
            .collect();
        for ((document, _), outcome) in self.pieces.iter().zip(mapped) {
            let outcome = outcome.unwrap_or_else(|| Err(Error::stopped("it was not waited for")));
            documents[*document].pieces.push(outcome);
        }
        documents
    }
}

impl Progress {
    fn count(&mut self, level: usize, spent: Expense) {
        self.spent += spent;
        let calls = usize::try_from(spent.calls).unwrap_or(usize::MAX);
        if calls > 0 && self.levels.len() < level {
            self.levels.resize(level, 0);
        }
        if let Some(sum) = self.levels.get_mut(level - 1) {
            *sum += calls;
        }
    }
}

fn ended(cause: Cause, documents: Vec<MappedDocument>, spent: Expense) -> MapReduceError {
    MapReduceError::Ended(Box::new(Ended {
        cause,
        documents,
        spent,
    }))
}
