//! A session that asks models which a program has for a while only: that of a client which is connected, for instance.

use std::{collections::BTreeMap, sync::Mutex};

use antiphon_core::SharedModel;

use super::{Session, SessionOptions, accounts::Accounts, cache::Shelf, lock};

impl Session {
    /// This session with these models beside its own, by the names after `given/`. It is made for a call or a few: what is
    /// dear to make is shared, so are the measurements and the budget. Accounts and answers are not: what was learned of
    /// one client's model says nothing of another's, and nobody shall read what another was told.
    ///
    /// Their calls are not retried: whoever brings a model knows when it is of use to ask again, and a person may have to
    /// agree to every call.
    pub(crate) fn lending(&self, given: BTreeMap<String, SharedModel>) -> Self {
        Self {
            config: self.config.clone(),
            options: SessionOptions {
                given,
                max_retries: Some(0),
                ..self.options.clone()
            },
            environment: self.environment.clone(),
            clock: self.clock.clone(),
            dice: self.dice.clone(),
            metrics: self.metrics.clone(),
            drain: self.drain.clone(),
            budget: self.budget.clone(),
            cache: Shelf::default(),
            catalog: Mutex::new(self.catalog().ok()),
            transport: Mutex::new(lock(&self.transport).clone()),
            accounts: Mutex::new(Accounts::default()),
            models: Mutex::default(),
            missing_keys: Mutex::default(),
            retiring: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use antiphon_core::SystemClock;
    use antiphon_sim::{SimConfig, SimModel};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Config, session::Wire};

    fn brought() -> BTreeMap<String, SharedModel> {
        let model = SimModel::new("client", SimConfig::default(), SystemClock::shared());
        BTreeMap::from([("client".to_owned(), Arc::new(model) as SharedModel)])
    }

    fn session(options: SessionOptions) -> Session {
        let config = Config::from_toml("default_model = \"sim/demo\"").unwrap();
        Session::new(config, options, &|_| None, CancellationToken::new())
    }

    #[test]
    fn a_brought_model_is_found_whatever_flags_pin() {
        for options in [
            SessionOptions::default(),
            SessionOptions {
                provider: Some("openai".to_owned()),
                ..SessionOptions::default()
            },
            SessionOptions {
                base_url: Some("http://127.0.0.1:1/v1".to_owned()),
                ..SessionOptions::default()
            },
        ] {
            let own = session(options);
            let lending = own.lending(brought());
            let resolved = lending.resolve("given/client", Wire::OpenAi).unwrap();
            assert_eq!(resolved.target, ["given", "", "client"]);
            assert!(Arc::ptr_eq(
                &own.catalog().unwrap(),
                &lending.catalog().unwrap()
            ));
        }
    }

    #[test]
    fn its_account_is_open_from_the_start() {
        let lending = session(SessionOptions::default()).lending(brought());
        lending.resolve("given/client", Wire::OpenAi).unwrap();
        let account = lending.accounts().remove(0);
        assert!(account.snapshot().limit >= 1000);
    }

    #[test]
    fn nobody_is_told_of_models_that_a_program_would_have_to_bring() {
        let lending = session(SessionOptions::default()).lending(brought());
        assert!(
            lending
                .model_names()
                .iter()
                .all(|name| !name.starts_with("given"))
        );
        let unknown = lending.resolve("givn/client", Wire::OpenAi).unwrap_err();
        assert!(!unknown.message().contains("given"), "{unknown}");
    }
}
