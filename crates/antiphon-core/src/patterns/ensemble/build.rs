//! Making an [`Ensemble`].

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Decider, Directory, Ensemble, EnsembleConfig, EnsembleError, Members, deciding::Way, lock,
};
use crate::{Clock, Dice, SharedModel, SystemClock};

impl Ensemble {
    /// An ensemble of these models, each asked once: `num_processors` becomes their number.
    ///
    /// # Errors
    /// There are no members or more than 100, or the settings cannot work.
    pub fn new(
        members: Vec<SharedModel>,
        decider: Decider,
        config: EnsembleConfig,
    ) -> Result<Self, EnsembleError> {
        let number = members.len();
        Self::of(members, number, decider, config)
    }

    /// An ensemble of so many samples of one model.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn samples_of(
        model: SharedModel,
        number: usize,
        decider: Decider,
        config: EnsembleConfig,
    ) -> Result<Self, EnsembleError> {
        Self::of(vec![model], number, decider, config)
    }

    fn of(
        members: Vec<SharedModel>,
        number: usize,
        decider: Decider,
        config: EnsembleConfig,
    ) -> Result<Self, EnsembleError> {
        if members.is_empty() || number == 0 {
            return Err(EnsembleError::NoMembers);
        }
        let config = EnsembleConfig {
            num_processors: number,
            ..config
        };
        Ok(Self::made(Members::Given(members), Way::Decide, None, config)?.with_decider(decider))
    }

    /// An ensemble whose models are names: `num_processors` samples of the model that a call names
    /// ([`Self::parse`], [`Self::with_member_model`]), and `decision_maker_model` to decide. Names are looked up at each
    /// call.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn from_directory(
        directory: Arc<dyn Directory>,
        config: EnsembleConfig,
    ) -> Result<Self, EnsembleError> {
        let made = Self::made(Members::Named(None), Way::Decide, None, config)?;
        Ok(made.with_directory(directory))
    }

    fn made(
        members: Members,
        way: Way,
        maker: Option<SharedModel>,
        config: EnsembleConfig,
    ) -> Result<Self, EnsembleError> {
        config.validate()?;
        Ok(Self {
            name: "ensemble".to_owned(),
            members,
            way,
            maker,
            directory: None,
            quorum: None,
            deadline: None,
            clock: SystemClock::shared(),
            dice: Dice::new(),
            config: Mutex::new(config),
            counters: Mutex::default(),
        })
    }

    /// Under another name than `ensemble`.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// With another decider. `decision_maker_model` becomes the name of its model.
    #[must_use]
    pub fn with_decider(mut self, decider: Decider) -> Self {
        let (way, maker) = decider.apart();
        if let Some(maker) = &maker {
            lock(&self.config).decision_maker_model = maker.name().to_owned();
        }
        (self.way, self.maker) = (way, maker);
        self
    }

    /// With a directory, in which [`Self::reconfigure`] finds other decision makers.
    #[must_use]
    pub fn with_directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// With the model whose samples are the members where a call names none. Replaces given members.
    #[must_use]
    pub fn with_member_model(mut self, name: impl Into<String>) -> Self {
        self.members = Members::Named(Some(name.into()));
        self
    }

    /// With a quorum: once so many answers are there the decision is made, and the other members are cancelled. With
    /// fewer members than this all of them are waited for.
    #[must_use]
    pub fn with_quorum(mut self, answers: NonZeroUsize) -> Self {
        self.quorum = Some(answers);
        self
    }

    /// With a deadline: after this time the decision is made over the answers that are there, and the other members are
    /// cancelled. Without any answer the first one is waited for.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With other dice, which spread retries over time.
    #[must_use]
    pub fn with_dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }
}
