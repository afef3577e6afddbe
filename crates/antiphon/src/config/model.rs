//! `[models.NAME]`: a model under a name of the user's, plain or made of others.

use std::{num::NonZeroU32, time::Duration};

use antiphon_core::patterns::ensemble::MOST_MEMBERS;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{RescueSettings, file::duration};

/// A model under a name of the user's.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ModelTable")]
pub struct ModelConfig {
    /// What it stands for.
    pub made: Made,
    /// Parameters of every request; where the model is made of others, of each of them.
    pub params: Map<String, Value>,
    /// Limit of one attempt; models that this one is made of take it where they have none.
    pub timeout: Option<Duration>,
    /// Limit of connecting, likewise.
    pub connect_timeout: Option<Duration>,
    /// Limit until the head of a streamed answer, likewise.
    pub headers_timeout: Option<Duration>,
    /// Limit from there to its first event, likewise.
    pub first_token_timeout: Option<Duration>,
    /// Longest silence between two pieces of an answer, likewise.
    pub idle_timeout: Option<Duration>,
    /// Retries of a call, likewise.
    pub max_retries: Option<u32>,
    /// Limit of a whole call, waiting, retries and fallbacks included. That of an ensemble is in [`EnsembleSettings`].
    pub deadline: Option<Duration>,
    /// What is done where the model fails.
    pub rescue: Option<RescueSettings>,
}

/// What a configured name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// `provider/model`, or another configured name.
    Of(String),
    /// Several models.
    From(Combination),
}

/// How several models are one.
#[derive(Clone, Debug, PartialEq)]
pub enum Combination {
    /// The next answers where the one before fails.
    Fallback(Vec<String>),
    /// All are asked at once, the first answer wins.
    Race(Vec<String>),
    /// All are asked, and their answers become one.
    Ensemble(EnsembleSettings),
}

/// An ensemble as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleSettings {
    /// Models that are asked.
    pub members: Vec<String>,
    /// Answers of each of them.
    pub samples: NonZeroU32,
    /// How the answers become one.
    pub decider: DeciderSettings,
    /// Answers that are enough to decide.
    pub quorum: Option<NonZeroU32>,
    /// Time after which it is decided without those still missing.
    pub deadline: Option<Duration>,
    /// Members explain themselves to the decider.
    pub pass_reasoning: bool,
    /// Temperature of the decider.
    pub decision_maker_temperature: Option<f64>,
    /// Instruction of the decider in place of the built-in one.
    pub decision_maker_prompt: Option<String>,
}

/// How the answers of an ensemble become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeciderSettings {
    /// Nothing is said: the first member's model decides.
    #[default]
    Unsaid,
    /// A model selects or merges.
    Decide(String),
    /// A model selects.
    Judge(String),
    /// A model merges.
    Synthesize(String),
    /// A vote on these fields; on all of them where the list is empty.
    Vote(Vec<String>),
}

impl EnsembleSettings {
    /// So many samples of one model, everything else as usual.
    pub fn of_samples(samples: NonZeroU32, decider: DeciderSettings) -> Self {
        Self {
            members: Vec::new(),
            samples,
            decider,
            quorum: None,
            deadline: None,
            pass_reasoning: false,
            decision_maker_temperature: None,
            decision_maker_prompt: None,
        }
    }
}

impl DeciderSettings {
    /// The model that decides, where one is named.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Decide(model) | Self::Judge(model) | Self::Synthesize(model) => Some(model),
            Self::Unsaid | Self::Vote(_) => None,
        }
    }
}

impl Made {
    /// The names that it is made of, in their order; the decider's is not among them.
    pub fn parts(&self) -> &[String] {
        match self {
            Self::Of(name) => std::slice::from_ref(name),
            Self::From(combination) => combination.parts(),
        }
    }
}

impl Combination {
    /// As [`Made::parts`].
    pub fn parts(&self) -> &[String] {
        match self {
            Self::Fallback(names) | Self::Race(names) => names,
            Self::Ensemble(ensemble) => &ensemble.members,
        }
    }
}

/// The table as it is written.
#[derive(Default, Deserialize)]
struct ModelTable {
    #[serde(rename = "use")]
    target: Option<String>,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    connect_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    headers_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    first_token_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    idle_timeout: Option<Duration>,
    max_retries: Option<u32>,
    rescue: Option<String>,
    fallback: Option<Vec<String>>,
    race: Option<Vec<String>>,
    ensemble: Option<Vec<String>>,
    samples: Option<NonZeroU32>,
    judge: Option<String>,
    synthesize: Option<String>,
    decide: Option<String>,
    #[serde(default, deserialize_with = "fields")]
    vote: Option<Vec<String>>,
    quorum: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "duration")]
    deadline: Option<Duration>,
    pass_reasoning: Option<bool>,
    decision_maker_temperature: Option<f64>,
    decision_maker_prompt: Option<String>,
}

impl TryFrom<ModelTable> for ModelConfig {
    type Error = String;

