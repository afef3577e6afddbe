//! Which model a tool asks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use antiphon_core::{Error, ErrorKind, SharedModel};
use antiphon_mcp::Call;
use tokio_util::sync::CancellationToken;

use super::{Folder, jobs::Jobs};
use crate::{
    Config, Session, env, nearest,
    session::{GIVEN, SessionOptions, Wire},
};

/// The name that stands for the client's own model.
const CLIENT: &str = "client";

/// A model's name as a session knows it that was [`given`] the client's.
pub(super) fn in_session(name: String) -> String {
    match name.as_str() {
        CLIENT => clients_name(),
        _ => name,
    }
}

/// The name of the client's own model in such a session.
pub(super) fn clients_name() -> String {
    format!("{GIVEN}/{CLIENT}")
}

/// The client's own model, as it is given to a session.
pub(super) fn given(model: SharedModel) -> BTreeMap<String, SharedModel> {
    BTreeMap::from([(CLIENT.to_owned(), model)])
}

/// Context window, in tokens, of a model that nothing is known of, as on the command line: it fits nearly every model.
const UNKNOWN_WINDOW: usize = 8_000;
/// The same of a client's model. Those that choose tools have long windows, and fewer calls are fewer to approve.
const CLIENT_WINDOW: usize = 32_000;

/// The models that tools may ask: those of the configuration, and the client's own.
#[derive(Debug)]
pub struct Models {
    pub(super) config: Config,
    configured: Arc<Session>,
    pub(super) usual: Option<String>,
    pub(super) drain: CancellationToken,
    pub(super) folder: Folder,
    pub(super) jobs: Arc<Jobs>,
}

impl Models {
    /// The models of a configuration. `usual` is asked where a call names none; without it the configuration's
    /// `default_model`, without that the client's own. `drain` stops what has not been sent.
    /// Files are those of the working folder.
    pub fn new(config: Config, usual: Option<String>, drain: CancellationToken) -> Arc<Self> {
        Self::in_folder(config, usual, drain, Folder::working())
    }

    /// The same, and the folder whose files tools may read and write.
    pub fn in_folder(
        config: Config,
        usual: Option<String>,
        drain: CancellationToken,
        folder: Folder,
    ) -> Arc<Self> {
        let options = SessionOptions::default();
        let session = Session::new(config.clone(), options, &env::process, drain.clone());
        let usual = usual.or_else(|| session.default_model());
        Arc::new(Self {
            config,
            configured: Arc::new(session),
            usual,
            drain,
            folder,
            jobs: Arc::default(),
        })
    }

    /// Gives all jobs up that tools have begun, and waits for what is in flight, but no longer than that.
    pub async fn end_jobs(&self, most: Duration) {
        self.jobs.end(most).await;
    }

    /// The model that a call names, or the usual one.
    ///
    /// # Errors
    /// There is no such model, or the client lends none.
    pub(super) fn choose(&self, named: Option<&str>, call: &Call) -> Result<Choice, Error> {
        // models that use tools fill in what they could leave out
        let named = named.filter(|name| !name.is_empty());
        match named.or(self.usual.as_deref()) {
            Some(name) if name != CLIENT => self.configured(name),
            _ => self.of_client(call),
        }
    }

    /// Whether the model that is asked where a call names none can be: its provider is known and has a key.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn check_usual(&self) -> Result<(), Error> {
        let usual = self.usual.as_deref().filter(|name| *name != CLIENT);
        usual.map_or(Ok(()), |name| self.configured(name).map(drop))
    }

    fn configured(&self, name: &str) -> Result<Choice, Error> {
        let session = Arc::clone(&self.configured);
        let model = session.model(name).map_err(|error| {
            let mut message = error.message().to_owned();
            if error.kind() == ErrorKind::Auth {
                message.push_str("; clients pass keys on in the `env` of their configuration");
            }
            // a name without a provider that is none of the configuration's
            if nearest(name, [CLIENT]).is_some() {
                message.push_str(&format!("; the client's own model is {CLIENT:?}"));
            }
            Error::new(error.kind(), message)
        })?;
        let resolved = session.resolve(name, Wire::OpenAi)?;
        let catalog = session.catalog()?;
        let windows = resolved.asked.iter().map(|asked| {
            let (provider, model) = asked.target.name.split_once('/')?;
            catalog.find(provider, model)?.context_window
        });
        // as small as the smallest of its parts
        let window = windows.min().flatten();
        let window = window.and_then(|tokens| usize::try_from(tokens).ok());
        Ok(Choice {
            model,
            name: name.to_owned(),
            window: window.unwrap_or(UNKNOWN_WINDOW),
        })
    }

    fn of_client(&self, call: &Call) -> Result<Choice, Error> {
        let session = self.configured.lending(given(self.lent(call)?));
        Ok(Choice {
            model: session.model(&clients_name())?,
            name: CLIENT.to_owned(),
            window: CLIENT_WINDOW,
        })
    }

    /// The client's model, or what to do where it lends none.
    fn lent(&self, call: &Call) -> Result<SharedModel, Error> {
        call.client_model().map_err(|error| {
            let keyed = self.configured.in_reach().next();
            let next = match keyed {
                Some(provider) => format!(
                    "{provider} can be asked: name one of its models, as {provider}/…, with `model`, or start the server with \
                     `--model {provider}/…`"
                ),
                None => "start the server with `--model provider/model` and the provider's key in its environment, or name a \
                         model with `model`"
                    .to_owned(),
            };
            Error::new(error.kind(), format!("{}; {next}", error.message()))
        })
    }
}

/// A model that was chosen.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) model: SharedModel,
    /// As it was named.
    pub(super) name: String,
    /// Tokens that it reads and writes in a call, as far as is known.
    pub(super) window: usize,
}
