//! The panel itself.

use std::{num::NonZeroUsize, sync::Arc};

use serde_json::{Map, Value};

use crate::{ChatRequest, Error, Reply, Schema, SharedModel, job::AttemptJournal};

use super::{
    super::{
        asking::{Expense, ask, typed},
        document::Document,
        window,
    },
    Aggregate, Review, Synthesis,
    error::ReviewError,
    prompts,
};

/// A point of view to judge from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What to look at.
    pub instruction: String,
}

impl Role {
    /// A role of this name, told to look at this.
    pub fn new(name: impl Into<String>, instruction: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            instruction: instruction.into(),
        }
    }
}

/// Who reviews: by default for security, performance and maintainability, with a synthesis of their reviews.
///
/// ```
/// # use std::sync::Arc;
/// # use antiphon_core::{Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, FinishReason, Head, Model};
/// # #[derive(Debug)]
/// # struct Scripted;
/// # impl Model for Scripted {
/// #     fn name(&self) -> &str { "test/scripted" }
/// #     fn call(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
/// #         let answer = Answer {
/// #             text: r#"{"score": 7, "strengths": [], "weaknesses": ["long"], "recommendation": "revise"}"#.into(),
/// #             finish_reason: FinishReason::Stop, reasoning: None, refusal: None, tool_calls: vec![], model: None,
/// #             spent: Default::default(), body: Default::default(), latency: Default::default(),
/// #         };
/// #         Box::pin(std::future::ready(Ok(ChatResponse { head: Head::default(), body: Body::Ready(answer) })))
/// #     }
/// # }
/// use antiphon_core::{SharedModel, patterns::{Document, Recommendation, ReviewPanel, Role}};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let model: SharedModel = Arc::new(Scripted);
/// let panel = ReviewPanel::default()
///     .with_role(Role::new("style", "Look at the words."))
///     .without_synthesis();
/// let result = panel.review(&model, &Document::new("README.md", "Some text.")).await?;
/// assert_eq!(result.reviews.len(), 4);
/// assert_eq!(result.aggregate.recommendation, Recommendation::Revise);
/// # Ok::<(), antiphon_core::patterns::ReviewError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReviewPanel {
    roles: Vec<Role>,
    synthesizer: Synthesizer,
    params: Map<String, Value>,
    max_concurrent: Option<NonZeroUsize>,
}

#[derive(Clone, Debug)]
enum Synthesizer {
    Reviewer,
    Other(SharedModel),
    Nobody,
}

impl Default for ReviewPanel {
    fn default() -> Self {
        Self {
            roles: prompts::ROLES
                .into_iter()
                .map(|(name, instruction)| Role::new(name, instruction))
                .collect(),
            synthesizer: Synthesizer::Reviewer,
            params: Map::new(),
            max_concurrent: None,
        }
    }
}

/// What a role's reviewer gave.
#[derive(Clone, Debug)]
pub struct RoleReview {
    /// The role's place in the panel.
    pub index: usize,
    /// The role's name.
    pub role: String,
    /// The review, or why there is none.
    pub outcome: Result<Review, Error>,
    /// What the call took.
    pub spent: Expense,
}

/// What a panel gives.
#[derive(Clone, Debug)]
pub struct PanelReview {
    /// An outcome for each role, in their order.
    pub reviews: Vec<RoleReview>,
    /// The sum of the reviews that there are.
    pub aggregate: Aggregate,
    /// One review made of them; `None` where it was not asked for or only one reviewer succeeded.
    pub synthesis: Option<Result<Synthesis, Error>>,
    /// All calls together.
    pub spent: Expense,
}

