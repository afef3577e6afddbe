//! Several answers and one decision for a single call: what a caller says beside the name of a model.

use std::{sync::Arc, time::Duration};

use antiphon_core::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use super::{LONGEST_NAME, Resolved, Session, Wire, limits::CallLimits, names::StandsFor};
use crate::{
    config::{Combination, DeciderSettings, EnsembleSettings, Made, ModelConfig},
    nearest, parse_duration,
};

/// What a caller may say, in the words of a program's ensembles and of the configuration's.
const KEYS: [&str; 13] = [
    "num_processors",
    "pass_reasoning",
    "decision_maker_model",
    "decision_maker_temperature",
    "decision_maker_prompt",
    "decide",
    "judge",
    "synthesize",
    "vote",
    "quorum",
    "deadline",
    "timeout",
    "max_retries",
];

/// Keys that name a model.
const DECIDERS: [&str; 4] = ["decision_maker_model", "decide", "judge", "synthesize"];

/// How one call is to be answered.
#[derive(Clone, Debug)]
pub struct PerCall(Map<String, Value>);

impl PerCall {
    /// Reads what stands under `antiphon` in a request.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: it is no object, names a model at too great length, or has a key that does not exist, with
    /// the nearest that does.
    pub fn read(value: Value) -> Result<Self, Error> {
        let Value::Object(mut fields) = value else {
            return Err(refuse("it is no object".to_owned()));
        };
        fields.retain(|_, value| !value.is_null());
        for key in fields.keys() {
            if !KEYS.contains(&key.as_str()) {
                let hint = match nearest(key, KEYS) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("there are {}", KEYS.join(", ")),
                };
                let key = &key[..key.floor_char_boundary(LONGEST_NAME)];
                return Err(refuse(format!("there is no {key:?}; {hint}")));
            }
        }
        for key in DECIDERS {
            let name = fields.get(key).and_then(Value::as_str).unwrap_or_default();
            if name.len() > LONGEST_NAME {
                return Err(refuse(format!(
                    "`{key}` is a name of {} bytes; names of models have {LONGEST_NAME} at most",
                    name.len()
                )));
            }
        }
        if let Some(model) = fields.shift_remove("decision_maker_model") {
            fields.entry("decide").or_insert(model);
        }
        Ok(Self(fields))
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest that the caller waits, where an answer is to be had whole.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: it is no duration.
    pub fn deadline(&self) -> Result<Option<Duration>, Error> {
        let Some(deadline) = self.0.get("deadline") else {
            return Ok(None);
        };
        let text = deadline
            .as_str()
            .map_or_else(|| format!("{deadline}s"), str::to_owned);
        let deadline = parse_duration(&text).map_err(|why| refuse(format!("deadline: {why}")))?;
        match deadline.is_zero() {
            true => Err(refuse(
                "`deadline` is 0; no call can end in no time".to_owned(),
            )),
            false => Ok(Some(deadline)),
        }
    }

    /// Whether nothing but its end is said.
    fn is_only_deadline(&self) -> bool {
        self.0.keys().all(|key| key == "deadline")
    }

    /// The models that it names.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let named = DECIDERS.iter().filter_map(|key| self.0.get(*key));
        named.filter_map(Value::as_str)
    }
}

