//! What an ensemble is told, and what is refused.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Error, ErrorKind};

/// More members than this is a slip of the keyboard, and each of them is paid for.
pub const MOST_MEMBERS: usize = 100;

/// A longer limit is none.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of an [`Ensemble`](super::Ensemble). Names and defaults are those that users of such tools know.
///
/// As JSON or TOML every field may be left out, `timeout` is a number of seconds, and `log_level` is `DEBUG`, `INFO`,
/// `WARNING`, `ERROR` or `CRITICAL`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnsembleConfig {
    /// How many members are asked, 1 to 100. Of given models the first so many; where there are fewer models than
    /// members they go round again.
    pub num_processors: usize,
    /// The longest that one try of a member or the decision maker may take, waiting for its turn included. `None`: only
    /// the models' own limits.
    #[serde(serialize_with = "to_seconds", deserialize_with = "from_seconds")]
    pub timeout: Option<Duration>,
    /// How often a failed member or decision maker is asked again. Attempts that a model's own stack made count, so
    /// retries never multiply.
    pub max_retries: u32,
    /// The model that decides, by the name under which the directory knows it.
    pub decision_maker_model: String,
    /// Its temperature, 0 to 2.
    pub decision_maker_temperature: f64,
    /// What it is told in place of the usual task; how it must write its decision is always added.
    pub decision_maker_prompt: Option<String>,
    /// Members write their reasoning before the answer and the decision maker reads it. It is never in the result.
    pub pass_reasoning: bool,
    /// Whether calls are told to `tracing` (target `antiphon::ensemble`), without prompts and answers.
    pub enable_logging: bool,
    /// What is told: events of this level and above.
    pub log_level: LogLevel,
}

impl Default for EnsembleConfig {
    fn default() -> Self {
        Self {
            num_processors: 3,
            timeout: Some(Duration::from_secs(30)),
            max_retries: 2,
            decision_maker_model: "gpt-4o-mini".to_owned(),
            decision_maker_temperature: 0.1,
            decision_maker_prompt: None,
            pass_reasoning: false,
            enable_logging: true,
            log_level: LogLevel::Info,
        }
    }
}

impl EnsembleConfig {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn validate(&self) -> Result<(), EnsembleError> {
        if self.num_processors == 0 || self.num_processors > MOST_MEMBERS {
            return Err(EnsembleError::NumProcessors(self.num_processors));
        }
        if let Some(timeout) = self.timeout
            && (timeout.is_zero() || timeout > LONGEST_TIMEOUT)
        {
            return Err(EnsembleError::Timeout(timeout));
        }
        if !(0.0..=2.0).contains(&self.decision_maker_temperature) {
            let temperature = self.decision_maker_temperature;
            return Err(EnsembleError::Temperature(temperature));
        }
        if self.decision_maker_model.trim().is_empty() {
            return Err(EnsembleError::DecisionMakerModel);
        }
        let prompt = self.decision_maker_prompt.as_deref();
        if prompt.is_some_and(|prompt| prompt.trim().is_empty()) {
            return Err(EnsembleError::DecisionMakerPrompt);
        }
        Ok(())
    }
}

/// How important an event must be to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// Each member's answer.
    Debug,
    /// Each decision.
    Info,
    /// Failed members and decisions.
    Warning,
    /// Calls without any answer.
    Error,
    /// Nothing that an ensemble tells is above an error, so nothing.
    Critical,
}

/// Why an ensemble cannot be made or changed in this way.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EnsembleError {
    /// There is nobody to ask.
    NoMembers,
    /// `num_processors` is out of range.
    NumProcessors(usize),
    /// `timeout` is out of range.
    Timeout(Duration),
    /// `decision_maker_temperature` is out of range.
    Temperature(f64),
    /// `decision_maker_model` is empty.
    DecisionMakerModel,
    /// `decision_maker_prompt` is empty.
    DecisionMakerPrompt,
    /// A name cannot be looked up.
    NoDirectory(String),
    /// A vote has no decision maker whose settings could be changed.
    Vote,
    /// The members of the ensemble are given models, not names.
    GivenMembers,
    /// The ensemble is asked as a model and nobody said which model its members are.
    NoMemberModel,
    /// The root of the schema is no object.
    SchemaNotObject,
}

