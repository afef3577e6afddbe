//! `antiphon mcp --http`: the tools for clients that take an address.

use std::{net::SocketAddr, sync::Arc};

use antiphon::{Config, env, tools};
use antiphon_gateway::{Server, ServerConfig, Tls, ToolSite};
use anyhow::{Context, Result, bail};
use tokio_util::sync::CancellationToken;

use super::McpArgs;
use crate::{Exit, printer::Printer, signals::Signals};

/// Serves until a signal comes.
pub(super) async fn serve(
    tools: &tools::Server,
    address: SocketAddr,
    config: &Config,
    args: &McpArgs,
    stop: CancellationToken,
    printer: &Printer,
) -> Result<Exit> {
    let site = ToolSite::new(tools, address.ip(), config, &env::process)?;
    if !address.ip().is_loopback() && !site.needs_keys() {
        bail!(
            "without [[keys]] everybody who can reach {address} could use the tools, and spend your money: listen on \
             127.0.0.1, or configure keys (`antiphon keys new` makes one)"
        );
    }
    let config = ServerConfig {
        tls: tls(args, printer)?,
        ..ServerConfig::default()
    };
    let server = Server::bind(address, config)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    // before anybody is told where it is: a signal that comes at once must not kill it
    let mut signals = Signals::new()?;
    tell(&server, args, printer)?;
    let asked = CancellationToken::new();
    let run = server.run_tools(site, asked.clone().cancelled_owned());
    tokio::pin!(run);
    let cut_off = tokio::select! {
        cut_off = &mut run => cut_off,
        () = signals.next() => {
            stop.cancel();
            asked.cancel();
            tokio::select! {
                cut_off = run => cut_off,
                () = signals.next() => return Ok(Exit::Interrupted),
            }
        }
    };
    Ok(match cut_off {
        0 => Exit::Success,
        _ => Exit::StoppedEarly,
    })
}

fn tls(args: &McpArgs, printer: &Printer) -> Result<Option<Arc<Tls>>> {
    let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) else {
        return Ok(None);
    };
    let (tls, warning) = Tls::load(certificate, key)?;
    if let Some(warning) = warning {
        printer.say(&format!("warning: {warning}"));
    }
    Ok(Some(Arc::new(tls)))
}

fn tell(server: &Server, args: &McpArgs, printer: &Printer) -> Result<()> {
    let url = format!("{}/mcp", server.url());
    if args.json {
        let address = server.address().to_string();
        let line = serde_json::json!({"url": url, "address": address});
        printer.data(&format!("{line}\n"))?;
    } else {
        printer.say("the tools are served; give this address to clients, Ctrl-C ends it");
        printer.data(&format!("{url}\n"))?;
    }
    Ok(())
}
