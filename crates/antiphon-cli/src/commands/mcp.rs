//! `antiphon mcp`: tools for clients of the Model Context Protocol.

use std::path::PathBuf;

use antiphon::{
    env,
    tools::{self, ClientBook, Models, Server},
};
use anyhow::Result;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::job::{config, runtime};
use crate::{Exit, printer::Printer};

/// Arguments of `antiphon mcp`.
#[derive(Args, Debug)]
pub(crate) struct McpArgs {
    /// Model that tools ask where a call names none [default: default_model, else the client's own by sampling]
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

pub(crate) fn run(args: &McpArgs, _printer: &Printer) -> Result<Exit> {
    let config = config(args.config.as_deref())?;
    let runtime = runtime()?;
    let stop = CancellationToken::new();
    let book = env::default_state_dir(&env::process).map(|folder| ClientBook::in_folder(&folder));
    let server_config = tools::server_config(&config.settings.mcp, book.as_ref());
    let models = Models::new(config, args.model.clone(), stop.clone());
    let server = Server::new(tools::tools(&models), server_config);
    runtime.block_on(server.serve_stdio(stop))?;
    runtime.shutdown_background();
    if let Some(book) = book {
        book.finish();
    }
    Ok(Exit::Success)
}
