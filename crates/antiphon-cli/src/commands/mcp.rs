//! `antiphon mcp`: tools for clients of the Model Context Protocol.

mod http;

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, time::Duration};

use antiphon::{
    env,
    tools::{self, ClientBook, Folder, Models, Server},
};
use anyhow::{Context, Result};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    job::{config, runtime},
    serve::listen,
};
use crate::{Exit, printer::Printer, signals::Signals};

/// What `antiphon mcp --help` ends with.
pub(crate) const EXAMPLES: &str = r#"A client starts the command itself; it is told so in its configuration, most in this form:
  {"mcpServers": {"antiphon": {"command": "antiphon", "args": ["mcp"]}}}
With a provider, whose key the client passes on:
  {"mcpServers": {"antiphon": {"command": "antiphon", "args": ["mcp", "-m", "openai/gpt-4o-mini"],
    "env": {"OPENAI_API_KEY": "…"}}}}

Over HTTP, for clients that take an address:
  antiphon mcp --http 127.0.0.1:8000        the tools are at http://127.0.0.1:8000/mcp

Exit codes: 0 the client has closed the connection, or a signal has ended the server; 2 usage or
configuration; 3 the client could not be served; 130 a second signal."#;

/// What somebody reads who types the command.
const HINT: &str = "\
waiting for a client of the Model Context Protocol on stdin, which is a terminal: this command is for a client to start.
Most clients are told so in their configuration like this:
  {\"mcpServers\": {\"antiphon\": {\"command\": \"antiphon\", \"args\": [\"mcp\"]}}}
`antiphon mcp --http 127.0.0.1:8000` serves clients that take an address; `antiphon mcp --help` says more. Ctrl-C ends it.";

/// Arguments of `antiphon mcp`.
#[derive(Args, Debug)]
pub(crate) struct McpArgs {
    /// Model that tools ask where a call names none [default: default_model, else the client's own by sampling]
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The one folder whose files tools may read and write [default: the working folder, unless that is /]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Serve over HTTP at this address, at /mcp, in place of stdin and stdout; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", value_parser = listen::address)]
    pub(crate) http: Option<SocketAddr>,
    /// Certificate for TLS, PEM, the server's own first; read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "http")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key, PEM, which others on this machine must not be able to read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Print the address as JSON
    #[arg(long, requires = "http")]
    pub(crate) json: bool,
}

/// How long answers of jobs that were paid for are waited for when the client is gone.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &McpArgs, printer: &Printer) -> Result<Exit> {
    let config = config(args.config.as_deref())?;
    let runtime = runtime()?;
    let stop = CancellationToken::new();
    let folder = match &args.folder {
        Some(folder) => Folder::at(folder).context("--folder")?,
        None => Folder::working(),
    };
    let models = Models::in_folder(config.clone(), args.model.clone(), stop.clone(), folder);
    if let Err(error) = models.check_usual() {
        // a call that names another model can still be answered
        printer.say(&format!(
            "warning: tools that name no model cannot be answered: {}",
            error.message()
        ));
    }
    let book = env::default_state_dir(&env::process).map(|folder| ClientBook::in_folder(&folder));
    let server_config = tools::server_config(&config.settings.mcp, book.as_ref());
    let server = Server::new(tools::tools(&models), server_config);
    let outcome = runtime.block_on(async {
        let outcome = match args.http {
            Some(address) => http::serve(&server, address, &config, args, stop, printer).await,
            None => talk(&server, stop, printer).await,
        };
        if !matches!(outcome, Ok(Exit::Interrupted)) {
            last_answers(&models, printer).await;
        }
        outcome
    });
    // a thread that waits for a silent stdin must not hold the exit
    runtime.shutdown_background();
    if let Some(book) = book {
        book.finish();
    }
    outcome
}

/// Serves the one client at stdin and stdout. Nothing else is written to stdout.
async fn talk(server: &Server, stop: CancellationToken, printer: &Printer) -> Result<Exit> {
    let mut signals = Signals::new()?;
    if std::io::stdin().is_terminal() {
        printer.say(HINT);
    }
    let served = server.serve_stdio(stop.clone());
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = signals.next() => {
            stop.cancel();
            tokio::select! {
                ended = served => ended,
                // a client that does not read what it is told is not waited for
                () = signals.next() => return Ok(Exit::Interrupted),
            }
        }
    };
    match ended.context("the client could not be served") {
        Ok(()) => Ok(Exit::Success),
        Err(error) => {
            printer.error(&error);
            Ok(Exit::StoppedEarly)
        }
    }
}

/// Waits for what jobs have paid for, until a signal says not to.
async fn last_answers(models: &Models, printer: &Printer) {
    let Ok(mut signals) = Signals::new() else {
        return;
    };
    let ended = models.end_jobs(LAST_ANSWERS);
    tokio::select! {
        () = ended => {}
        () = signals.next() => printer.say("interrupted: answers in flight are given up"),
    }
}
