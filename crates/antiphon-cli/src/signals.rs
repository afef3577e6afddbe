//! Ctrl-C, SIGTERM and SIGHUP: the first drains, the second ends at once.

use std::sync::Arc;

use antiphon::core::{
    job::{Stop, StopReason},
    layers::meter::Metrics,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Exit, printer::Printer};

/// Listens for signals as long as the job goes on.
pub(crate) async fn drain_on_signal(stop: Stop, metrics: Arc<Metrics>, printer: Arc<Printer>) {
    let Ok(mut signals) = Signals::new() else {
        return;
    };
    signals.next().await;
    let in_flight = metrics.snapshot().in_flight;
    stop.drain(StopReason::Interrupted);
    printer.say(&format!(
        "interrupted: nothing new is sent; waiting for {in_flight} calls in flight (again to stop at once)"
    ));
    signals.next().await;
    printer.end_bar();
    #[allow(
        clippy::exit,
        reason = "at once is what was asked for; the ledger is always valid"
    )]
    std::process::exit(Exit::Interrupted as i32);
}

/// What a signal asks a server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Ctrl-C or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
}

pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// What a server is asked for.
    pub(crate) async fn next_request(&mut self) -> Request {
        tokio::select! {
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.terminate.recv() => Request::Stop,
            _ = self.hangup.recv() => Request::Reload,
        }
    }
}
