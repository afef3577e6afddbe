//! A request as one of several models gets it, and the journal of this part.

use std::sync::Arc;

use crate::{ChatRequest, Error, Reply, SharedModel, job::AttemptJournal, makeup::Shares};

/// The request for the model at `index`, with the sample number that is its share and a journal of its own.
pub(super) fn part(request: &ChatRequest, shares: &Shares, index: usize) -> ChatRequest {
    let mut request = request.clone();
    request.sample = shares.sample(request.sample, index);
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
        .with_spent(reply.spent())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{BoxFuture, ChatResponse, Makeup, Model};

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

    /// Passes each call on to all of its models.
    #[derive(Debug)]
    struct Several(Vec<SharedModel>);

    impl Model for Several {
        fn name(&self) -> &str {
            "several"
        }
        fn makeup(&self) -> Makeup {
            Makeup::of(&self.0)
        }
        fn call(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
            Box::pin(async { Err(Error::stopped("nobody is asked")) })
        }
    }

    #[derive(Clone, Debug)]
    enum Tree {
        Leaf(u8),
        Node(Vec<Tree>),
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let leaf = (0u8..4).prop_map(Tree::Leaf);
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::vec(inner, 1..4).prop_map(Tree::Node)
        })
    }

    fn model(tree: &Tree) -> SharedModel {
        match tree {
            Tree::Leaf(name) => Arc::new(Named(name.to_string())),
            Tree::Node(parts) => Arc::new(Several(parts.iter().map(model).collect())),
        }
    }

    /// The samples of plain models that a request takes.
    fn taken(tree: &Tree, request: &ChatRequest, all: &mut Vec<(u8, u32)>) {
        match tree {
            Tree::Leaf(name) => all.push((*name, request.sample)),
            Tree::Node(parts) => {
                let models: Vec<SharedModel> = parts.iter().map(model).collect();
                let shares = Shares::of(&models);
                for (index, tree) in parts.iter().enumerate() {
                    taken(tree, &part(request, &shares, index), all);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_two_calls_of_equal_rows_take_the_same_sample(tree in trees(), rows in 1u32..9) {
            let mut all = Vec::new();
            for sample in 0..rows {
                let request = ChatRequest { sample, ..ChatRequest::prompt("x") };
                taken(&tree, &request, &mut all);
            }
            let distinct: HashSet<_> = all.iter().collect();
            prop_assert_eq!(distinct.len(), all.len());
        }
    }

    #[test]
    fn models_of_one_kind_each_see_the_number_of_the_request() {
        let models = [0, 1, 2].map(|name| model(&Tree::Leaf(name)));
        let request = ChatRequest {
            sample: 7,
            ..ChatRequest::prompt("x")
        };
        for index in 0..3 {
            assert_eq!(part(&request, &Shares::of(&models), index).sample, 7);
        }
    }
}
