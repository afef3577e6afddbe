//! [`GroupedBatch`]: a batch in groups, the later ones answered by a cheap model when the money runs out.

use super::{BatchOutcome, Group, Grouping, Tier, batch, occurrence::tell_equal_apart};
use crate::{ChatRequest, SharedModel, Usage};

/// Bytes of text for a token of English, the usual rule of thumb (OpenAI's help page "What are tokens").
const BYTES_PER_TOKEN: usize = 4;
/// Output that is assumed of a request without a cap.
const USUAL_OUTPUT: u64 = 256;

/// Asks many things group by group, each group at once, and decides before each group which of two models answers it: by
/// what has really been spent so far and what the rest is thought to cost. So the groups follow each other; the limits of a
/// group bound what is in flight.
#[derive(Debug)]
pub struct GroupedBatch {
    main: SharedModel,
    fallback: SharedModel,
    grouping: Grouping,
    usual_output: u64,
}

impl GroupedBatch {
    /// Groups of requests to `main`, or to `fallback` where the budget asks for it.
    pub fn new(main: SharedModel, fallback: SharedModel, grouping: Grouping) -> Self {
        Self {
            main,
            fallback,
            grouping,
            usual_output: USUAL_OUTPUT,
        }
    }

    /// With so many output tokens assumed of a request that names no cap; 256 where nothing is said.
    #[must_use]
    pub fn with_usual_output(mut self, tokens: u64) -> Self {
        self.usual_output = tokens;
        self
    }

    /// Asks everything and waits for all outcomes.
    pub async fn run<R: Into<ChatRequest>>(
        self,
        requests: impl IntoIterator<Item = R>,
    ) -> GroupedResult {
        let mut requests: Vec<ChatRequest> = requests.into_iter().map(Into::into).collect();
        tell_equal_apart(self.main.name(), &mut requests);
        let estimates: Vec<Usage> = requests
            .iter()
            .map(|request| self.estimate(request))
            .collect();
        let mut groups = self.grouping.groups(&estimates);
        let later = self.grouping.cheapest_later(&groups);
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut spent = 0.0;
        for (group, later) in groups.iter_mut().zip(later) {
            let tier = self.grouping.tier(spent, &group.usage, later);
            group.tier = tier;
            let items = group.items.clone();
            let model = match tier {
                Tier::Main => &self.main,
                Tier::Fallback => &self.fallback,
            };
            let answered = batch(SharedModel::clone(model), requests[items.clone()].to_vec())
                .max_concurrent(items.len())
                .run()
                .await;
            group.usage = answered.usage();
            spent += self.grouping.price(tier, &group.usage);
            outcomes.extend(answered.outcomes.into_iter().map(|outcome| BatchOutcome {
                index: items.start + outcome.index,
                ..outcome
            }));
        }
        GroupedResult {
            outcomes,
            groups,
            spent,
        }
    }

    fn estimate(&self, request: &ChatRequest) -> Usage {
        Usage {
            input_tokens: request.content_bytes().div_ceil(BYTES_PER_TOKEN) as u64,
            output_tokens: request.max_output_tokens().unwrap_or(self.usual_output),
            ..Usage::default()
        }
    }
}

/// What became of a grouped batch.
#[derive(Debug)]
pub struct GroupedResult {
    /// One outcome for each request, at its index.
    pub outcomes: Vec<BatchOutcome>,
    /// The groups, which model answered each, and what it has really used.
    pub groups: Vec<Group>,
    /// What was spent, in the unit of the budget; 0 without one.
    pub spent: f64,
}
