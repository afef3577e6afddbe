//! [`Summary`]: what an ensemble is and what it has done.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::config::EnsembleConfig;
use crate::{
    Error, Spent, Usage,
    chat::{Decision, Member},
};

/// What an ensemble has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Calls that ended, well or not.
    pub calls: u64,
    /// Of them without an answer.
    pub calls_failed: u64,
    /// Members that were asked, or whose recorded answer was taken.
    pub members_asked: u64,
    /// Of them with an answer.
    pub members_succeeded: u64,
    /// Of them without one.
    pub members_failed: u64,
    /// Of them cancelled, since their answer was no longer needed.
    pub members_cancelled: u64,
    /// Decisions that were made.
    pub decisions_made: u64,
    /// Of them in doubt: the two judgings of a swapped judge differ, or only one of them came out.
    pub decisions_in_doubt: u64,
    /// Decisions that were not needed, since only one member had an answer.
    pub decisions_skipped: u64,
    /// Decisions that failed, so that the first answer was taken.
    pub decisions_failed: u64,
    /// Tokens of all members and decisions.
    pub tokens: Usage,
}

impl Counters {
    pub(super) fn members(&mut self, members: &[Member]) {
        for member in members {
            self.members_asked += 1;
            match &member.error {
                None => self.members_succeeded += 1,
                Some(error) if error.is_cancelled() => self.members_cancelled += 1,
                Some(_) => self.members_failed += 1,
            }
        }
    }

    pub(super) fn decided(&mut self, decision: &Decision, spent: Spent) {
        self.calls += 1;
        self.tokens += spent.usage().unwrap_or_default();
        match decision.by.as_str() {
            "sole" => self.decisions_skipped += 1,
            "first" => self.decisions_failed += 1,
            _ => {
                self.decisions_made += 1;
                self.decisions_in_doubt += u64::from(decision.failure.is_some());
            }
        }
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.calls += 1;
        self.calls_failed += 1;
        self.tokens += error.usage().unwrap_or_default();
    }
}

/// An ensemble at a glance: as text for people, as a value for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The ensemble's name.
    pub name: String,
    /// The models of its members, one for each; empty where each call names them.
    pub members: Vec<String>,
    /// How it decides: `decide`, `judge`, `synthesize`, `vote`.
    pub decider: &'static str,
    /// Answers that are enough; `None` is all.
    pub quorum: Option<usize>,
    /// Seconds after which one answer is enough.
    pub deadline_s: Option<f64>,
    /// The settings as they are now.
    pub config: EnsembleConfig,
    /// What it has done.
    pub counters: Counters,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            config, counters, ..
        } = self;
        let members = match self.members.as_slice() {
            [] => format!("{} of the model that a call names", config.num_processors),
            names => names.join(", "),
        };
        writeln!(f, "{}: members: {members}", self.name)?;
        write!(f, "decider: {}", self.decider)?;
        if self.decider != "vote" {
            write!(
                f,
                " by {} at temperature {}",
                config.decision_maker_model, config.decision_maker_temperature
            )?;
        }
        if config.decision_maker_prompt.is_some() {
            write!(f, ", with a prompt of its own")?;
        }
        if config.pass_reasoning {
            write!(f, ", with the members' reasoning")?;
        }
        writeln!(f)?;
        let limit = |limit: Option<Duration>| {
            limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:?}"))
        };
        write!(
            f,
            "a try: timeout {}, {} retries",
            limit(config.timeout),
            config.max_retries
        )?;
        if let Some(quorum) = self.quorum {
            write!(f, "; quorum: {quorum}")?;
        }
        if let Some(seconds) = self.deadline_s {
            write!(f, "; deadline: {seconds} s")?;
        }
        let c = counters;
        writeln!(
            f,
            "\ncalls: {}, {} failed; members: {} asked, {} succeeded, {} failed, {} cancelled",
            c.calls,
            c.calls_failed,
            c.members_asked,
            c.members_succeeded,
            c.members_failed,
            c.members_cancelled
        )?;
        write!(
            f,
            "decisions: {} made ({} in doubt), {} skipped, {} failed; tokens: {} in, {} out",
            c.decisions_made,
            c.decisions_in_doubt,
            c.decisions_skipped,
            c.decisions_failed,
            c.tokens.input_tokens,
            c.tokens.output_tokens
        )
    }
}
