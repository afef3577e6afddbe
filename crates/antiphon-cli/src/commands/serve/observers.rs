//! Who is told of calls: the access log and traces.

use std::{net::SocketAddr, sync::Arc};

use antiphon::env;
use antiphon_gateway::observe::{AccessLog, LogTarget, Observer, Traces};
use anyhow::{Context, Result, bail};

use super::ServeArgs;
use crate::printer::Printer;

/// Who is told of each call, beside the gateway's own metrics.
pub(super) struct Observers {
    log: Option<Arc<AccessLog>>,
    traces: Option<Arc<Traces>>,
}

impl Observers {
    pub(super) fn open(args: &ServeArgs, address: SocketAddr, printer: &Printer) -> Result<Self> {
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
        let traces = Traces::from_env(&env::process, address)?;
        Ok(Self {
            log,
            traces: traces.map(Arc::new),
        })
    }

    pub(super) fn all(&self) -> Vec<Arc<dyn Observer>> {
        let log = self.log.clone().map(|log| log as Arc<dyn Observer>);
        let traces = self
            .traces
            .clone()
            .map(|traces| traces as Arc<dyn Observer>);
        log.into_iter().chain(traces).collect()
    }

    /// What is still to be told is told.
    pub(super) async fn close(&self) {
        if let Some(traces) = &self.traces {
            traces.shutdown().await;
        }
        if let Some(log) = &self.log {
            log.close();
        }
    }

    /// Whoever rotates logs moves the file away and sends SIGHUP.
    pub(super) fn reopen(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }
}