impl Session {
    /// The model behind a name, for one call that says how it is to be answered: an ensemble with these settings over its
    /// own, or so many samples of any other model.
    ///
    /// # Errors
    /// As [`Session::resolve`], and [`ErrorKind::BadRequest`] for settings that cannot work.
    pub fn resolve_for(
        &self,
        name: &str,
        wire: Wire,
        per_call: &PerCall,
    ) -> Result<Arc<Resolved>, Error> {
        if per_call.is_empty() {
            return self.resolve(name, wire);
        }
        let mut path = Vec::new();
        let followed = self.follow(name, wire, CallLimits::default(), &mut path)?;
        let configured = match followed.stands_for {
            StandsFor::Combination(Combination::Ensemble(settings)) => Some(settings),
            // every call may have an end
            _ if per_call.is_only_deadline() => return self.resolve(name, wire),
            _ => None,
        };
        // a name that is no ensemble is itself a member: its path begins anew
        let path = match configured {
            Some(_) => path,
            None => Vec::new(),
        };
        let wanted = wanted(name, configured, &per_call.0)?;
        let Made::From(Combination::Ensemble(settings)) = &wanted.made else {
            return Err(refuse("it makes no ensemble".to_owned()));
        };
        let limits = CallLimits::of(&wanted).or(followed.limits);
        let members = self.parts(&settings.members, wire, limits, &path)?;
        let mut resolved = self.ensemble(name, members, settings, wire, &path)?;
        // a member that is the name itself has its deadline and parameters
        let deadline = followed.deadline.filter(|_| configured.is_some());
        resolved.model = self.within(resolved.model, deadline);
        resolved.decides_by_deadline = per_call.0.contains_key("deadline");
        if configured.is_some() {
            resolved.params = followed.params;
        }
        Ok(Arc::new(resolved))
    }
}

/// The call's settings over the configured ones, as a model of the configuration, which refuses what cannot work.
fn wanted(
    name: &str,
    configured: Option<&EnsembleSettings>,
    said: &Map<String, Value>,
) -> Result<ModelConfig, Error> {
    let mut table = configured.map_or_else(Map::new, table_of);
    let mut said = said.clone();
    let members = match configured {
        Some(settings) => settings.members.clone(),
        None => vec![name.to_owned()],
    };
    let samples = configured.map_or(1, |settings| u64::from(settings.samples.get()));
    let number = match said.shift_remove("num_processors") {
        Some(number) => number
            .as_u64()
            .filter(|number| *number > 0)
            .ok_or_else(|| {
                refuse(format!(
                    "num_processors is {number}; it is a number of answers, from 1 on"
                ))
            })?,
        None if configured.is_some() => members.len() as u64 * samples,
        None => {
            let message =
                format!("{name} is no ensemble: say num_processors, the number of its answers");
            return Err(refuse(message));
        }
    };
    // more than the most is refused with its number below
    let seats = members.iter().cycle().take(number.min(10_000) as usize);
    table.insert("ensemble".to_owned(), seats.cloned().collect());
    if DECIDERS
        .iter()
        .chain(&["vote"])
        .any(|key| said.contains_key(*key))
    {
        DECIDERS
            .iter()
            .chain(&["vote"])
            .for_each(|key| drop(table.shift_remove(*key)));
    }
    for (key, value) in said {
        let is_time = ["deadline", "timeout"].contains(&key.as_str());
        let value = match value {
            // programs say seconds
            Value::Number(seconds) if is_time => json!(format!("{seconds}s")),
            value => value,
        };
        table.insert(key, value);
    }
    serde_json::from_value(Value::Object(table)).map_err(|error| refuse(error.to_string()))
}

/// A configured ensemble as its table, without its members.
fn table_of(settings: &EnsembleSettings) -> Map<String, Value> {
    let mut table = Map::new();
    let (key, value) = match &settings.decider {
        DeciderSettings::Unsaid => ("decide", Value::Null),
        DeciderSettings::Decide(model) => ("decide", json!(model)),
        DeciderSettings::Judge(model) => ("judge", json!(model)),
        DeciderSettings::Synthesize(model) => ("synthesize", json!(model)),
        DeciderSettings::Vote(fields) if fields.is_empty() => ("vote", json!("all")),
        DeciderSettings::Vote(fields) => ("vote", json!(fields)),
    };
    let deadline = settings
        .deadline
        .map(|deadline| format!("{}ms", deadline.as_millis()));
    let pairs = [
        (key, value),
        ("quorum", json!(settings.quorum)),
        ("deadline", json!(deadline)),
        ("pass_reasoning", json!(settings.pass_reasoning)),
        (
            "decision_maker_temperature",
            json!(settings.decision_maker_temperature),
        ),
        (
            "decision_maker_prompt",
            json!(settings.decision_maker_prompt),
        ),
    ];
    for (key, value) in pairs {
        if !value.is_null() && value != false {
            table.insert(key.to_owned(), value);
        }
    }
    table
}

