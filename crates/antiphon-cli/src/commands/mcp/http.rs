//! `antiphon mcp --http`: the tools for clients that take an address.

use std::net::SocketAddr;

use antiphon::{Config, env, tools};
use antiphon_gateway::{Server, ServerConfig, Tls, ToolSite};
use anyhow::{Context, Result, bail};
use tokio_util::sync::CancellationToken;

use super::McpArgs;
use crate::{
    Exit,
    commands::serve::certificate,
    printer::Printer,
    signals::{Request, Signals},
};

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
    let tls = certificate::read(args.tls_cert.as_deref(), args.tls_key.as_deref(), printer)?;
    let config = ServerConfig {
        tls: tls.clone(),
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
        () = end_asked(&mut signals, tls.as_deref(), printer) => {
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

/// Ready when a signal asks for the end. SIGHUP asks for the certificate to be read again, where there is one.
async fn end_asked(signals: &mut Signals, tls: Option<&Tls>, printer: &Printer) {
    while let (Request::Reload, Some(tls)) = (signals.next_request().await, tls) {
        certificate::read_again(tls, printer);
    }
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
