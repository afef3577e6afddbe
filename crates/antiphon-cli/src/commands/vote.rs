//! `antiphon vote`.

use std::num::NonZeroUsize;

use antiphon::core::patterns::vote::{Ballot, Poll, Polled, Rule};
use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::asking::{AskingArgs, text_or_stdin, until_interrupted};
use crate::{Exit, printer::Printer, words};

/// Arguments of `antiphon vote`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  antiphon vote 'Is this spam? You have won!' --choices spam,ham -m sim/a -m sim/b -m sim/c
  antiphon vote 'Which team should answer? …' --choices billing,technical,sales -m openai/gpt-4o-mini --samples 7

Most votes win; of equals, the choice of the voter named first. Calls that can no longer change the winner are cancelled.
Exit codes: 0 there is a winner, 1 there is none or every voter failed, 2 nothing was sent, 130 interrupted.")]
pub(crate) struct VoteArgs {
    /// The question; - reads stdin
    prompt: String,
    /// What may be answered, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    choices: Vec<String>,
    /// Model that votes, provider/model or a configured name (repeatable)
    #[arg(short, long, help_heading = "Model")]
    model: Vec<String>,
    /// Votes of each model
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Model")]
    samples: NonZeroUsize,
    /// Instruction above the question
    #[arg(long, help_heading = "Model")]
    system: Option<String>,
    /// A vote weighs its confidence, in place of one
    #[arg(long, help_heading = "Rule")]
    weighted: bool,
    /// Votes that must be cast for a winner
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Rule")]
    quorum: usize,
    /// Wait for every vote, also when the winner is certain
    #[arg(long, help_heading = "Rule")]
    all: bool,
    #[command(flatten)]
    asking: AskingArgs,
}

pub(crate) fn run(args: &VoteArgs, printer: &Printer) -> Result<Exit> {
    let prompt = text_or_stdin(&args.prompt)?;
    let asking = args.asking.open(CancellationToken::new())?;
    let models = asking.models(&args.model)?;
    let voters = std::iter::repeat_n(models, args.samples.get()).flatten();
    let rule = if args.weighted {
        Rule::by_confidence()
    } else {
        Rule::majority()
    };
    let choices = args.choices.iter().map(|choice| choice.trim());
    let mut poll = Poll::new(voters.collect(), choices, rule.with_quorum(args.quorum))?;
    if args.all {
        poll = poll.with_full_count();
    }
    until_interrupted(async {
        let polled = match poll
            .ask(asking.request(args.system.as_deref(), &prompt))
            .await
        {
            Ok(polled) => polled,
            Err(error) => {
                printer.error(&error.into());
                return Ok(Exit::SomeFailed);
            }
        };
        if args.asking.json {
            printer.data(&format!("{}\n", as_json(&polled)))?;
        } else {
            printer.data(&as_text(&polled))?;
            printer.say(&what_it_took(&polled));
        }
        Ok(match polled.vote.winner {
            Some(_) => Exit::Success,
            None => Exit::SomeFailed,
        })
    })
}

fn as_text(polled: &Polled) -> String {
    let vote = &polled.vote;
    let mut text = match (&vote.winner, vote.confidence) {
        (Some(winner), Some(confidence)) => format!("{winner} (confidence {confidence:.2})\n"),
        (Some(winner), None) => format!("{winner}\n"),
        (None, _) if !vote.quorum_reached => "no winner: too few votes were cast\n".to_owned(),
        (None, _) => "no winner\n".to_owned(),
    };
    let widest = vote
        .votes
        .iter()
        .map(|count| count.category.chars().count())
        .max();
    for count in &vote.votes {
        let width = widest.unwrap_or_default();
        text.push_str(&format!(
            "  {:<width$}  {}\n",
            count.category,
            words::several(count.votes as u64, "vote", "votes")
        ));
    }
    text
}

fn what_it_took(polled: &Polled) -> String {
    let vote = &polled.vote;
    let mut said = vec![words::several(u64::from(polled.attempts), "call", "calls")];
    if vote.calls_saved > 0 {
        said.push(format!(
            "{} saved: the winner was certain",
            vote.calls_saved
        ));
    }
    let failed = polled.ballots.iter().filter_map(|ballot| match ballot {
        Ballot::Failed(error) => Some(error),
        _ => None,
    });
    let failed: Vec<_> = failed.collect();
    if let Some(first) = failed.first() {
        let voters = words::several(failed.len() as u64, "voter", "voters");
        said.push(format!("{voters} failed: {first}"));
    }
    if let Some(usage) = polled.usage {
        said.push(words::tokens(&usage));
    }
    said.join(" · ")
}

fn as_json(polled: &Polled) -> Value {
    let ballots = polled.ballots.iter().map(|ballot| match ballot {
        Ballot::Cast { category, confidence, reply } => json!({
            "model": reply.head.model, "category": category, "confidence": confidence, "usage": reply.usage(), "error": null,
        }),
        Ballot::Failed(error) => json!({
            "error": {"code": error.kind().code(), "message": error.message()},
        }),
        Ballot::Cancelled => json!({"error": {"code": "cancelled", "message": "the outcome was certain"}}),
    });
    let ballots: Vec<Value> = ballots.collect();
    json!({"vote": polled.vote, "ballots": ballots, "usage": polled.usage, "attempts": polled.attempts, "cost_usd": null})
}
