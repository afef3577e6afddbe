//! Accounts: whose limits a call counts against.

use std::sync::Arc;

use antiphon_core::layers::admit::{Account, AccountConfig, QuotaConfig};
use antiphon_providers::tokens::Counter;

use super::{Session, lock};

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

impl Session {
    /// The accounts in use, in the order of their names.
    pub fn named_accounts(&self) -> Vec<NamedAccount> {
        let accounts = lock(&self.accounts);
        let mut named: Vec<NamedAccount> = accounts
            .iter()
            .map(
                |([provider, base_url, model, _key], account)| NamedAccount {
                    provider: provider.clone(),
                    base_url: base_url.clone(),
                    model: model.clone(),
                    account: Arc::clone(account),
                },
            )
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
        let mut accounts = lock(&self.accounts);
        let account = accounts
            .entry([a, b, c, key.to_owned()])
            .or_insert_with(|| {
                let config = self.account_config(provider);
                let counter = Arc::new(Counter::for_model(&target[0], &target[2]));
                Account::counting(config, self.clock.clone(), self.dice.clone(), Some(counter))
            });
        account.clone()
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
            ..AccountConfig::default()
        };
        config.concurrency = options.concurrency.or(settings.concurrency);
        if let Some(max_wait) = options.max_wait {
            config.max_wait = max_wait;
        }
        config
    }
}
