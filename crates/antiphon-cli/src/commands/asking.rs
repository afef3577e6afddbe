//! What commands have in common that ask models a handful of times: which models, within which limits, until Ctrl-C.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use antiphon::{
    Config,
    core::{ChatRequest, Message, SharedModel, chat::Role},
    env,
    session::{Session, SessionOptions},
};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::params;
use crate::{Exit, args::duration, signals::Signals};

/// Arguments of every such command.
#[derive(Args, Debug)]
pub(crate) struct AskingArgs {
    /// Provider of model names, which are then never split at a slash
    #[arg(long, help_heading = "Model")]
    pub(crate) provider: Option<String>,
    /// Base URL of the provider, for instance http://127.0.0.1:8000/v1
    #[arg(long, value_name = "URL", help_heading = "Model")]
    pub(crate) base_url: Option<String>,
    /// Parameter of every request, for instance temperature=0 (repeatable)
    #[arg(long = "param", value_name = "KEY=JSON", help_heading = "Model")]
    pub(crate) params: Vec<String>,

    /// Most calls in flight at once on each account [default: adapts, up to 256]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) concurrency: Option<NonZeroU32>,
    /// Requests per minute of each account [default: what the provider's headers say]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(crate) rpm: Option<u64>,
    /// Tokens per minute of each account
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(crate) tpm: Option<u64>,
    /// Retries of a call after transient failures [default: that of the model, else 2]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_retries: Option<u32>,
    /// Limit of one attempt [default: 600s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) timeout: Option<Duration>,

    /// Print JSON
    #[arg(long, help_heading = "Talk")]
    pub(crate) json: bool,
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE", help_heading = "Talk")]
    pub(crate) config: Option<std::path::PathBuf>,
}

/// The models of a command, ready to be asked.
pub(crate) struct Asking {
    session: Session,
    params: Map<String, Value>,
}

impl AskingArgs {
    /// The limits and the place of the models.
    pub(crate) fn session_options(&self) -> SessionOptions {
        SessionOptions {
            provider: self.provider.clone(),
            base_url: self.base_url.clone(),
            concurrency: self.concurrency,
            rpm: self.rpm,
            tpm: self.tpm,
            max_retries: self.max_retries,
            timeout: self.timeout,
            ..SessionOptions::default()
        }
    }

    /// The effective configuration.
    pub(crate) fn config(&self) -> Result<Config> {
        let folder = std::env::current_dir().context("the working folder is gone")?;
        let config = Config::load(&folder, self.config.as_deref(), &env::process)?;
        Ok(config)
    }

    /// Opens a session; `drain` stops what has not been sent.
    pub(crate) fn open(&self, drain: CancellationToken) -> Result<Asking> {
        let options = self.session_options();
        let session = Session::new(self.config()?, options, &env::process, drain);
        Ok(Asking {
            session,
            params: params::parse(&self.params)?,
        })
    }
}

impl Asking {
    /// The models of these names; where none is named, the default one.
    pub(crate) fn models(&self, names: &[String]) -> Result<Vec<SharedModel>> {
        if names.is_empty() {
            return Ok(vec![self.model(None)?]);
        }
        names.iter().map(|name| self.model(Some(name))).collect()
    }

    /// The model of this name, or the default one.
    pub(crate) fn model(&self, name: Option<&str>) -> Result<SharedModel> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.session.default_model().ok_or_else(|| {
                anyhow!("no model is named; pass --model provider/model or set default_model")
            })?,
        };
        Ok(self.session.model(&name)?)
    }

    /// A request with the parameters of the command line.
    pub(crate) fn request(&self, system: Option<&str>, prompt: &str) -> ChatRequest {
        let mut request = ChatRequest::prompt(prompt);
        if let Some(system) = system {
            Arc::make_mut(&mut request.messages).insert(0, Message::text(Role::System, system));
        }
        request.params = Arc::new(self.params.clone());
        request
    }
}

/// Runs a command that asks models, until it is done or a signal comes: then what is in flight is dropped.
pub(crate) fn until_interrupted(asking: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::new()?;
        tokio::select! {
            exit = asking => exit,
            () = signals.next() => Ok(Exit::Interrupted),
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    exit
}

/// Text of an argument, of which `-` stands for stdin.
pub(crate) fn text_or_stdin(argument: &str) -> Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    std::io::read_to_string(std::io::stdin()).context("cannot read stdin")
}
