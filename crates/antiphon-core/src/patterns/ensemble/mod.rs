//! [`Ensemble`]: several answers to one request, then one decision. [`Samples`]: the answers alone.
//!
//! ```text
//! request ──> members side by side ──> quorum, deadline ──> decide | judge | synthesize | vote ──> one answer
//!               (schema + reasoning)       (stragglers       (whole conversation + candidates)
//!                                           cancelled)
//! ```

mod bill;
mod build;
mod call;
mod config;
mod deciding;
mod decision;
mod directory;
mod form;
mod gather;
mod log;
mod majority;
mod question;
mod reasoning;
mod references;
mod samples;
mod summary;
mod tries;
mod verdict;

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};

pub use config::{EnsembleConfig, EnsembleError, LogLevel, MOST_MEMBERS};
pub use deciding::Decider;
pub use directory::Directory;
pub use majority::Majority;
pub use samples::Samples;
pub use summary::{Counters, Summary};
pub use verdict::{Candidate, Chosen, Decide, Verdict};

use self::deciding::Way;
use crate::{
    BoxFuture, ChatRequest, ChatResponse, Clock, Dice, Error, Makeup, Message, Model, Reply,
    Schema, SharedModel,
};

/// N parallel answers, then one decision.
///
/// Members are asked at once, each with a part of the request's journal (`0`, `1`, …, `decide`), so that a call that was
/// killed pays for no answer twice. The decision maker reads the whole conversation as it is, then the candidates. If only
/// one member has an answer nobody is asked to decide. If the decision fails, the first answer is taken, and
/// [`Head::gathered`](crate::Head::gathered) says so and why. With a schema the answer's text is JSON that fits it.
///
/// The answer is given whole, also where a stream was asked for. Its body is an OpenAI chat completion under the ensemble's name; its usage is the sum over all calls.
///
/// ```
/// use std::sync::Arc;
/// use antiphon_core::{ChatRequest, Model, SharedModel};
/// use antiphon_core::patterns::ensemble::{Decider, Ensemble, EnsembleConfig, EnsembleError, Majority};
///
/// # fn example(fast: SharedModel, careful: SharedModel, judge: SharedModel) -> Result<(), EnsembleError> {
/// // two models, and a third that may merge their answers
/// let panel = Ensemble::new(vec![fast.clone(), careful], Decider::Decide(judge), EnsembleConfig::default())?;
/// let answer = panel.call(ChatRequest::prompt("Which river is the longest?"));
/// # drop(answer);
/// // five samples of one model that vote
/// let vote = Decider::Vote(Arc::new(Majority));
/// let samples = Ensemble::samples_of(fast, 5, vote, EnsembleConfig::default())?;
/// # drop(samples);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ensemble {
    name: String,
    members: Members,
    way: Way,
    /// The decision maker, where it was given and not named.
    maker: Option<SharedModel>,
    directory: Option<Arc<dyn Directory>>,
    quorum: Option<NonZeroUsize>,
    deadline: Option<Duration>,
    clock: Arc<dyn Clock>,
    dice: Dice,
    config: Mutex<EnsembleConfig>,
    counters: Mutex<Counters>,
}

#[derive(Debug)]
enum Members {
    Given(Vec<SharedModel>),
    /// Samples of the model of this name, or of the one that a call names.
    Named(Option<String>),
}

/// An answer together with its value in the form of the schema.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The value, which fits the schema.
    pub value: Value,
    /// The answer and the facts about it.
    pub reply: Reply,
}

impl Ensemble {
    /// The settings as they are now.
    pub fn config(&self) -> EnsembleConfig {
        lock(&self.config).clone()
    }

    /// Changes settings from the next call on; calls under way keep theirs.
    ///
    /// # Errors
    /// The new settings cannot work, or would have no effect; the old ones stay.
    pub fn reconfigure(
        &self,
        change: impl FnOnce(&mut EnsembleConfig),
    ) -> Result<(), EnsembleError> {
        let mut config = lock(&self.config);
        let mut new = config.clone();
        change(&mut new);
        new.validate()?;
        let of_maker = |config: &EnsembleConfig| {
            (
                config.decision_maker_model.clone(),
                config.decision_maker_temperature.to_bits(),
                config.decision_maker_prompt.clone(),
            )
        };
        if matches!(self.way, Way::Vote(_)) && of_maker(&new) != of_maker(&config) {
            return Err(EnsembleError::Vote);
        }
        let is_given = |maker: &SharedModel| maker.name() == new.decision_maker_model;
        if self.directory.is_none()
            && !matches!(self.way, Way::Vote(_))
            && !self.maker.as_ref().is_some_and(is_given)
        {
            return Err(EnsembleError::NoDirectory(new.decision_maker_model));
        }
        *config = new;
        Ok(())
    }

    /// What the ensemble is and what it has done.
    pub fn summary(&self) -> Summary {
        let config = self.config();
        let members = match &self.members {
            Members::Named(None) => Vec::new(),
            Members::Named(Some(name)) => vec![name.clone(); config.num_processors],
            Members::Given(models) => seated(models, config.num_processors)
                .map(|model| model.name().to_owned())
                .collect(),
        };
        Summary {
            name: self.name.clone(),
            members,
            decider: self.way.name(),
            quorum: self.quorum.map(NonZeroUsize::get),
            deadline_s: self.deadline.map(|deadline| deadline.as_secs_f64()),
            config,
            counters: *lock(&self.counters),
        }
    }

    /// Asks samples of the named model, and gives the value of the decided answer, which fits the schema.
    ///
    /// # Errors
    /// The schema is no object, a name is unknown, or all members failed; the message names each cause.
    pub async fn parse(
        &self,
        model: &str,
        messages: Vec<Message>,
        schema: Schema,
        params: Map<String, Value>,
    ) -> Result<Parsed, Error> {
        let config = self.config();
        let Members::Named(_) = &self.members else {
            return Err(EnsembleError::GivenMembers.into());
        };
        let models = vec![self.look_up(model)?; config.num_processors];
        let request = ChatRequest {
            params: Arc::new(params),
            schema: Some(schema.clone()),
            ..ChatRequest::new(messages)
        };
        let reply = self.told(&config, models, request).await?.whole().await?;
        let value = schema.read(reply.text())?;
        Ok(Parsed { value, reply })
    }
}

impl Model for Ensemble {
    fn name(&self) -> &str {
        &self.name
    }

    fn makeup(&self) -> Makeup {
        match self.models(&self.config()) {
            Ok(models) => Makeup::of(&models),
            // its calls say what is wrong
            Err(_) => Makeup::plain(&self.name),
        }
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.answer(request))
    }
}

/// The models of so many members: where there are fewer models they go round again.
fn seated(models: &[SharedModel], number: usize) -> impl Iterator<Item = &SharedModel> {
    models.iter().cycle().take(number)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
