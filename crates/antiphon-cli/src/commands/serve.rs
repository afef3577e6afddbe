//! `antiphon serve`: the gateway.

use std::{net::SocketAddr, path::PathBuf};

use antiphon::{SystemClock, env, session::SessionOptions};
use antiphon_gateway::{CallerBooks, Gateway, Running, Server, ServerConfig};
use anyhow::{Context, Result, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::job::config;
use crate::{Exit, printer::Printer, signals::Signals};

/// Arguments of `antiphon serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Folder of what must outlive a crash: what keys with a budget have spent
    /// [default: $XDG_STATE_HOME/antiphon/serve, else ~/.local/state/antiphon/serve]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the address as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &ServeArgs, printer: &Printer) -> Result<Exit> {
    // thousands of connections need as many files
    let _as_it_is = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, printer))
}

async fn serve(args: &ServeArgs, printer: &Printer) -> Result<Exit> {
    let config = config(args.config.as_deref())?;
    let has_budgets = config
        .settings
        .keys
        .iter()
        .any(|key| key.budget_usd_per_day.is_some());
    let books = CallerBooks::new(data_folder(args)?, SystemClock::shared());
    if args.data.is_some() {
        books.open()?;
    }
    let (options, drain) = (SessionOptions::default(), CancellationToken::new());
    let running = Running::configured(config, options, &env::process, drain.clone(), &books)?;
    if !args.listen.ip().is_loopback() && !running.needs_keys() {
        bail!(
            "without [[keys]] everybody who can reach {} could spend your money: listen on 127.0.0.1, or configure keys (`antiphon keys new` makes one)",
            args.listen
        );
    }
    let gateway = Gateway::new(running, Vec::new());
    let server = Server::bind(args.listen, ServerConfig::default())
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = server.address();
    let url = format!("http://{address}");
    if args.json {
        let line = serde_json::json!({"url": url, "address": address.to_string()});
        printer.data(&format!("{line}\n"))?;
    } else {
        printer.say(&format!("the gateway listens on {url}; Ctrl-C ends it"));
        printer.data(&format!(
            "export OPENAI_BASE_URL={url}/v1\nexport ANTHROPIC_BASE_URL={url}\n"
        ))?;
    }
    if has_budgets {
        let folder = books.folder().display();
        printer.say(&format!("what keys spend is kept in {folder}"));
    }
    let mut signals = Signals::new()?;
    server.run(gateway, async { signals.next().await }).await;
    drain.cancel();
    if let Err(error) = books.close().await {
        printer.say(&format!("{error}; up to what was held counts as spent"));
    }
    Ok(Exit::Success)
}

/// Where state is kept.
fn data_folder(args: &ServeArgs) -> Result<PathBuf> {
    let usual = || Some(env::default_state_dir(&env::process)?.join("serve"));
    args.data
        .clone()
        .or_else(usual)
        .context("no folder for state: there is no home; name one with --data")
}
