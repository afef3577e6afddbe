//! Which model a tool asks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use antiphon_core::{Error, SharedModel};
use antiphon_mcp::Call;
use tokio_util::sync::CancellationToken;

use super::{Folder, jobs::Jobs};
use crate::{
    Config, Session, env,
    session::{GIVEN, SessionOptions},
};

/// The name that stands for the client's own model.
pub(super) const CLIENT: &str = "client";

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
        match named.or(self.usual.as_deref()) {
            Some(name) if name != CLIENT => Ok(Choice {
                session: Arc::clone(&self.configured),
                name: name.to_owned(),
            }),
            _ => {
                let options = SessionOptions {
                    given: BTreeMap::from([(CLIENT.to_owned(), call.client_model()?)]),
                    ..SessionOptions::default()
                };
                let drain = self.drain.clone();
                let session = Session::new(self.config.clone(), options, &env::process, drain);
                Ok(Choice {
                    session: Arc::new(session),
                    name: format!("{GIVEN}/{CLIENT}"),
                })
            }
        }
    }
}

/// A model that was chosen, and the session it belongs to.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) session: Arc<Session>,
    pub(super) name: String,
}

impl Choice {
    /// The model.
    ///
    /// # Errors
    /// As [`Session::model`].
    pub(super) fn model(&self) -> Result<SharedModel, Error> {
        self.session.model(&self.name)
    }
}
