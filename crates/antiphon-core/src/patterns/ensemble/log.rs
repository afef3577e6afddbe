//! What an ensemble tells of its calls: never prompts, answers or keys.

use tracing::{debug, error, info, warn};

use super::config::{EnsembleConfig, LogLevel};
use crate::{
    Error,
    chat::{Decision, Member, MemberError},
};

/// What filters call it.
const TARGET: &str = "antiphon::ensemble";

/// Tells what the settings of a call want told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log<'a> {
    ensemble: &'a str,
    from: Option<LogLevel>,
}

impl<'a> Log<'a> {
    pub(super) fn new(ensemble: &'a str, config: &EnsembleConfig) -> Self {
        Self {
            ensemble,
            from: config.enable_logging.then_some(config.log_level),
        }
    }

    fn tells(&self, level: LogLevel) -> bool {
        self.from.is_some_and(|from| level >= from)
    }

    pub(super) fn members(&self, members: &[Member]) {
        let ensemble = self.ensemble;
        for (index, member) in members.iter().enumerate() {
            let model = member.model.as_str();
            match &member.error {
                None if self.tells(LogLevel::Debug) => {
                    debug!(target: TARGET, ensemble, index, model, "a member answered");
                }
                Some(error) if self.tells(level_of(error)) => {
                    let code = error.code.as_str();
                    match level_of(error) {
                        LogLevel::Debug => {
                            debug!(target: TARGET, ensemble, index, model, code, "a member was not waited for");
                        }
                        _ => {
                            warn!(target: TARGET, ensemble, index, model, code, "a member failed");
                        }
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn decision(&self, decision: &Decision) {
        let (ensemble, by, from) = (self.ensemble, decision.by.as_str(), &decision.from);
        if decision.failure.is_some() {
            if self.tells(LogLevel::Warning) {
                let decider = decision.decider.as_ref();
                let code = decider.and_then(|member| Some(member.error.as_ref()?.code.as_str()));
                warn!(target: TARGET, ensemble, by, ?from, code, "a decision is in doubt");
            }
        } else if self.tells(LogLevel::Info) {
            info!(target: TARGET, ensemble, by, ?from, "decided");
        }
    }

    pub(super) fn failed(&self, error: &Error) {
        let (ensemble, code) = (self.ensemble, error.kind().code());
        if error.kind().is_given_up() {
            if self.tells(LogLevel::Debug) {
                debug!(target: TARGET, ensemble, code, "given up");
            }
        } else if self.tells(LogLevel::Error) {
            error!(target: TARGET, ensemble, code, "no answer");
        }
    }
}

fn level_of(error: &MemberError) -> LogLevel {
    match error.is_cancelled() {
        true => LogLevel::Debug,
        false => LogLevel::Warning,
    }
}
