//! `antiphon serve`: the gateway.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use antiphon::{
    env,
    session::{Session, SessionOptions},
};
use antiphon_gateway::{
    Gateway, Running, Server, ServerConfig,
    observe::{AccessLog, LogTarget, Observer, Traces},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
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
    let server = Server::bind(args.listen, ServerConfig::default())
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = server.address();
    let observers = Observers::open(args, address, printer)?;
    let gateway = Gateway::new(Running::open_to_all(session), observers.all());
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
    observers.close().await;
    Ok(Exit::Success)
}

/// Who is told of each call, beside the gateway's own metrics.
struct Observers {
    log: Option<Arc<AccessLog>>,
    traces: Option<Arc<Traces>>,
}

impl Observers {
    fn open(args: &ServeArgs, address: SocketAddr, printer: &Printer) -> Result<Self> {
        let target = match args.access_log.as_str() {
            "none" => None,
            "-" => Some(LogTarget::Stderr),
            file => Some(LogTarget::File(file.into())),
        };
        if args.access_log_content {
            if target.is_none() {
                bail!("--access-log-content needs --access-log FILE or --access-log -");
            }
            printer.say("THE ACCESS LOG HOLDS PROMPTS AND ANSWERS: keep it from those who must not read them");
        }
        let open = |target| AccessLog::open(target, args.access_log_content);
        let log = target.map(open).transpose();
        let log = log.with_context(|| format!("cannot write {}", args.access_log))?;
        let log = log.map(Arc::new);
        if let Some(log) = &log {
            reopen_on_hangup(Arc::clone(log))?;
        }
        let traces = Traces::from_env(&env::process, address)?;
        Ok(Self {
            log,
            traces: traces.map(Arc::new),
        })
    }

    fn all(&self) -> Vec<Arc<dyn Observer>> {
        let log = self.log.clone().map(|log| log as Arc<dyn Observer>);
        let traces = self
            .traces
            .clone()
            .map(|traces| traces as Arc<dyn Observer>);
        log.into_iter().chain(traces).collect()
    }

    /// What is still to be told is told.
    async fn close(&self) {
        if let Some(traces) = &self.traces {
            traces.shutdown().await;
        }
        if let Some(log) = &self.log {
            log.close();
        }
    }
}

/// Whoever rotates logs moves the file away and sends SIGHUP.
fn reopen_on_hangup(log: Arc<AccessLog>) -> Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            log.reopen();
        }
    });
    Ok(())
}