impl ReviewPanel {
    /// Its roles, in the order in which outcomes are told.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// With these roles in place of those it has.
    #[must_use]
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.roles = roles.into_iter().collect();
        self
    }

    /// With one more role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Another model makes one review of all; else the reviewers' model does.
    #[must_use]
    pub fn with_synthesizer(mut self, model: SharedModel) -> Self {
        self.synthesizer = Synthesizer::Other(model);
        self
    }

    /// Reviews only, and their sum.
    #[must_use]
    pub fn without_synthesis(mut self) -> Self {
        self.synthesizer = Synthesizer::Nobody;
        self
    }

    /// With a parameter set in every request.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Value) -> Self {
        self.params.insert(name.to_owned(), value);
        self
    }

    /// Reviewers asked at once; all of them by default.
    #[must_use]
    pub fn with_max_concurrent(mut self, calls: NonZeroUsize) -> Self {
        self.max_concurrent = Some(calls);
        self
    }

    /// Asks each role to review the subject.
    ///
    /// # Errors
    /// A panel or a subject that cannot be used, before any call; every reviewer failed; or a call was given up on this side.
    pub async fn review(
        &self,
        model: &SharedModel,
        subject: &Document,
    ) -> Result<PanelReview, ReviewError> {
        self.judge(model, subject, None).await
    }

    /// As [`Self::review`], and records each answer in the journal: what an earlier run recorded there is not asked again.
    ///
    /// # Errors
    /// As [`Self::review`]; or an answer cannot be recorded.
    pub async fn review_recorded(
        &self,
        model: &SharedModel,
        subject: &Document,
        journal: Arc<dyn AttemptJournal>,
    ) -> Result<PanelReview, ReviewError> {
        self.judge(model, subject, Some(journal)).await
    }

    async fn judge(
        &self,
        model: &SharedModel,
        subject: &Document,
        journal: Option<Arc<dyn AttemptJournal>>,
    ) -> Result<PanelReview, ReviewError> {
        self.check(subject)?;
        let part = |name: &str| journal.as_ref().map(|journal| journal.part(name));
        let schema = &Schema::of::<Review>().expect("a derived schema is valid");
        let limit = self.max_concurrent.unwrap_or(NonZeroUsize::MAX);
        let reviews = window(&self.roles, limit, |index, role| {
            let request = self.completed(prompts::review_request(role, subject, schema));
            let reply = ask(model, request, part(&index.to_string()));
            async move { role_review(index, role, reply.await, schema) }
        });
        let reviews = reviews.settle().await;
        let mut spent = Expense::default();
        reviews.iter().for_each(|review| spent += review.spent);
        let errors = reviews.iter().filter_map(|one| one.outcome.as_ref().err());
        if let Some(error) = given_up(errors) {
            return Err(ReviewError::GivenUp(error, reviews, Box::new(spent)));
        }
        let good: Vec<(&str, &Review)> = reviews
            .iter()
            .filter_map(|review| Some((review.role.as_str(), review.outcome.as_ref().ok()?)))
            .collect();
        let Some(aggregate) = Aggregate::of(&good) else {
            return Err(ReviewError::AllFailed(reviews, Box::new(spent)));
        };
        let synthesizer = match &self.synthesizer {
            Synthesizer::Reviewer => Some(model),
            Synthesizer::Other(other) => Some(other),
            Synthesizer::Nobody => None,
        };
        let synthesis = match synthesizer.filter(|_| good.len() > 1) {
            None => None,
            Some(model) => {
                let schema = Schema::of::<Synthesis>().expect("a derived schema is valid");
                let request = self.completed(prompts::synthesis_request(&good, &schema));
                let reply = ask(model, request, part("synthesis")).await;
                spent += Expense::by(&reply);
                Some(reply.and_then(|reply| typed(&reply, &schema)))
            }
        };
        let error = synthesis.as_ref().and_then(|made| made.as_ref().err());
        if let Some(error) = given_up(error) {
            return Err(ReviewError::GivenUp(error, reviews, Box::new(spent)));
        }
        Ok(PanelReview {
            reviews,
            aggregate,
            synthesis,
            spent,
        })
    }

    /// Checks what [`Self::review`] checks before any call.
    ///
    /// # Errors
    /// A panel or a subject that cannot be used.
    pub fn check(&self, subject: &Document) -> Result<(), ReviewError> {
        if self.roles.is_empty() {
            return Err(ReviewError::NoRoles);
        }
        for (index, role) in self.roles.iter().enumerate() {
            let name = role.name.trim().to_lowercase();
            if name.is_empty() {
                return Err(ReviewError::UnnamedRole(index));
            }
            let same = |other: &Role| other.name.trim().to_lowercase() == name;
            if self.roles[..index].iter().any(same) {
                return Err(ReviewError::SameRole(role.name.clone()));
            }
        }
        if subject.is_blank() {
            return Err(ReviewError::Blank(subject.id.clone()));
        }
        Ok(())
    }

    fn completed(&self, mut request: ChatRequest) -> ChatRequest {
        request.params = Arc::new(self.params.clone());
        request
    }
}

/// The error that no model is to blame for.
fn given_up<'a>(errors: impl IntoIterator<Item = &'a Error>) -> Option<Error> {
    let mut errors = errors.into_iter();
    errors.find(|error| error.kind().is_given_up()).cloned()
}

fn role_review(
    index: usize,
    role: &Role,
    reply: Result<Reply, Error>,
    schema: &Schema,
) -> RoleReview {
    RoleReview {
        index,
        role: role.name.clone(),
        spent: Expense::by(&reply),
        outcome: reply.and_then(|reply| typed(&reply, schema)),
    }
}
