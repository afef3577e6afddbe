//! What an operator asks of a server that runs: another configuration, an end.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon::{Config, env};
use antiphon_gateway::{CallerBooks, Gateway, Running, Tls};
use anyhow::{Result, bail};
use tokio::sync::oneshot;

use super::{ServeArgs, certificate, observers::Observers};
use crate::{
    commands::job::config,
    printer::Printer,
    signals::{Request, Signals},
};

/// A server that runs, and what it was started with.
pub(super) struct Operation<'a> {
    pub(super) args: &'a ServeArgs,
    pub(super) printer: &'a Printer,
    pub(super) gateway: Gateway,
    /// Where the server listens: the flag may have said port 0.
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) observers: &'a Observers,
    pub(super) books: &'a Arc<CallerBooks>,
}

impl Operation<'_> {
    /// Does what signals ask for. Ready when the server must end at once.
    pub(super) async fn follow(&self, mut signals: Signals, stop: oneshot::Sender<()>) {
        while signals.next_request().await == Request::Reload {
            self.reload();
        }
        // not ready any more before anything else ends
        self.gateway.drain();
        let calls = self.gateway.calls_under_way();
        self.printer.say(&match calls {
            0 => "stopping: no call is under way".to_owned(),
            _ => format!(
                "stopping: no new call is taken; waiting up to {} s for {} (again to stop at once)",
                self.args.drain.as_secs_f64(),
                counted(calls)
            ),
        });
        // the server may have ended by itself
        let _asked = stop.send(());
        while signals.next_request().await == Request::Reload {}
        let calls = self.gateway.calls_under_way();
        self.printer
            .say(&format!("stopped at once; {} cut off", counted(calls)));
    }

    /// Says how a server that was asked to end has ended.
    pub(super) fn ended(&self, cut_off: usize) {
        if cut_off > 0 {
            self.printer.say(&format!(
                "{} did not end in {} s and {} cut off",
                counted(cut_off),
                self.args.drain.as_secs_f64(),
                if cut_off == 1 { "was" } else { "were" }
            ));
        }
    }

    /// Reads certificate and configuration again, and opens the log anew. What cannot be used is refused, and what was there before stays.
    fn reload(&self) {
        self.observers.reopen();
        let begun = Instant::now();
        match self.next_running() {
            Ok((running, changes)) => {
                self.gateway.replace(running);
                let took = begun.elapsed().max(Duration::from_millis(1)).as_millis();
                let line = format!("configuration read again in {took} ms: {changes}");
                self.printer.say(&line);
            }
            Err(error) => {
                self.printer.error(&error);
                self.printer.hint(
                    "the configuration from before stays in use; mend the file and send SIGHUP again",
                );
            }
        }
        if let Some(tls) = &self.tls {
            certificate::read_again(tls, self.printer);
        }
    }

    fn next_running(&self) -> Result<(Running, String)> {
        let config: Config = config(self.args.config.as_deref())?;
        let running = self.gateway.running();
        let next = running.continued(config, super::options(), &env::process, self.books)?;
        if running.needs_keys() && !next.needs_keys() && !self.address.ip().is_loopback() {
            bail!(
                "the configuration has no [[keys]], and everybody who can reach {} could spend your money",
                self.address
            );
        }
        let changes = next.session.changes_since(&running.session);
        Ok((next, changes))
    }
}

fn counted(calls: usize) -> String {
    match calls {
        1 => "1 call".to_owned(),
        _ => format!("{calls} calls"),
    }
}
