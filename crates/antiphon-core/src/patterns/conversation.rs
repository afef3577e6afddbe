//! [`Conversation`]: questions that follow each other; [`conversations`]: many of them side by side.

use std::num::NonZeroUsize;

use super::{Window, window};
use crate::{ChatRequest, Error, Message, Reply, SharedModel};

/// A talk with a model: each question is asked with everything said before it.
///
/// ```
/// # use antiphon_core::{patterns::Conversation, Error, SharedModel};
/// # async fn example(model: SharedModel) -> Result<(), Error> {
/// let mut talk = Conversation::new(model, Vec::new());
/// talk.say("Name a river in France.").await?;
/// let reply = talk.say("And how long is it?").await?;
/// assert_eq!(talk.history().messages.len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Conversation {
    model: SharedModel,
    history: ChatRequest,
}

impl Conversation {
    /// A conversation that begins with what the request holds (instructions, earlier turns) and has its parameters; an
    /// empty list of messages begins with nothing.
    pub fn new(model: SharedModel, beginning: impl Into<ChatRequest>) -> Self {
        Self {
            model,
            history: beginning.into(),
        }
    }

    /// Everything said so far, as the request that a next question is added to.
    pub fn history(&self) -> &ChatRequest {
        &self.history
    }

    /// Adds a turn, such as a tool's result, without asking.
    pub fn add(&mut self, message: Message) {
        let history = self.history.clone();
        self.history = history.with_message(message);
    }

    /// Says something and waits for the answer. Both are then part of what was said; where the call fails, neither is, and
    /// it may be said again.
    ///
    /// # Errors
    /// What the model says.
    pub async fn say(&mut self, text: impl Into<String>) -> Result<Reply, Error> {
        let asked = self.history.clone().with_message(Message::user(text));
        self.ask(asked).await
    }

    /// Asks for the answer to what has been said, such as after the results of tools were added.
    ///
    /// # Errors
    /// What the model says.
    pub async fn answer(&mut self) -> Result<Reply, Error> {
        self.ask(self.history.clone()).await
    }

    async fn ask(&mut self, asked: ChatRequest) -> Result<Reply, Error> {
        let reply = self.model.ask(asked.clone()).await?.released();
        self.history = asked.with_message(Message::from(&reply.answer));
        Ok(reply)
    }
}

/// What became of a conversation.
#[derive(Debug)]
pub struct ConversationOutcome {
    /// The answers, one for each question that was asked.
    pub replies: Vec<Reply>,
    /// Why the next question has no answer; those after it were not asked. `None` where all were answered.
    pub error: Option<Error>,
    /// The conversation as it stands, which may go on.
    pub conversation: Conversation,
}

/// Leads many conversations side by side, at most `limit` at once: each asks its own questions one after the other. An error
/// ends its own conversation only. Outcomes come as they finish, each with its index; `settle` waits for all.
pub fn conversations<'a, Q>(
    scripts: impl IntoIterator<Item = (Conversation, Q), IntoIter: Send + 'a>,
    limit: NonZeroUsize,
) -> Window<'a, ConversationOutcome>
where
    Q: IntoIterator<Item: Into<String> + Send, IntoIter: Send> + Send + 'a,
{
    window(scripts, limit, |_, (conversation, questions)| {
        lead(conversation, questions)
    })
}

async fn lead<Q>(mut conversation: Conversation, questions: Q) -> ConversationOutcome
where
    Q: IntoIterator<Item: Into<String> + Send, IntoIter: Send> + Send,
{
    let mut replies = Vec::new();
    let mut error = None;
    for question in questions {
        match conversation.say(question).await {
            Ok(reply) => replies.push(reply),
            Err(failed) => {
                error = Some(failed);
                break;
            }
        }
    }
    ConversationOutcome {
        replies,
        error,
        conversation,
    }
}
