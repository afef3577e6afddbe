//! A session that goes on under another configuration, as a server that reads its own again needs it.

use std::{fmt::Debug, sync::Mutex};

use antiphon_core::{Error, ErrorKind};

use super::{Session, SessionOptions, Wire, lock};
use crate::{Config, config::KeySettings, env::Lookup};

impl Session {
    /// This session under another configuration. What has been measured goes on, so do the connections, the cache, the
    /// budget, and the accounts whose limits have not changed: what was learned of them, their pauses, their health.
    /// Models that were handed out before stay as they are.
    ///
    /// # Errors
    /// A configured model cannot work: it names a provider that does not exist, or itself. This session is not changed.
    pub fn continued(
        &self,
        config: Config,
        options: SessionOptions,
        env: Lookup<'_>,
    ) -> Result<Self, Error> {
        let mut next = Self::new(config, options, env, self.drain.clone());
        next.clock = self.clock.clone();
        next.dice = self.dice.clone();
        next.metrics = self.metrics.clone();
        next.cache = self.cache.shared();
        if next.options.budget == self.options.budget {
            next.budget.clone_from(&self.budget);
        }
        let of_process = |session: &Self| {
            let names = crate::env::VARIABLES.iter();
            let values = names.map(|variable| session.env(variable.name).map(str::to_owned));
            values.collect::<Vec<_>>()
        };
        // proxies and certificates are the environment's
        if of_process(&next) == of_process(self) {
            next.transport = Mutex::new(lock(&self.transport).clone());
        }
        next.accounts = Mutex::new(lock(&self.accounts).bequeathed());
        next.check()?;
        let known: Vec<(String, Wire)> = lock(&self.models).keys().cloned().collect();
        for (name, wire) in known {
            // one that was removed is not found any more
            let _removed = next.resolve(&name, wire);
        }
        Ok(next)
    }

