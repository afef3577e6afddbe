//! [`Queued`]: the model behind a queue.

use std::{ops::ControlFlow, sync::Arc};

use futures_util::{StreamExt, future::Either, stream};

use super::{
    Queue,
    config::too_long,
    gate::Refused,
    passage::{InLine, Passage, Riding, Said, Until, digest},
};
use crate::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, Fingerprint, Head, Limits, Model,
    SharedModel, chat::DeltaStream, layers::retry::stamped,
};

/// The calls of one model behind a queue.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) queue: Arc<Queue>,
    pub(super) number: u64,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.queue.gate.forget(self.number);
    }
}

/// A call is asked again so often and no more: each time a person may be asked too.
const MOST_TAKEN_BACK: u32 = 3;

#[derive(Debug)]
pub(super) struct Queued {
    group: Arc<Group>,
    model: SharedModel,
}

impl Queued {
    pub(super) fn new(group: Group, model: SharedModel) -> Self {
        Self {
            group: Arc::new(group),
            model,
        }
    }

    async fn run(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let mut taken_back = 0;
        match self.answer(request, &mut taken_back).await {
            Ok(mut response) => {
                response.head.attempts += taken_back;
                Ok(response)
            }
            Err(error) => {
                let attempts = error.attempts() + taken_back;
                Err(error.with_attempts(attempts))
            }
        }
    }

    /// Counts the times that the call was taken back: it was sent each time.
    async fn answer(
        &self,
        request: ChatRequest,
        taken_back: &mut u32,
    ) -> Result<ChatResponse, Error> {
        let queue = &self.group.queue;
        let asked = digest(Fingerprint::of(&[], &request).as_bytes());
        let joined = queue.gate.join(self.group.number);
        let mut ticket = joined.map_err(|refused| match refused {
            Refused::Closed(error) => error,
            Refused::Full(waiting) => too_long(waiting, queue.snapshot().limit),
        })?;
        loop {
            let mut passage = InLine::new(&self.group, ticket).await?;
            queue.keep_time();
            if *taken_back == MOST_TAKEN_BACK {
                passage.stay();
            }
            match self.ask(passage, request.clone(), asked).await {
                ControlFlow::Break(outcome) => return outcome,
                ControlFlow::Continue(passage) => {
                    *taken_back += 1;
                    ticket = passage.wait_again()?;
                }
            }
        }
    }

    /// A call that is out, until its response can be handed out or it is taken back.
    async fn ask(
        &self,
        mut passage: Passage,
        request: ChatRequest,
        asked: u64,
    ) -> ControlFlow<Result<ChatResponse, Error>, Passage> {
        let queue = &self.group.queue;
        let limit = queue.config.call_timeout;
        let mut until = limit.map(|limit| Until::new(limit, &queue.clock));
        // whatever comes, the call below has been dropped when its passage ends: nobody else is let out before
        let begun = tokio::select! {
            biased;
            begun = begin(&self.model, request) => begun,
            () = passage.taken_back() => return ControlFlow::Continue(passage),
            error = ends(until.as_mut()) => Err(error),
        };
        let (head, answer) = match begun {
            Ok(begun) => begun,
            Err(error) if passage.is_excused(&error) => return ControlFlow::Continue(passage),
            Err(error) => {
                passage.failed(&error);
                return ControlFlow::Break(Err(error));
            }
        };
        let body = match answer {
            Either::Left(answer) => {
                passage.answered(asked, &Said::from(answer.text.as_str()));
                Body::Ready(answer)
            }
            Either::Right(deltas) => {
                Body::Stream(Box::pin(Riding::new(deltas, passage, asked, until)))
            }
        };
        ControlFlow::Break(Ok(ChatResponse { head, body }))
    }
}

impl Model for Queued {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.model)
    }

    fn limits(&self) -> Limits {
        Limits {
            concurrency: Some(self.group.queue.snapshot().limit),
        }
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.run(request))
    }
}

/// Asks the model, until the answer is whole or its first piece has come.
async fn begin(
    model: &SharedModel,
    request: ChatRequest,
) -> Result<(Head, Either<Answer, DeltaStream>), Error> {
    let ChatResponse { head, body } = model.call(request).await?;
    let sent = |error| stamped(error, head.attempts);
    let answer = match body {
        Body::Ready(answer) => Either::Left(answer),
        Body::Whole(answer) => Either::Left(answer.await.map_err(sent)?),
        Body::Stream(deltas) => {
            // one that ends without a word must not be asked for another
            let mut deltas = deltas.fuse();
            let first = deltas.next().await.transpose().map_err(sent)?;
            Either::Right(stream::iter(first.map(Ok)).chain(deltas).boxed())
        }
    };
    Ok((head, answer))
}

async fn ends(until: Option<&mut Until>) -> Error {
    match until {
        Some(until) => until.await,
        None => std::future::pending().await,
    }
}
