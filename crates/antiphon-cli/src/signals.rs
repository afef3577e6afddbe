//! Ctrl-C, SIGTERM and SIGHUP: the first drains, the second ends at once.

use antiphon::core::job::StopReason;
use antiphon::run::RunWatch;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Exit, printer::Printer};

/// Listens for signals as long as the run goes on.
pub(crate) async fn drain_on_signal(watch: RunWatch, printer: std::sync::Arc<Printer>) {
    let Ok(mut signals) = Signals::new() else {
        return;
    };
    signals.next().await;
    let in_flight = watch.metrics().snapshot().in_flight;
    watch.stop().drain(StopReason::Interrupted);
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
}
