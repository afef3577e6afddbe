//! Providers: from the table, the configuration, the environment and the flags to something that can be called.

use std::{net::IpAddr, sync::Arc};

use antiphon_core::{Error, ErrorKind, SharedModel};
use antiphon_providers::{
    EndpointConfig,
    dialects::{self, Dialect},
    transport::{HttpTransport, Misconfigured, ProxyConfig, Target, TransportConfig},
};
use antiphon_sim::{SimConfig, SimModel};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use super::{GIVEN, SIM, Session, lock, names::Plain};

impl Session {
    pub(super) fn sim(&self, model: &str) -> Result<SimModel, Error> {
        let settings = self.config.settings.providers.get(SIM);
        let config = settings.map_or_else(
            || Ok(SimConfig::default()),
            |provider| provider.sim.config(),
        );
        let config =
            config.map_err(|error| Error::new(ErrorKind::BadRequest, error.to_string()))?;
        Ok(SimModel::new(model, config, self.clock.clone()))
    }

    /// A model that the program brought.
    pub(super) fn given(&self, model: &str) -> Result<SharedModel, Error> {
        self.options.given.get(model).cloned().ok_or_else(|| {
            let message = format!("no model {GIVEN}/{model}: a program has to bring it");
            Error::new(ErrorKind::ModelNotFound, message)
        })
    }

    pub(super) fn env(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// The endpoint of a name, from the provider's row, the configuration, the environment and the flags.
    pub(super) fn endpoint(&self, plain: &Plain) -> Result<EndpointConfig, Error> {
        let name = plain.provider.as_str();
        let known = dialects::provider(name);
        let settings = self.config.settings.providers.get(name).cloned();
        if known.is_none() && settings.is_none() && self.options.base_url.is_none() {
            return Err(self.unknown_provider(name));
        }
        let settings = settings.unwrap_or_default();
        let refuse = |message: String| Error::new(ErrorKind::BadRequest, message);
        let dialect: &'static dyn Dialect = match (&settings.dialect, known) {
            (Some(dialect), _) => dialects::dialect(dialect).ok_or_else(|| {
                refuse(format!("providers.{name}.dialect: no dialect is called {dialect:?}; there are openai, anthropic and openai-responses"))
            })?,
            (None, Some(provider)) => provider.dialect,
            (None, None) => dialects::dialect("openai")
                .ok_or_else(|| refuse("no dialect for openai".to_owned()))?,
        };
        let base_url = self
            .options
            .base_url
            .as_deref()
            .or_else(|| known.and_then(|provider| self.env(provider.base_url_env?)))
            .or(settings.base_url.as_deref())
            .or(known.map(|provider| provider.base_url))
            .ok_or_else(|| refuse(format!("providers.{name} has no base_url")))?
            .trim_end_matches('/')
            .to_owned();
        let target = Target::parse(&base_url).map_err(|error| refuse(error.to_string()))?;
        let key_env = settings
            .api_key_env
            .as_deref()
            .or(known.and_then(|provider| provider.key_env));
        let key = key_env
            .and_then(|variable| self.env(variable))
            .map(str::to_owned);
        if key.is_none() && !is_private(target.host()) {
            let mut message = match key_env {
                Some(variable) => format!("no API key for {name}: set {variable}"),
                None => format!(
                    "no API key for {name}: name its variable as api_key_env in [providers.{name}]"
                ),
            };
            if plain.is_bare {
                message.push_str(&self.near_configured(&plain.model));
            }
            if !self.options.is_dry {
                return Err(Error::new(ErrorKind::Auth, message));
            }
            lock(&self.missing_keys).insert(message);
        }
        let mut headers = HeaderMap::new();
        let named = known.map_or(&[][..], |provider| provider.header_envs);
        let from_env = named.iter().filter_map(|(variable, header)| {
            Some(((*header).to_owned(), self.env(variable)?.to_owned()))
        });
        for (name, value) in from_env.chain(settings.headers) {
            let wrong = |_| {
                refuse(format!(
                    "the header {name:?} of {} cannot be sent",
                    plain.provider
                ))
            };
            let header = HeaderName::try_from(&name).map_err(|_| wrong(()))?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| wrong(()))?);
        }
        Ok(EndpointConfig {
            provider: name.to_owned(),
            model: plain.model.clone(),
            dialect,
            base_url,
            key: key.map(SecretString::from),
            headers,
            version: settings.version,
            minds_content_type: false,
            connect_timeout: None,
            idle_timeout: None,
        })
    }

    pub(super) fn transport(&self) -> Result<Arc<HttpTransport>, Error> {
        let mut transport = lock(&self.transport);
        if let Some(transport) = &*transport {
            return Ok(transport.clone());
        }
        let refuse = |error: Misconfigured| Error::new(ErrorKind::BadRequest, error.to_string());
        let proxy =
            ProxyConfig::from_lookup(|name| self.env(name).map(str::to_owned)).map_err(refuse)?;
        let made = Arc::new(HttpTransport::new(
            TransportConfig::default().with_proxy(proxy),
        ));
        *transport = Some(made.clone());
        Ok(made)
    }
}

/// Whether a host is this machine or a private network, where servers without keys are usual.
fn is_private(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => host == "localhost" || !host.contains('.') || host.ends_with(".local"),
    }
}
