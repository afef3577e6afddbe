//! A node of the tree: several texts become one.

use serde_json::Value;

use crate::{ChatRequest, Error, Reply, patterns::window};

use super::{
    super::{
        asking::{Expense, typed},
        document::Document,
    },
    error::{Cause, Room},
    group::{Group, group},
    plan::LEAST_ROOM,
    prompts::missing_note,
    run::Run,
    split::split,
    tree::Node,
};

/// A round leads somewhere where it leaves at most this share of the tokens.
const LEAST_PROGRESS: (usize, usize) = (3, 4);

/// What is left of the texts below a node; `None` where all of them are missing.
pub(super) type Text = Option<String>;

/// What a node did.
pub(super) struct Reduced {
    pub(super) level: usize,
    pub(super) index: usize,
    pub(super) text: Result<Text, Cause>,
    /// The text as a value: of the root, where a schema is asked for.
    pub(super) value: Option<Value>,
    pub(super) spent: Expense,
}

impl Run<'_> {
    /// Reduces the children of a node. A single text is passed on without a call, unless it has yet to fit the schema.
    pub(super) async fn reduce(&self, node: Node<Text>, missing: Vec<&Document>) -> Reduced {
        let mut step = Step {
            run: self,
            level: node.level,
            index: node.index,
            structured: node.is_root && self.config.schema.is_some(),
            note: missing_note(
                &missing
                    .iter()
                    .map(|document| document.id.as_str())
                    .collect::<Vec<_>>(),
            ),
            value: None,
            spent: Expense::default(),
        };
        let texts: Vec<String> = node.children.into_iter().flatten().collect();
        let text = match texts.len() {
            0 => Ok(None),
            _ => step.until_one(texts).await.map(Some),
        };
        Reduced {
            level: node.level,
            index: node.index,
            text,
            value: step.value,
            spent: step.spent,
        }
    }
}

/// Tells whether rounds will end. A round that merges neighbours may leave as many tokens, so there may be as many of
/// those as there are texts.
struct Progress {
    least_tokens: usize,
    patience: usize,
}

impl Progress {
    fn new(tokens: usize, texts: usize) -> Self {
        Self {
            least_tokens: tokens,
            patience: texts,
        }
    }

    fn goes_on(&mut self, tokens: usize, texts: usize) -> bool {
        let (part, whole) = LEAST_PROGRESS;
        if tokens.saturating_mul(whole) <= self.least_tokens.saturating_mul(part) {
            *self = Self::new(tokens, texts);
            return true;
        }
        self.patience = self.patience.saturating_sub(1);
        self.patience > 0
    }
}

struct Step<'a> {
    run: &'a Run<'a>,
    level: usize,
    index: usize,
    structured: bool,
    note: Option<String>,
    value: Option<Value>,
    spent: Expense,
}

impl Step<'_> {
    async fn until_one(&mut self, mut texts: Vec<String>) -> Result<String, Cause> {
        let mut progress = Progress::new(self.tokens(&texts), texts.len());
        for round in 0.. {
            if texts.len() == 1 && !self.structured {
                break;
            }
            let groups = self.groups(&texts)?;
            if let [only] = &groups[..] {
                return self.last(only, round).await;
            }
            let before = self.tokens(&texts);
            let shorter = self.round(&groups, round).await?;
            let after = self.tokens(&shorter);
            if !progress.goes_on(after, shorter.len()) {
                return Err(Cause::NoProgress {
                    level: self.level,
                    index: self.index,
                    before,
                    after,
                });
            }
            texts = shorter;
        }
        Ok(texts.pop().unwrap_or_default())
    }

    fn tokens(&self, texts: &[String]) -> usize {
        let estimate = &self.run.config.estimate;
        texts.iter().map(|text| estimate(text)).sum()
    }

    fn groups<'t>(&self, texts: &'t [String]) -> Result<Vec<Group<'t>>, Cause> {
        let config = self.run.config;
        let size = |texts: &[&str]| config.size(&self.request(texts));
        let window = config.reduce_window();
        let empty = size(&[""]);
        if empty.saturating_add(LEAST_ROOM) > window {
            return Err(Cause::WindowTooSmall(self.room(&self.request(&[""]))));
        }
        let fits = |texts: &[&str]| size(texts) <= window;
        let split = |text| split(text, window, |piece| size(&[piece]));
        group(texts.iter().map(String::as_str), config.fan_in, fits, split)
            .map_err(|_| Cause::WindowTooSmall(self.room(&self.request(&[""]))))
    }

    fn room(&self, empty: &ChatRequest) -> Room {
        let config = self.run.config;
        config.room(
            "reduce",
            config.reduce_model(),
            config.reduce_window(),
            empty,
        )
    }

    /// The request for these texts in its longest form.
    fn request(&self, texts: &[&str]) -> ChatRequest {
        self.request_as(texts, self.structured)
    }

    fn request_as(&self, texts: &[&str], structured: bool) -> ChatRequest {
        let config = self.run.config;
        config.reduce_request(texts, self.note.as_deref(), structured)
    }

    /// The call after which one text is left.
    async fn last(&mut self, only: &Group<'_>, round: usize) -> Result<String, Cause> {
        let request = self.request(&only.texts);
        let reply = self.ask(request, round, 0).await;
        self.spent += Expense::by(&reply);
        let reply = reply.map_err(|error| self.failed(error))?;
        let schema = self.run.config.schema.as_ref().filter(|_| self.structured);
        if let Some(schema) = schema {
            self.value = Some(typed(&reply, schema).map_err(|error| self.failed(error))?);
        }
        Ok(reply.answer.text)
    }

    /// Reduces each group, side by side; the first failure is told.
    async fn round(&mut self, groups: &[Group<'_>], round: usize) -> Result<Vec<String>, Cause> {
        let this = &*self;
        let replies = window(
            groups,
            this.run.config.max_concurrent,
            |index, group| async move {
                match group.asked {
                    true => {
                        let request = this.request_as(&group.texts, false);
                        Some(this.ask(request, round, index).await)
                    }
                    false => None,
                }
            },
        );
        let replies = replies.settle().await;
        let mut texts = Vec::with_capacity(groups.len());
        let mut failure = None;
        for (group, reply) in groups.iter().zip(replies) {
            match reply {
                None => texts.extend(group.texts.iter().map(|text| (*text).to_owned())),
                Some(reply) => {
                    self.spent += Expense::by(&reply);
                    match reply {
                        Ok(reply) => texts.push(reply.answer.text),
                        Err(error) => failure = failure.or(Some(error)),
                    }
                }
            }
        }
        failure.map_or(Ok(texts), |error| Err(self.failed(error)))
    }

    async fn ask(&self, request: ChatRequest, round: usize, group: usize) -> Result<Reply, Error> {
        let Self {
            run, level, index, ..
        } = self;
        let part = format!("reduce.{level}.{index}.{round}.{group}");
        run.ask(run.config.reduce_model(), request, &part).await
    }

    fn failed(&self, error: Error) -> Cause {
        Cause::Reduce {
            level: self.level,
            index: self.index,
            error,
        }
    }
}
