//! Accounts: whose limits a call counts against.

use std::{collections::HashMap, sync::Arc};

use antiphon_core::layers::admit::{Account, AccountConfig, QuotaConfig};
use antiphon_providers::tokens::Counter;

use super::{GIVEN, Session, lock};

/// Accounts that are kept though no model has them: what was learned of them is of use when they are asked again. Callers
/// of a gateway can make up names of models without end, also in what they say for one call.
const MOST_ACCOUNTS: usize = 1024;

/// An account and whose it is. The key is not told.
#[derive(Clone, Debug)]
pub struct NamedAccount {
    /// The provider, as models are named after it.
    pub provider: String,
    /// Where it is reached; empty for what lives in this process.
    pub base_url: String,
    /// The provider's name of the model.
    pub model: String,
    /// Its limits and its state.
    pub account: Arc<Account>,
}

/// The accounts of a session, and those of the session before it, which it takes over as it meets them.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    used: HashMap<[String; 4], Known>,
    inherited: HashMap<[String; 4], Known>,
}

/// An account, and the limits that it was opened with.
#[derive(Clone, Debug)]
struct Known {
    config: AccountConfig,
    account: Arc<Account>,
}

impl Accounts {
    /// Those that a model has been resolved for.
    pub(super) fn in_use(&self) -> Vec<Arc<Account>> {
        let known = self.used.values();
        known.map(|known| known.account.clone()).collect()
    }

    /// Drops those that no model has any more.
    pub(super) fn forget_unused(&mut self) {
        self.forget_unheld();
        self.inherited.clear();
    }

    fn forget_unheld(&mut self) {
        self.used
            .retain(|_, known| Arc::strong_count(&known.account) > 1);
    }

    /// None is in use, and all go on as soon as they are.
    pub(super) fn bequeathed(&self) -> Self {
        let mut inherited = self.inherited.clone();
        let used = self.used.iter();
        inherited.extend(used.map(|(key, known)| (key.clone(), known.clone())));
        Self {
            used: HashMap::new(),
            inherited,
        }
    }
}

impl Session {
    /// The accounts in use, in the order of their names.
    pub fn named_accounts(&self) -> Vec<NamedAccount> {
        let accounts = lock(&self.accounts);
        let used = accounts.used.iter();
        let mut named: Vec<NamedAccount> = used
            .map(|([provider, base_url, model, _key], known)| NamedAccount {
                provider: provider.clone(),
                base_url: base_url.clone(),
                model: model.clone(),
                account: Arc::clone(&known.account),
            })
            .collect();
        drop(accounts);
        let name = |named: &NamedAccount| {
            [&named.provider, &named.model, &named.base_url].map(String::clone)
        };
        named.sort_by_cached_key(name);
        named
    }

    /// The account of a target and key. Models of one account share its limits, pauses and health.
    pub(super) fn account(&self, target: &[String; 3], key: &str, provider: &str) -> Arc<Account> {
        let [a, b, c] = target.clone();
        let key = [a, b, c, key.to_owned()];
        let config = self.account_config(provider);
        let mut accounts = lock(&self.accounts);
        if let Some(known) = accounts.used.get(&key) {
            return known.account.clone();
        }
        if accounts.used.len() >= MOST_ACCOUNTS {
            accounts.forget_unheld();
        }
        // with other limits it is another account, of which nothing is known
        let inherited = accounts.inherited.remove(&key);
        let known = inherited.filter(|known| known.config == config);
        let known = known.unwrap_or_else(|| {
            let counter = Arc::new(Counter::for_model(&target[0], &target[2]));
            let (clock, dice) = (self.clock.clone(), self.dice.clone());
            Known {
                config,
                account: Account::counting(config, clock, dice, Some(counter)),
            }
        });
        let account = known.account.clone();
        accounts.used.insert(key, known);
        account
    }

    /// Limits of a provider's accounts: by flag, else in the configuration.
    pub(super) fn account_config(&self, provider: &str) -> AccountConfig {
        let settings = self.config.settings.providers.get(provider);
        let settings = settings.cloned().unwrap_or_default();
        let options = &self.options;
        let mut config = AccountConfig {
            quota: QuotaConfig {
                rpm: options.rpm.or(settings.rpm),
                tpm: options.tpm.or(settings.tpm),
                itpm: options.itpm.or(settings.itpm),
                otpm: options.otpm.or(settings.otpm),
            },
            ..self.usual_account()
        };
        config.concurrency = options.concurrency.or(settings.concurrency);
        if provider == GIVEN {
            // what it bears is its own to say, call by call, and so is whether it is well: it queues what is too much
            config.for_callers = true;
            config.quota_only = true;
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::{PerCall, Wire};

    #[test]
    fn accounts_of_made_up_deciders_are_not_kept_without_end() {
        let session = Session::from_toml("[models.fast]\nuse = \"sim/fast\"").unwrap();
        let held = session.resolve("fast", Wire::OpenAi).unwrap();
        for number in 0..MOST_ACCOUNTS + 100 {
            let said = json!({"num_processors": 2, "judge": format!("sim/{number}")});
            let per_call = PerCall::read(said).unwrap();
            let resolved = session.resolve_for("fast", Wire::OpenAi, &per_call);
            assert!(resolved.is_ok());
        }
        let kept = session.named_accounts();
        assert!(kept.len() <= MOST_ACCOUNTS, "{}", kept.len());
        assert!(kept.iter().any(|named| named.model == "fast"));
        drop(held);
    }
}
