//! `antiphon mcp`: tools for clients of the Model Context Protocol.

use std::{path::PathBuf, time::Duration};

use antiphon::tools::{self, Folder, Models, Server, ServerConfig};
use anyhow::{Context, Result};
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
    /// The one folder whose files tools may read and write [default: the working folder, unless that is /]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

/// How long answers of jobs that were paid for are waited for when the client is gone.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &McpArgs, _printer: &Printer) -> Result<Exit> {
    let config = config(args.config.as_deref())?;
    let runtime = runtime()?;
    let stop = CancellationToken::new();
    let folder = match &args.folder {
        Some(folder) => Folder::at(folder).context("--folder")?,
        None => Folder::working(),
    };
    let models = Models::in_folder(config, args.model.clone(), stop.clone(), folder);
    let server = Server::new(tools::tools(&models), ServerConfig::default());
    let served = runtime.block_on(server.serve_stdio(stop));
    runtime.block_on(models.end_jobs(LAST_ANSWERS));
    served?;
    runtime.shutdown_background();
    Ok(Exit::Success)
}
