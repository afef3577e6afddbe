//! `antiphon serve`: the gateway.

pub(crate) mod certificate;
pub(crate) mod listen;
mod observers;
mod operation;
mod size;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use antiphon::{SystemClock, core::patterns::RescueMode, env, session::SessionOptions};
use antiphon_gateway::{BodyLimits, CallerBooks, Gateway, Running, Server, ServerConfig};
use anyhow::{Context, Result, bail};
use clap::Args;
use observers::Observers;
use operation::Operation;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::job::{config, runtime};
use crate::{Exit, printer::Printer, signals::Signals};

/// Arguments of `antiphon serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", value_parser = listen::address, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Folder of what must outlive a crash: what keys with a budget have spent
    /// [default: $XDG_STATE_HOME/antiphon/serve, else ~/.local/state/antiphon/serve]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Certificate for TLS, PEM, the server's own first; read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key, PEM, which others on this machine must not be able to read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Largest body of a request
    #[arg(long, value_name = "SIZE", value_parser = size::parse_size, default_value = "32MiB")]
    pub(crate) max_body: u64,
    /// Calls under way at once; more are refused with 503
    #[arg(long, value_name = "N", value_parser = crate::args::at_least_one::<NonZeroUsize>, default_value = "4096")]
    pub(crate) max_calls: NonZeroUsize,
    /// Time that calls under way have to end when the server is stopped; those that have not are ended with an error, and
    /// the exit code is 3
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration, default_value = "30s")]
    pub(crate) drain: Duration,
    /// A line of JSON for each call: to a file, which is opened anew on SIGHUP, to stderr (-), or nowhere
    #[arg(long, value_name = "FILE|-|none", default_value = "none")]
    pub(crate) access_log: String,
    /// Prompts and answers are in the access log too, cut to some kilobytes
    #[arg(long)]
    pub(crate) access_log_content: bool,
    /// Print the address as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &ServeArgs, printer: &Printer) -> Result<Exit> {
    // thousands of connections need as many files
    let _as_it_is = rlimit::increase_nofile_limit(u64::MAX);
    // on two processors one worker takes a third less time for a call than two, who wake each other
    let runtime = runtime()?;
    let outcome = runtime.block_on(serve(args, printer));
    // what has not ended by now was cut off
    runtime.shutdown_background();
    outcome
}

/// What flags lay over the configuration.
fn options() -> SessionOptions {
    SessionOptions {
        failover: true,
        rescue: RescueMode::Verify,
        ..SessionOptions::default()
    }
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
    let drain = CancellationToken::new();
    let running = Running::configured(config, options(), &env::process, drain.clone(), &books)?;
    if !args.listen.ip().is_loopback() && !running.needs_keys() {
        bail!(
            "without [[keys]] everybody who can reach {} could spend your money: listen on 127.0.0.1, or configure keys (`antiphon keys new` makes one)",
            args.listen
        );
    }
    let tls = certificate::read(args.tls_cert.as_deref(), args.tls_key.as_deref(), printer)?;
    let config = ServerConfig {
        tls: tls.clone(),
        body: BodyLimits {
            largest: args.max_body,
            ..BodyLimits::default()
        },
        max_calls: args.max_calls.get(),
        drain: args.drain,
        ..ServerConfig::default()
    };
    let server = Server::bind(args.listen, config)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let observers = Observers::open(args, server.address(), printer)?;
    let gateway = Gateway::new(running, observers.all());
    // before anybody is told where it is: a signal that comes at once must not kill it
    let signals = Signals::new()?;
    tell(&server, args, printer)?;
    if gateway.running().session.lacks_providers() {
        printer.say(
            "no provider has a key: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or configure [providers.…]; sim/… answers meanwhile",
        );
    }
    if has_budgets {
        let folder = books.folder().display();
        printer.say(&format!("what keys spend is kept in {folder}"));
    }
    let operation = Operation {
        args,
        printer,
        gateway: gateway.clone(),
        address: server.address(),
        tls,
        observers: &observers,
        books: &books,
    };
    let (stop, stopped) = oneshot::channel();
    let run = server.run(gateway, async {
        // the sender is there as long as signals are followed
        let _asked = stopped.await;
    });
    let exit = tokio::select! {
        cut_off = run => {
            operation.ended(cut_off);
            match cut_off {
                0 => Exit::Success,
                _ => Exit::StoppedEarly,
            }
        }
        () = operation.follow(signals, stop) => Exit::Interrupted,
    };
    drain.cancel();
    if let Err(error) = books.close().await {
        printer.say(&format!("{error}; up to what was held counts as spent"));
    }
    observers.close().await;
    Ok(exit)
}

fn tell(server: &Server, args: &ServeArgs, printer: &Printer) -> Result<()> {
    let url = server.url();
    if args.json {
        let address = server.address().to_string();
        let line = serde_json::json!({"url": url, "address": address});
        printer.data(&format!("{line}\n"))?;
    } else {
        printer.say(&format!("the gateway listens on {url}; Ctrl-C ends it"));
        printer.data(&format!(
            "export OPENAI_BASE_URL={url}/v1\nexport ANTHROPIC_BASE_URL={url}\n"
        ))?;
    }
    Ok(())
}

/// Where state is kept.
fn data_folder(args: &ServeArgs) -> Result<PathBuf> {
    let usual = || Some(env::default_state_dir(&env::process)?.join("serve"));
    args.data
        .clone()
        .or_else(usual)
        .context("no folder for state: there is no home; name one with --data")
}