    /// Whether all configured models can work. Keys may be missing: such a model says so when it is asked.
    ///
    /// # Errors
    /// One cannot; the message names it.
    pub fn check(&self) -> Result<(), Error> {
        self.catalog()?;
        for (name, model) in &self.config.settings.models {
            let parts = self.check_parts(model);
            match parts.and_then(|()| self.resolve(name, Wire::OpenAi)) {
                Err(error) if error.kind() != ErrorKind::Auth => {
                    let message = format!("models.{name}: {}", error.message());
                    return Err(Error::new(error.kind(), message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What is configured otherwise than in another session, in one line for people.
    pub fn changes_since(&self, before: &Self) -> String {
        let (new, old) = (&self.config.settings, &before.config.settings);
        let kinds = [
            changes("model", entries(&new.models), entries(&old.models)),
            changes("provider", entries(&new.providers), entries(&old.providers)),
            changes("key", keys(&new.keys), keys(&old.keys)),
        ];
        let mut told: Vec<String> = kinds.into_iter().flatten().collect();
        if new.default_model != old.default_model {
            told.push("default_model changed".to_owned());
        }
        match told.is_empty() {
            true => "no model, provider or key changed".to_owned(),
            false => told.join("; "),
        }
    }
}

/// Names and what they stand for, as text that is only compared.
fn entries<'a, V: Debug + 'a>(
    map: impl IntoIterator<Item = (&'a String, &'a V)>,
) -> Vec<(&'a str, String)> {
    let entries = map.into_iter();
    entries
        .map(|(name, value)| (name.as_str(), format!("{value:?}")))
        .collect()
}

/// Keys by their names, and all that is said of them but where: another line changes nothing.
fn keys(keys: &[KeySettings]) -> Vec<(&str, String)> {
    let said = |key: &KeySettings| {
        let hash = key.key_sha256.as_ref().map(|hash| hash.0);
        let may = (&key.models, key.admin, key.rpm, key.tpm);
        format!("{:?}", (&key.key_env, hash, may, key.budget_usd_per_day))
    };
    keys.iter()
        .map(|key| (key.name.as_str(), said(key)))
        .collect()
}

fn changes(what: &str, new: Vec<(&str, String)>, old: Vec<(&str, String)>) -> Vec<String> {
    let value = |entries: &[(&str, String)], name: &str| {
        let found = entries.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let names = |entries: &[(&str, String)], keep: &dyn Fn(&str, &str) -> bool| {
        let kept = entries.iter().filter(|(name, value)| keep(name, value));
        let names: Vec<String> = kept.map(|(name, _)| (*name).to_owned()).collect();
        names.join(", ")
    };
    let added = names(&new, &|name, _| value(&old, name).is_none());
    let removed = names(&old, &|name, _| value(&new, name).is_none());
    let changed = names(&new, &|name, now| {
        value(&old, name).is_some_and(|before| before != now)
    });
    let lists = [("added", added), ("removed", removed), ("changed", changed)];
    let told = lists.into_iter().filter(|(_, names)| !names.is_empty());
    told.map(|(how, names)| format!("{what}s {how}: {names}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;

    const TWO: &str = "[providers.local]\nbase_url = \"http://127.0.0.1:1/v1\"\nrpm = 60\n[models.a]\nuse = \"local/x\"\n";

    fn config(toml: &str) -> Config {
        Config::from_toml(toml).unwrap()
    }

    fn session(toml: &str) -> Session {
        let drain = CancellationToken::new();
        Session::new(config(toml), SessionOptions::default(), &|_| None, drain)
    }

    fn continued(session: &Session, toml: &str) -> Result<Session, Error> {
        session.continued(config(toml), SessionOptions::default(), &|_| None)
    }

    #[test]
    fn accounts_with_the_same_limits_go_on_and_others_begin_anew() {
        let first = session(TWO);
        assert_eq!(first.accounts().len(), 0);
        first.resolve("a", Wire::OpenAi).unwrap();
        let account = first.accounts().remove(0);
        let more = format!("{TWO}[models.b]\nuse = \"local/y\"\n");
        let second = continued(&first, &more).unwrap();
        assert!(Arc::ptr_eq(first.metrics(), second.metrics()));
        // b is checked, too, and has an account of its own
        let goes_on = |session: &Session| {
            let accounts = session.accounts();
            accounts.iter().any(|known| Arc::ptr_eq(known, &account))
        };
        assert!(goes_on(&second) && second.accounts().len() == 2);
        let unused = continued(&second, "").unwrap();
        assert!(!goes_on(&unused));
        assert!(
            goes_on(&continued(&unused, TWO).unwrap()),
            "through a session that had no use for it"
        );
        let limited = continued(&second, &TWO.replace("60", "30")).unwrap();
        assert!(!goes_on(&limited));
        assert!(Arc::ptr_eq(
            &first.transport().unwrap(),
            &second.transport().unwrap()
        ));
    }

    #[test]
    fn names_that_callers_make_up_do_not_pile_up() {
        let session = session(TWO);
        let configured = session.resolve("a", Wire::OpenAi).unwrap();
        for index in 0..2500 {
            session
                .resolve(&format!("local/{index}"), Wire::OpenAi)
                .unwrap();
        }
        assert!(session.accounts().len() <= 1024);
        let again = session.resolve("a", Wire::OpenAi).unwrap();
        assert!(Arc::ptr_eq(&configured, &again));
    }

    #[test]
    fn models_that_cannot_work_are_refused_by_name() {
        let first = session(TWO);
        let refused = |toml: &str| continued(&first, toml).unwrap_err().message().to_owned();
        let unknown = refused("[models.a]\nuse = \"opnai/x\"\n");
        assert_eq!(
            unknown,
            "models.a: unknown provider \"opnai\"; did you mean \"openai\"?"
        );
        let circle = refused("[models.a]\nuse = \"b\"\n[models.b]\nuse = \"a\"\n");
        assert!(
            circle.starts_with("models.a: models point at each other"),
            "{circle}"
        );
        // a key may come later
        assert!(continued(&first, "[models.a]\nuse = \"openai/gpt-4o\"\n").is_ok());
    }

    #[test]
    fn changes_are_told_in_one_line() {
        let first = session(TWO);
        assert_eq!(
            session(TWO).changes_since(&first),
            "no model, provider or key changed"
        );
        let toml = "default_model = \"b\"\n[providers.local]\nbase_url = \"http://127.0.0.1:2/v1\"\n\
                    [models.b]\nuse = \"local/x\"\n[models.c]\nuse = \"b\"\n";
        let told = session(toml).changes_since(&first);
        assert_eq!(
            told,
            "models added: b, c; models removed: a; providers changed: local; default_model changed"
        );
        let keys = |toml: &str| session(&format!("{TWO}{toml}"));
        let one =
            "[[keys]]\nname = \"a\"\nkey_env = \"A\"\n[[keys]]\nname = \"b\"\nkey_env = \"B\"\n";
        let two = "[[keys]]\nname = \"c\"\nkey_env = \"C\"\n[[keys]]\nname = \"b\"\nkey_env = \"B\"\nrpm = 5\n";
        let told = keys(two).changes_since(&keys(one));
        assert_eq!(told, "keys added: c; keys removed: a; keys changed: b");
        let lower = format!("\n\n{one}");
        assert_eq!(
            keys(&lower).changes_since(&keys(one)),
            "no model, provider or key changed"
        );
    }
}
