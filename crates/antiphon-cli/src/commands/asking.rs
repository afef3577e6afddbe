//! What commands have in common that ask models a handful of times: which models, within which limits, until Ctrl-C.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use antiphon::{
    core::{ChatRequest, Error, SharedModel},
    env,
    session::{Session, SessionOptions, Wire},
};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{job::config, params};
use crate::{
    Exit,
    args::{at_least_one, from_one, from_zero, time_limit},
    job_args::TargetArgs,
    printer::Printer,
    signals::Signals,
};

/// Parameters that are not the user's to set, and what to do instead.
const RESERVED_PARAMS: [(&str, &str); 3] = [
    ("model", "name the model with --model"),
    ("messages", "the prompt is the message"),
    ("stream", "how answers come is up to the command"),
];

/// Arguments of every such command.
#[derive(Args, Debug)]
pub(crate) struct AskingArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Most calls in flight at once on each account [default: adapts, up to 256]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU32>, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) concurrency: Option<NonZeroU32>,
    /// Requests per minute of each account [default: what the provider's headers say]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) rpm: Option<u64>,
    /// Tokens per minute of each account
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) tpm: Option<u64>,
    /// Retries of a call after transient failures [default: that of the model, else 2]
    #[arg(long, value_name = "N", value_parser = from_zero::<u32>, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) max_retries: Option<u32>,
    /// Limit of one attempt [default: 600s]
    #[arg(long, value_name = "DURATION", value_parser = time_limit, help_heading = "Limits")]
    pub(crate) timeout: Option<Duration>,

    /// Say nothing but errors
    #[arg(short, long, help_heading = "Talk")]
    pub(crate) quiet: bool,
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
            provider: self.target.provider.clone(),
            base_url: self.target.base_url.clone(),
            catalog: self.target.catalog.clone(),
            concurrency: self.concurrency,
            rpm: self.rpm,
            tpm: self.tpm,
            zone: self.target.zone,
            max_retries: self.max_retries,
            timeout: self.timeout,
            ..SessionOptions::default()
        }
    }

    /// Opens a session; `drain` stops what has not been sent.
    pub(crate) fn open(&self, drain: CancellationToken) -> Result<Asking> {
        let options = self.session_options();
        let session = Session::new(
            config(self.config.as_deref())?,
            options,
            &env::process,
            drain,
        );
        let params = params::parse(&self.target.params)?;
        for (name, instead) in RESERVED_PARAMS {
            if params.contains_key(name) {
                bail!("--param {name} cannot be set: {instead}");
            }
        }
        Ok(Asking { session, params })
    }

    /// A line of talk, unless nothing shall be said.
    pub(crate) fn say(&self, printer: &Printer, line: &str) {
        if !self.quiet {
            printer.say(line);
        }
    }
}

impl Asking {
    /// These names; where there is none, that of the default model.
    pub(crate) fn names(&self, given: &[String]) -> Result<Vec<String>> {
        if !given.is_empty() {
            return Ok(given.to_vec());
        }
        let name = self.session.default_model().ok_or_else(|| {
            anyhow!("no model is named; pass --model provider/model or set default_model")
        })?;
        Ok(vec![name])
    }

    /// The models of these names, in their order; where none is named, the default one.
    pub(crate) fn models(&self, names: &[String]) -> Result<Vec<SharedModel>> {
        let names = self.names(names)?;
        let models = names.iter().map(|name| Ok(self.session.model(name)?));
        models.collect()
    }

    /// The model of this name, or the default one.
    pub(crate) fn model(&self, name: Option<&str>) -> Result<SharedModel> {
        let names = self.names(name.map(str::to_owned).as_slice())?;
        Ok(self.session.model(&names[0])?)
    }

    /// Refuses a request that cannot be put to a model at all, such as one whose schema its provider cannot express.
    pub(crate) fn check(&self, names: &[String], request: &ChatRequest) -> Result<()> {
        for name in names {
            let resolved = self.session.resolve(name, Wire::OpenAi)?;
            resolved.check(request).with_context(|| name.clone())?;
        }
        Ok(())
    }

    /// Says what is to be known of the models before they are asked, unless nothing shall be said.
    pub(crate) fn tell_of_models(&self, args: &AskingArgs, printer: &Printer) {
        for note in self.session.retirement_notes() {
            args.say(printer, &note);
        }
    }

    /// The parameters of the command line.
    pub(crate) fn params(&self) -> &Map<String, Value> {
        &self.params
    }

    /// A request with the parameters of the command line.
    pub(crate) fn request(&self, system: Option<&str>, prompt: &str) -> ChatRequest {
        let mut request = ChatRequest::prompt(prompt);
        if let Some(system) = system {
            request = request.with_system(system);
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
        let (interrupt, interrupted) = oneshot::channel();
        tokio::spawn(watch(Signals::new()?, interrupt));
        tokio::select! {
            exit = asking => exit,
            Ok(()) = interrupted => Ok(Exit::Interrupted),
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    exit
}

/// Tells of the first signal, and ends at once with the second: a reader of stdout who has fallen asleep stops whoever
/// writes to it from hearing of the first.
async fn watch(mut signals: Signals, interrupt: oneshot::Sender<()>) {
    signals.next().await;
    // nobody is left to be told where all is done
    let _over = interrupt.send(());
    signals.next().await;
    #[allow(
        clippy::exit,
        reason = "at once is what was asked for; nothing is kept on disk"
    )]
    std::process::exit(Exit::Interrupted as i32);
}

/// A prompt as typed, where `-` stands for stdin.
pub(crate) fn text_or_stdin(argument: &str) -> Result<String> {
    let prompt = match argument {
        "-" => std::io::read_to_string(std::io::stdin()).context("cannot read stdin")?,
        typed => typed.to_owned(),
    };
    if prompt.trim().is_empty() {
        bail!("the prompt is empty");
    }
    Ok(prompt)
}

/// Why a call has no answer, as output says it.
pub(crate) fn error_as_json(error: &Error) -> Value {
    json!({"code": error.kind().code(), "message": error.message()})
}
