//! A request as one of several models gets it, and the journal of this part.

use std::sync::Arc;

use crate::{ChatRequest, Error, Reply, SharedModel, job::AttemptJournal};

/// The request for the model at `index`, with a journal of its own. A model that is asked more than once gives samples;
/// every other model sees the request's own sample number, so that its cached answers are found.
pub(super) fn part(request: &ChatRequest, models: &[SharedModel], index: usize) -> ChatRequest {
    let name = models[index].name();
    let same = |models: &[SharedModel]| {
        let count = models.iter().filter(|model| model.name() == name).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let mut request = request.clone();
    request.sample = request
        .sample
        .wrapping_mul(same(models))
        .wrapping_add(same(&models[..index]));
    request.journal = request
        .journal
        .map(|journal| journal.part(&index.to_string()));
    request
}

/// The answer that an earlier run recorded for this part. Its attempts were made by that run.
pub(super) fn recorded(request: &ChatRequest) -> Option<Reply> {
    let mut reply = request.journal.as_ref()?.answer()?;
    reply.head.attempts = 0;
    Some(reply)
}

/// Records an answer in the journal of its part, where there is one, and then gives its receipt back. A part never keeps it
/// longer: the next part may need the very permit that it holds.
pub(super) async fn record(
    journal: Option<&Arc<dyn AttemptJournal>>,
    reply: &mut Reply,
) -> Result<(), Error> {
    if let Some(journal) = journal {
        let durable = journal.record_answer(reply).await;
        durable.map_err(|error| paid(error, reply))?;
    }
    reply.head.receipt = None;
    Ok(())
}

/// The recorded answer, or a new one that is recorded.
pub(super) async fn recorded_or_new(
    model: &SharedModel,
    request: ChatRequest,
) -> Result<Reply, Error> {
    if let Some(reply) = recorded(&request) {
        return Ok(reply);
    }
    let journal = request.journal.clone();
    let mut reply = model.ask(request).await?;
    record(journal.as_ref(), &mut reply).await?;
    Ok(reply)
}

/// An error in spite of an answer, with what that has cost.
pub(super) fn paid(error: Error, reply: &Reply) -> Error {
    error
        .with_status(reply.head.status)
        .with_request_id(reply.head.request_id.clone())
        .with_attempts(reply.head.attempts)
        .with_usage(reply.usage())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{BoxFuture, ChatResponse, Model};

    #[derive(Debug)]
    struct Named(String);

    impl Model for Named {
        fn name(&self) -> &str {
            &self.0
        }
        fn call(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
            Box::pin(async { Err(Error::stopped("nobody is asked")) })
        }
    }

    proptest! {
        #[test]
        fn no_two_members_of_equal_rows_have_the_same_name_and_sample(names in prop::collection::vec(0u8..4, 1..20), rows in 1u32..9) {
            let models: Vec<SharedModel> = names.iter().map(|name| Arc::new(Named(name.to_string())) as SharedModel).collect();
            let mut seen = HashSet::new();
            for sample in 0..rows {
                let request = ChatRequest { sample, ..ChatRequest::prompt("x") };
                for (index, model) in models.iter().enumerate() {
                    let sample = part(&request, &models, index).sample;
                    prop_assert!(seen.insert((model.name().to_owned(), sample)));
                }
            }
        }
    }
}
