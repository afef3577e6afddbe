//! Which providers a session can ask.

use antiphon_core::{Error, ErrorKind};
use antiphon_providers::dialects;

use super::{SIM, Session, names::Plain, slips::names_in};

impl Session {
    /// Whether any provider but the simulated one can be asked.
    pub(super) fn reaches_providers(&self) -> bool {
        self.in_reach().next().is_some()
    }

    /// Providers that can be asked, but for the simulated one: they have their key, or are where none is needed.
    pub(crate) fn in_reach(&self) -> impl Iterator<Item = &str> {
        let is_set =
            move |variable: Option<&str>| variable.is_some_and(|name| self.env(name).is_some());
        let known = dialects::PROVIDERS
            .iter()
            .filter(move |known| is_set(known.key_env) || is_set(known.base_url_env))
            .map(|known| known.name);
        let configured = self.config.settings.providers.keys().map(String::as_str);
        let real = known.chain(configured.filter(|name| *name != SIM));
        real.filter(|provider| {
            let plain = Plain {
                provider: (*provider).to_owned(),
                model: String::new(),
                is_bare: false,
            };
            self.endpoint(&plain).is_ok()
        })
    }

    /// Whether the configuration wants the simulated provider.
    fn wants_sim(&self) -> bool {
        let settings = &self.config.settings;
        let is_sim = |name: &str| {
            name.split_once('/')
                .is_some_and(|(provider, _)| provider == SIM)
        };
        settings.providers.contains_key(SIM)
            || settings.default_model.as_deref().is_some_and(is_sim)
            || settings.models.values().flat_map(names_in).any(is_sim)
    }

    /// Whether nothing but the simulated provider answers, and nobody said that it should.
    pub fn lacks_providers(&self) -> bool {
        !self.wants_sim() && !self.reaches_providers()
    }

    /// Refuses the simulated provider to callers of a gateway to real ones, who would take what it makes up for answers.
    pub(super) fn check_sim(&self, model: &str) -> Result<(), Error> {
        if !self.options.failover || self.wants_sim() || !self.reaches_providers() {
            return Ok(());
        }
        let message = format!(
            "no model is called {:?}: beside real providers the simulated one answers only where the configuration has [providers.sim]",
            format!("{SIM}/{model}")
        );
        Err(Error::new(ErrorKind::ModelNotFound, message))
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use crate::{
        Config,
        session::{Session, SessionOptions, Wire},
    };

    fn gateway(toml: &str, variables: &'static [&'static str]) -> Session {
        let options = SessionOptions {
            failover: true,
            ..SessionOptions::default()
        };
        let env = move |name: &str| {
            variables
                .contains(&name)
                .then(|| "http://127.0.0.1:1".to_owned())
        };
        let config = Config::from_toml(toml).unwrap();
        Session::new(config, options, &env, CancellationToken::new())
    }

    const LOCAL: &str = "[providers.local]\nbase_url = \"http://127.0.0.1:1/v1\"\n";
    const KEYED: &str =
        "[providers.far]\nbase_url = \"https://far.example/v1\"\napi_key_env = \"FAR_KEY\"\n";

    #[test]
    fn the_simulated_provider_answers_where_it_is_wanted_or_alone() {
        let with = |toml: &str| format!("{LOCAL}{toml}");
        for (toml, variables, answers, lacks) in [
            (String::new(), &[][..], true, true),
            (KEYED.to_owned(), &[], true, true),
            (KEYED.to_owned(), &["FAR_KEY"], false, false),
            (String::new(), &["OPENAI_API_KEY"], false, false),
            (String::new(), &["ANTHROPIC_BASE_URL"], false, false),
            (LOCAL.to_owned(), &[], false, false),
            ("[providers.sim]\nseed = 3\n".to_owned(), &[], true, false),
            (with("[providers.sim]\nseed = 3\n"), &[], true, false),
            (with("[models.a]\nuse = \"sim/a\"\n"), &[], true, false),
            (
                with("[models.a]\nensemble = [\"local/a\", \"local/b\"]\njudge = \"sim/j\"\n"),
                &[],
                true,
                false,
            ),
            (with("[models.a]\nuse = \"local/a\"\n"), &[], false, false),
        ] {
            let session = gateway(&toml, variables);
            let resolved = session.resolve("sim/demo", Wire::OpenAi);
            assert_eq!(resolved.is_ok(), answers, "{toml}{variables:?}");
            assert_eq!(session.lacks_providers(), lacks, "{toml}{variables:?}");
            if let Err(error) = resolved {
                assert_eq!(error.kind(), antiphon_core::ErrorKind::ModelNotFound);
            }
        }
        let job = Session::from_toml(LOCAL).unwrap();
        assert!(job.resolve("sim/demo", Wire::OpenAi).is_ok());
    }
}
