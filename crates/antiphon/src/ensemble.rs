//! Ensembles over the models of a session.

use std::sync::Arc;

use antiphon_core::patterns::ensemble::{Ensemble, EnsembleConfig, EnsembleError};
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    env::{self, Lookup},
    session::{Session, SessionOptions},
};

/// The variable that a key stands for.
const KEY: &str = "OPENAI_API_KEY";

/// An ensemble over the models of OpenAI, paid with this key, which stands for `OPENAI_API_KEY`. Other variables
/// (`OPENAI_BASE_URL`, proxies, keys of other providers) are read from the environment; no configuration file is.
///
/// Models are named as everywhere: `gpt-4o-mini`, or with a provider, `anthropic/claude-haiku-4-5`. Members are samples
/// of the model that [`Ensemble::parse`] names; `decision_maker_model` decides. Timeouts and retries are those of the
/// settings alone.
///
/// ```
/// use antiphon::{core::patterns::ensemble::EnsembleConfig, create_ensemble};
///
/// let config = EnsembleConfig { num_processors: 5, ..EnsembleConfig::default() };
/// let ensemble = create_ensemble("sk-…", config)?;
/// ensemble.reconfigure(|config| config.pass_reasoning = true)?;
/// # Ok::<(), antiphon::core::patterns::ensemble::EnsembleError>(())
/// ```
///
/// # Errors
/// The settings cannot work. A model that cannot be called is an error of the call that names it.
pub fn create_ensemble(key: &str, config: EnsembleConfig) -> Result<Ensemble, EnsembleError> {
    create_ensemble_in(&env::process, key, config)
}

/// [`create_ensemble`] in another environment than the process's own.
///
/// # Errors
/// As there.
pub fn create_ensemble_in(
    env: Lookup<'_>,
    key: &str,
    config: EnsembleConfig,
) -> Result<Ensemble, EnsembleError> {
    let with_key = |name: &str| match name {
        KEY => Some(key.to_owned()).filter(|key| !key.is_empty()),
        name => env(name),
    };
    let options = SessionOptions {
        // retries are the ensemble's, whose settings may change at any time
        max_retries: Some(0),
        ..SessionOptions::default()
    };
    let stop = CancellationToken::new();
    let session = Session::new(Config::default(), options, &with_key, stop);
    Ensemble::from_directory(Arc::new(session), config)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use antiphon_core::{
        Advice, BoxFuture, Clock, ErrorKind, Message, Moment, Schema, SystemClock, chat::Role,
    };
    use antiphon_sim::{RunningSim, SimConfig, SimServer, Simulator};
    use serde_json::{Map, json};

    use super::*;

    async fn sim(fail: &[&str]) -> RunningSim {
        let config = SimConfig {
            fail: fail.iter().map(|fault| fault.parse().unwrap()).collect(),
            keys: Some(vec!["sk-test".to_owned()]),
            ..SimConfig::default()
        };
        let simulator = Simulator::new(config, SystemClock::shared());
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        SimServer::bind(address, simulator).await.unwrap().spawn()
    }

    fn ensemble(sim: &RunningSim, config: EnsembleConfig) -> Ensemble {
        let url = format!("{}/v1", sim.url());
        let env = move |name: &str| (name == "OPENAI_BASE_URL").then(|| url.clone());
        create_ensemble_in(&env, "sk-test", config).unwrap()
    }

    fn question() -> Vec<Message> {
        vec![Message::text(Role::User, "how good is it?")]
    }

    fn schema() -> Schema {
        let own = json!({
            "type": "object", "required": ["score", "parts"], "additionalProperties": false,
            "properties": {
                "score": {"$ref": "#/$defs/score"},
                "parts": {"type": "array", "maxItems": 2, "items": {"$ref": "#"}}
            },
            "$defs": {"score": {"type": "integer", "minimum": 1, "maximum": 10}}
        });
        Schema::new(own).unwrap()
    }

    #[tokio::test]
    async fn a_key_is_all_it_takes() {
        let sim = sim(&[]).await;
        let ensemble = ensemble(&sim, EnsembleConfig::default());
        for pass_reasoning in [false, true] {
            ensemble
                .reconfigure(|config| config.pass_reasoning = pass_reasoning)
                .unwrap();
            let parsed = ensemble.parse("gpt-4o", question(), schema(), Map::new());
            let parsed = parsed.await.unwrap();
            assert_eq!(schema().validate(&parsed.value), Ok(()));
            let gathered = parsed.reply.head.gathered.unwrap();
            assert_eq!(gathered.members.len(), 3);
            assert!(
                gathered
                    .members
                    .iter()
                    .all(|one| one.model == "openai/gpt-4o")
            );
            let decision = gathered.decision.unwrap();
            assert_eq!((decision.by.as_str(), decision.failure), ("decide", None));
            let decider = decision.decider.unwrap();
            assert_eq!(decider.model, "openai/gpt-4o-mini");
            assert!(parsed.reply.answer.usage().unwrap().total() > 0);
        }
        assert_eq!(sim.simulator().ledger().report().asked, 8);
        sim.stop().await;
    }

    /// Does not wait.
    #[derive(Debug)]
    struct Hurried(SystemClock);

    impl Clock for Hurried {
        fn now(&self) -> Moment {
            self.0.now()
        }
        fn wall(&self) -> std::time::SystemTime {
            self.0.wall()
        }
        fn sleep_until(&self, _: Moment) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test]
    async fn retries_are_those_of_the_settings() {
        let sim = sim(&["500=1"]).await;
        let ensemble = ensemble(
            &sim,
            EnsembleConfig {
                num_processors: 1,
                max_retries: 0,
                timeout: None,
                ..EnsembleConfig::default()
            },
        )
        .with_clock(Arc::new(Hurried(SystemClock::new())));
        let asked = async || {
            let parsed = ensemble.parse("gpt-4o", question(), schema(), Map::new());
            let error = parsed.await.unwrap_err();
            assert_eq!(
                (error.kind(), error.advice()),
                (ErrorKind::ServerError, Advice::Retry)
            );
            let asked = sim.simulator().ledger().report().asked;
            sim.simulator().ledger().reset();
            asked
        };
        assert_eq!(asked().await, 1);
        ensemble
            .reconfigure(|config| config.max_retries = 1)
            .unwrap();
        assert_eq!(asked().await, 2);
    }

    #[tokio::test]
    async fn without_a_key_the_variable_is_named() {
        let ensemble = create_ensemble_in(&|_| None, "", EnsembleConfig::default()).unwrap();
        let parsed = ensemble.parse("gpt-4o", question(), schema(), Map::new());
        let error = parsed.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(error.message().contains("OPENAI_API_KEY"), "{error}");
    }
}