    fn try_from(mut table: ModelTable) -> Result<Self, String> {
        table.check_durations()?;
        let lists = [
            ("fallback", table.fallback.take()),
            ("race", table.race.take()),
            ("ensemble", table.ensemble.take()),
        ];
        let mut lists = lists
            .into_iter()
            .filter_map(|(key, list)| Some((key, list?)));
        let list = lists.next();
        if let (Some((one, _)), Some((other, _))) = (&list, lists.next()) {
            return Err(format!(
                "a model is made in one way: `{one}` or `{other}`, not both; give one of them a name of its own"
            ));
        }
        // `use` comes first among the models of a chain or race
        let named = table.target.clone();
        let with_use = |mut names: Vec<String>| {
            names.splice(0..0, named);
            names
        };
        use Combination::{Ensemble, Fallback, Race};
        let made = match list {
            Some((key, names)) if names.is_empty() => {
                return Err(format!("`{key}` names no model"));
            }
            Some(("fallback", names)) => Made::From(Fallback(with_use(names))),
            Some(("race", names)) => Made::From(Race(with_use(names))),
            Some((_, names)) => Made::From(Ensemble(table.ensemble_of(with_use(names))?)),
            None => match table.target.clone() {
                None => {
                    return Err("a model needs `use`, `fallback`, `race` or `ensemble`".to_owned());
                }
                Some(name) if table.samples.is_some() => {
                    Made::From(Ensemble(table.ensemble_of(vec![name])?))
                }
                Some(name) => Made::Of(name),
            },
        };
        let is_ensemble = matches!(made, Made::From(Ensemble(_)));
        if !is_ensemble && let Some(key) = table.key_of_ensembles() {
            return Err(format!(
                "`{key}` belongs to a model with `ensemble` or `samples`"
            ));
        }
        Ok(Self {
            made,
            params: table.params,
            timeout: table.timeout,
            connect_timeout: table.connect_timeout,
            headers_timeout: table.headers_timeout,
            first_token_timeout: table.first_token_timeout,
            idle_timeout: table.idle_timeout,
            max_retries: table.max_retries,
            deadline: table.deadline.filter(|_| !is_ensemble),
            rescue: table.rescue.map(RescueSettings::try_from).transpose()?,
        })
    }
}

impl ModelTable {
    fn check_durations(&self) -> Result<(), String> {
        let limits = [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("headers_timeout", self.headers_timeout),
            ("first_token_timeout", self.first_token_timeout),
            ("idle_timeout", self.idle_timeout),
            ("deadline", self.deadline),
        ];
        match limits
            .iter()
            .find(|(_, limit)| *limit == Some(Duration::ZERO))
        {
            Some((key, _)) => Err(format!("`{key}` is 0; no call can end in no time")),
            None => Ok(()),
        }
    }

    fn ensemble_of(&self, members: Vec<String>) -> Result<EnsembleSettings, String> {
        let deciders = [
            self.decide.clone().map(DeciderSettings::Decide),
            self.judge.clone().map(DeciderSettings::Judge),
            self.synthesize.clone().map(DeciderSettings::Synthesize),
            self.vote.clone().map(DeciderSettings::Vote),
        ];
        let mut deciders = deciders.into_iter().flatten();
        let decider = deciders.next().unwrap_or_default();
        if deciders.next().is_some() {
            return Err(
                "an ensemble decides in one way: `decide`, `judge`, `synthesize` or `vote`"
                    .to_owned(),
            );
        }
        let samples = self.samples.unwrap_or(NonZeroU32::MIN);
        let asked = members.len() * samples.get() as usize;
        if let Some(quorum) = self.quorum
            && quorum.get() as usize > asked
        {
            return Err(format!(
                "`quorum` is {quorum}, but only {asked} answers are asked for"
            ));
        }
        if asked > MOST_MEMBERS {
            return Err(format!(
                "{asked} answers are asked for; {MOST_MEMBERS} are the most"
            ));
        }
        self.check_decision_maker(&decider)?;
        Ok(EnsembleSettings {
            members,
            samples,
            decider,
            quorum: self.quorum,
            deadline: self.deadline,
            pass_reasoning: self.pass_reasoning.unwrap_or(false),
            decision_maker_temperature: self.decision_maker_temperature,
            decision_maker_prompt: self.decision_maker_prompt.clone(),
        })
    }

    fn check_decision_maker(&self, decider: &DeciderSettings) -> Result<(), String> {
        let [temperature, prompt] = ["decision_maker_temperature", "decision_maker_prompt"];
        let set = self.decision_maker_temperature.map(|_| temperature);
        let set = set.or(self.decision_maker_prompt.as_ref().map(|_| prompt));
        if let (DeciderSettings::Vote(_), Some(key)) = (decider, set) {
            return Err(format!(
                "`{key}` has no effect on a `vote`, which asks no model; leave it out"
            ));
        }
        let is_blank = |text: &String| text.trim().is_empty();
        if self.decision_maker_prompt.as_ref().is_some_and(is_blank) {
            return Err(format!(
                "`{prompt}` is empty; leave it out for the usual instructions"
            ));
        }
        if let Some(temperature) = self.decision_maker_temperature
            && !(0.0..=2.0).contains(&temperature)
        {
            return Err(format!(
                "`decision_maker_temperature` is {temperature}; it goes from 0 to 2"
            ));
        }
        Ok(())
    }

    /// A key that only an ensemble has.
    fn key_of_ensembles(&self) -> Option<&'static str> {
        let keys = [
            ("judge", self.judge.is_some()),
            ("synthesize", self.synthesize.is_some()),
            ("decide", self.decide.is_some()),
            ("vote", self.vote.is_some()),
            ("quorum", self.quorum.is_some()),
            ("pass_reasoning", self.pass_reasoning.is_some()),
            (
                "decision_maker_temperature",
                self.decision_maker_temperature.is_some(),
            ),
            (
                "decision_maker_prompt",
                self.decision_maker_prompt.is_some(),
            ),
            ("samples", self.samples.is_some()),
        ];
        keys.into_iter()
            .find_map(|(key, is_set)| is_set.then_some(key))
    }
}

/// `"all"`, the name of a field, or a list of names.
fn fields<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`vote` is \"all\", a field or a list of fields")]
    enum Fields {
        One(String),
        Some(Vec<String>),
    }
    Ok(Some(match Fields::deserialize(value)? {
        Fields::One(all) if all == "all" => Vec::new(),
        Fields::One(field) => vec![field],
        Fields::Some(fields) => fields,
    }))
}
