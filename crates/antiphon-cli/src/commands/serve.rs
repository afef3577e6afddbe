//! `antiphon serve`: the gateway.

use std::{net::SocketAddr, path::PathBuf};

use antiphon::{
    env,
    session::{Session, SessionOptions},
};
use antiphon_gateway::{Gateway, Running, Server, ServerConfig};
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
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the address as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &ServeArgs, printer: &Printer) -> Result<Exit> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "without [[keys]] everybody who can reach {} could spend your money: listen on 127.0.0.1, or configure keys",
            args.listen
        );
    }
    // thousands of connections need as many files
    let _as_it_is = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, printer))
}

async fn serve(args: &ServeArgs, printer: &Printer) -> Result<Exit> {
    let options = SessionOptions::default();
    let config = config(args.config.as_deref())?;
    let session = Session::new(config, options, &env::process, CancellationToken::new());
    let gateway = Gateway::new(Running::open_to_all(session), Vec::new());
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
    let mut signals = Signals::new()?;
    server.run(gateway, async { signals.next().await }).await;
    Ok(Exit::Success)
}