impl fmt::Display for EnsembleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMembers => f.write_str("an ensemble needs at least one member"),
            Self::NumProcessors(number) => write!(
                f,
                "num_processors is {number}; it must be from 1 to {MOST_MEMBERS}"
            ),
            Self::Timeout(timeout) => write!(
                f,
                "timeout is {timeout:?}; it must be above 0 and at most a day, or left out for no limit"
            ),
            Self::Temperature(temperature) => write!(
                f,
                "decision_maker_temperature is {temperature}; it must be from 0 to 2"
            ),
            Self::DecisionMakerModel => {
                f.write_str("decision_maker_model is empty; name a model, for example gpt-4o-mini")
            }
            Self::DecisionMakerPrompt => f.write_str(
                "decision_maker_prompt is empty; leave it out for the usual instructions",
            ),
            Self::NoDirectory(name) => write!(
                f,
                "the model {name:?} cannot be looked up: the ensemble has no directory; give it one with with_directory"
            ),
            Self::Vote => f.write_str(
                "the ensemble decides by vote, so decision_maker settings would have no effect",
            ),
            Self::GivenMembers => f.write_str(
                "the members of this ensemble are given models; ask it as a model, or make it with from_directory",
            ),
            Self::NoMemberModel => f.write_str(
                "no model is named for the members; use parse with a model, or with_member_model",
            ),
            Self::SchemaNotObject => f.write_str(
                "the root of the schema is not an object; put it under a property of {\"type\": \"object\"}",
            ),
        }
    }
}

impl std::error::Error for EnsembleError {}

impl From<EnsembleError> for Error {
    fn from(error: EnsembleError) -> Self {
        Self::new(ErrorKind::BadRequest, error.to_string()).with_source(error)
    }
}

fn to_seconds<S: Serializer>(timeout: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    timeout.map(|timeout| timeout.as_secs_f64()).serialize(to)
}

fn from_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(from)?;
    seconds
        .map(|seconds| {
            Duration::try_from_secs_f64(seconds).map_err(|_| {
                D::Error::custom(format!("timeout is {seconds}; it is a number of seconds"))
            })
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_defaults_are_the_known_ones() {
        let known = json!({
            "num_processors": 3, "timeout": 30.0, "max_retries": 2, "decision_maker_model": "gpt-4o-mini",
            "decision_maker_temperature": 0.1, "decision_maker_prompt": null, "pass_reasoning": false,
            "enable_logging": true, "log_level": "INFO"
        });
        let config = EnsembleConfig::default();
        assert_eq!(serde_json::to_value(&config).unwrap(), known);
        assert_eq!(
            serde_json::from_value::<EnsembleConfig>(known).unwrap(),
            config
        );
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn some_fields_may_be_given_and_unknown_ones_may_not() {
        let some = json!({"num_processors": 5, "timeout": 0.25, "log_level": "WARNING"});
        let config: EnsembleConfig = serde_json::from_value(some).unwrap();
        assert_eq!(
            (config.num_processors, config.timeout, config.log_level),
            (5, Some(Duration::from_millis(250)), LogLevel::Warning)
        );
        for wrong in [
            json!({"num_procesors": 5}),
            json!({"timeout": -1}),
            json!({"log_level": "loud"}),
        ] {
            assert!(serde_json::from_value::<EnsembleConfig>(wrong).is_err());
        }
    }

    #[test]
    fn what_cannot_work_is_named() {
        let of = EnsembleConfig::default;
        let wrong = [
            (
                EnsembleConfig {
                    num_processors: 0,
                    ..of()
                },
                "num_processors is 0",
            ),
            (
                EnsembleConfig {
                    num_processors: 101,
                    ..of()
                },
                "num_processors is 101",
            ),
            (
                EnsembleConfig {
                    timeout: Some(Duration::ZERO),
                    ..of()
                },
                "timeout is 0ns",
            ),
            (
                EnsembleConfig {
                    timeout: Some(Duration::MAX),
                    ..of()
                },
                "at most a day",
            ),
            (
                EnsembleConfig {
                    decision_maker_temperature: 2.1,
                    ..of()
                },
                "temperature is 2.1",
            ),
            (
                EnsembleConfig {
                    decision_maker_temperature: f64::NAN,
                    ..of()
                },
                "temperature is NaN",
            ),
            (
                EnsembleConfig {
                    decision_maker_model: " ".to_owned(),
                    ..of()
                },
                "model is empty",
            ),
            (
                EnsembleConfig {
                    decision_maker_prompt: Some(String::new()),
                    ..of()
                },
                "prompt is empty",
            ),
        ];
        for (config, message) in wrong {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