fn refuse(message: String) -> Error {
    Error::new(
        ErrorKind::BadRequest,
        format!("`antiphon` of the request: {message}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [models.panel]
        ensemble = ["sim/a", "sim/b"]
        vote = "all"
        params = { temperature = 0.5 }
        [models.fast]
        use = "sim/fast"
        [models.safe]
        fallback = ["panel", "fast"]
        [models.quick]
        race = ["panel", "fast"]
    "#;

    fn asked(name: &str, said: Value) -> Result<Arc<Resolved>, Error> {
        let session = Session::from_toml(CONFIG).unwrap();
        session.resolve_for(name, Wire::OpenAi, &PerCall::read(said)?)
    }

    #[test]
    fn any_model_becomes_an_ensemble_of_so_many_samples() {
        let five = asked("fast", json!({"num_processors": 5, "pass_reasoning": true})).unwrap();
        assert_eq!((five.width, five.is_made_of_parts), (5, true));
        let voted = asked("sim/x", json!({"num_processors": 3, "vote": "all"})).unwrap();
        assert_eq!(voted.width, 3);
    }

    #[test]
    fn a_configured_ensemble_keeps_what_the_call_does_not_say() {
        let session = Session::from_toml(CONFIG).unwrap();
        let usual = session.resolve("panel", Wire::OpenAi).unwrap();
        let same = asked("panel", json!({"deadline": 5})).unwrap();
        assert_eq!((same.width, &same.params), (usual.width, &usual.params));
        assert!(same.target[1].contains("Vote"), "{:?}", same.target);
        let judged = asked("panel", json!({"num_processors": 5, "judge": "fast"})).unwrap();
        assert_eq!(judged.width, 5);
        assert!(judged.target[1].contains("Judge"), "{:?}", judged.target);
    }

    #[test]
    fn only_an_ensemble_itself_decides_by_the_deadline_of_a_call() {
        let decides = |name, said| asked(name, said).unwrap().decides_by_deadline;
        assert!(decides("panel", json!({"deadline": 5})));
        assert!(decides("fast", json!({"deadline": 5, "num_processors": 2})));
        assert!(!decides("panel", json!({"num_processors": 2})));
        for name in ["fast", "safe", "quick"] {
            assert!(!decides(name, json!({"deadline": 5})), "{name}");
        }
    }

    #[test]
    fn what_cannot_work_is_told_with_what_can() {
        let cases = [
            (json!([]), "no object"),
            (
                json!({"num_procesors": 5}),
                "did you mean \"num_processors\"?",
            ),
            (json!({"num_processors": 0}), "from 1 on"),
            (json!({"num_processors": 101}), "are the most"),
            (json!({"pass_reasoning": true}), "say num_processors"),
            (json!({"num_processors": 2, "quorum": 3}), "quorum"),
            (
                json!({"num_processors": 2, "judge": "fast", "vote": "all"}),
                "one way",
            ),
            (json!({"num_processors": 2, "deadline": -1}), "no duration"),
            (json!({"judge": "j".repeat(257)}), "257 bytes"),
            (
                json!({"decision_maker_model": "j".repeat(257)}),
                "257 bytes",
            ),
        ];
        for (said, expected) in cases {
            let error = asked("sim/x", said.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadRequest);
            assert!(error.message().contains(expected), "{said}: {error}");
        }
        let longest = format!("sim/{}", "j".repeat(252));
        let judged = asked("sim/x", json!({"num_processors": 2, "judge": longest}));
        assert_eq!(judged.unwrap().width, 2);
        assert_eq!(asked("sim/x", json!({})).unwrap().width, 1);
        assert_eq!(asked("sim/x", json!({"deadline": 5})).unwrap().width, 1);
    }
}
