//! The way in for programs: a session of the configuration and environment, and models by name.

use std::sync::Arc;

use antiphon_core::{BoxFuture, ChatRequest, ChatResponse, Error, Limits, Model, SharedModel};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Session, SessionOptions, Wire};
use crate::{Config, ConfigError, env};

impl Session {
    /// A session of `antiphon.toml` (in the working folder, over the user's; `ANTIPHON_CONFIG` names another) and the
    /// process's environment, as the command line has it.
    ///
    /// # Errors
    /// A configuration file cannot be read or used; the message says where.
    pub fn from_env() -> Result<Self, ConfigError> {
        let folder = std::env::current_dir()
            .map_err(|error| ConfigError(format!("the working folder is gone: {error}")))?;
        let config = Config::load(&folder, None, &env::process)?;
        let options = SessionOptions::default();
        Ok(Self::new(
            config,
            options,
            &env::process,
            CancellationToken::new(),
        ))
    }

    /// The model of a name: `provider/model`, or one of the configuration with its parameters. Models of one session share
    /// their accounts' limits.
    ///
    /// # Errors
    /// As [`Session::resolve`].
    pub fn model(&self, name: &str) -> Result<SharedModel, Error> {
        let resolved = self.resolve(name, Wire::OpenAi)?;
        let model = Arc::clone(&resolved.model);
        if resolved.params.is_empty() {
            return Ok(model);
        }
        Ok(Arc::new(WithParams {
            model,
            params: resolved.params.clone(),
        }))
    }
}

/// A model with parameters of its own beneath those of each request.
#[derive(Debug)]
struct WithParams {
    model: SharedModel,
    params: Map<String, Value>,
}

impl Model for WithParams {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn limits(&self) -> Limits {
        self.model.limits()
    }

    fn call(&self, mut request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let params = Arc::make_mut(&mut request.params);
        for (name, value) in &self.params {
            params.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self.model.call(request)
    }
}
