//! `antiphon vote`.

use antiphon::core::{
    Error, SharedModel, Spent,
    patterns::vote::{Ballot, CategoryCount, Poll, Polled, Rule},
};
use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::asking::{AskingArgs, error_as_json, text_or_stdin, until_interrupted};
use crate::{Exit, printer::Printer, words};

/// Arguments of `antiphon vote`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  antiphon vote 'Spam? You have won!' --choices spam,ham -m sim/a -m sim/b -m sim/c
  antiphon vote 'Spam? You have won!' --choices spam,ham -m sim/demo --samples 7 \\
    --quorum 4 --json
  team=$(antiphon vote - -q --choices billing,sales -m sim/demo --samples 5 < ticket.txt)

Most votes win; with --weighted, the largest sum of confidences.
Of equals the one wins that has the vote of the voter named first.
A voter whose call fails abstains.
Calls that can no longer change the winner are cancelled; --all waits for every vote.
The winner goes to stdout, the counts to stderr.

Exit codes: 0 there is a winner, 1 there is none, 2 nothing was sent, 130 interrupted.")]
pub(crate) struct VoteArgs {
    /// The question; - reads stdin
    prompt: String,
    /// What may be answered, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    choices: Vec<String>,
    /// Model that votes, provider/model or a configured name (repeatable) [default: default_model]
    #[arg(short, long, help_heading = "Model")]
    model: Vec<String>,
    /// Votes of each model
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000), allow_negative_numbers = true, help_heading = "Model")]
    samples: u16,
    /// Instruction above the question
    #[arg(long, value_name = "TEXT", help_heading = "Model")]
    system: Option<String>,
    /// A vote weighs its confidence, in place of one
    #[arg(long, help_heading = "Rule")]
    weighted: bool,
    /// Votes that must be cast for a winner
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true, help_heading = "Rule")]
    quorum: u32,
    /// Wait for every vote, also when the winner is certain
    #[arg(long, help_heading = "Rule")]
    all: bool,
    #[command(flatten)]
    asking: AskingArgs,
}

pub(crate) fn run(args: &VoteArgs, printer: &Printer) -> Result<Exit> {
    let asking = args.asking.open(CancellationToken::new())?;
    let names = asking.names(&args.model)?;
    let models = asking.models(&names)?;
    let choices = choices(&args.choices)?;
    if asking.params().contains_key("response_format") {
        bail!("--param response_format cannot be set: the choices say which shape answers have");
    }
    let samples = usize::from(args.samples);
    let voters: Vec<SharedModel> = std::iter::repeat_n(models, samples).flatten().collect();
    let names: Vec<String> = std::iter::repeat_n(names, samples).flatten().collect();
    let rule = match args.weighted {
        true => Rule::by_confidence(),
        false => Rule::majority(),
    };
    let mut poll = Poll::new(voters, choices, rule.with_quorum(args.quorum as usize))?;
    if args.all {
        poll = poll.with_full_count();
    }
    let request = asking.request(args.system.as_deref(), &text_or_stdin(&args.prompt)?);
    asking.tell_of_models(&args.asking, printer);
    until_interrupted(async {
        match poll.ask(request).await {
            Ok(polled) => tell(args, printer, &names, &polled),
            Err(error) => fail(args, printer, &error),
        }
    })
}

fn choices(given: &[String]) -> Result<Vec<&str>> {
    let choices: Vec<&str> = given.iter().map(|choice| choice.trim()).collect();
    if choices.contains(&"") {
        bail!("--choices {}: a choice is empty", given.join(","));
    }
    if let [only] = choices[..] {
        bail!("--choices {only}: a vote needs at least two choices, for instance {only},other");
    }
    Ok(choices)
}

fn tell(args: &VoteArgs, printer: &Printer, names: &[String], polled: &Polled) -> Result<Exit> {
    let vote = &polled.vote;
    if args.asking.json {
        printer.json(&as_json(names, polled))?;
    } else if let Some(winner) = &vote.winner {
        printer.text(&format!("{winner}\n"))?;
    } else if vote.quorum_reached {
        printer.error(&anyhow!("no winner"));
    } else {
        let cast = votes(vote.votes.iter().map(|count| count.votes).sum());
        let quorum = args.quorum;
        printer.error(&anyhow!(
            "no winner: {cast} cast, and the quorum is {quorum}"
        ));
    }
    if !args.asking.json {
        args.asking.say(printer, &counts(args.weighted, polled));
        args.asking.say(printer, &what_it_took(polled));
        for (name, ballot) in names.iter().zip(&polled.ballots) {
            if let Ballot::Failed(error) = ballot {
                let why = format!("{name} abstained: {}: {error}", error.kind());
                args.asking.say(printer, &why);
            }
        }
    }
    Ok(match vote.winner {
        Some(_) => Exit::Success,
        None => Exit::SomeFailed,
    })
}

fn fail(args: &VoteArgs, printer: &Printer, error: &Error) -> Result<Exit> {
    if args.asking.json {
        let [energy, carbon] = words::impacts_as_json(&error.spent());
        printer.json(&json!({
            "vote": null, "ballots": [], "usage": error.usage(), "attempts": error.attempts(), "cost_usd": error.spent().cost(),
            "energy_kwh": energy, "gwp_kgco2eq": carbon, "error": error_as_json(error),
        }))?;
    } else {
        printer.error(&anyhow!("{error}"));
    }
    Ok(Exit::SomeFailed)
}

/// `spam 3 votes · ham 1 vote · confidence 0.87`.
fn counts(weighted: bool, polled: &Polled) -> String {
    let vote = &polled.vote;
    let count = |count: &CategoryCount| {
        let mut said = format!("{} {}", count.category, votes(count.votes));
        if weighted && count.votes > 0 {
            said.push_str(&format!(" weighing {:.2}", count.weight));
        }
        said
    };
    let mut said: Vec<String> = vote.votes.iter().map(count).collect();
    if let Some(confidence) = vote.confidence {
        said.push(format!("confidence {confidence:.2}"));
    }
    if let Some(winner) = &vote.winner
        && is_tie(polled)
    {
        said.push(format!("a tie: the voter named first said {winner}"));
    }
    said.join(" · ")
}

/// Whether another category weighs as much as the winner.
fn is_tie(polled: &Polled) -> bool {
    let vote = &polled.vote;
    let winner = vote
        .votes
        .iter()
        .find(|count| Some(&count.category) == vote.winner.as_ref());
    let Some(winner) = winner else {
        return false;
    };
    let equals =
        |count: &&CategoryCount| (count.weight - winner.weight).abs() < 1e-9 && count.votes > 0;
    vote.votes.iter().filter(equals).count() > 1
}

fn votes(number: usize) -> String {
    words::several(number as u64, "vote", "votes")
}

fn what_it_took(polled: &Polled) -> String {
    let attempts = u64::from(polled.attempts);
    let mut said = vec![words::several(attempts, "attempt", "attempts")];
    if polled.vote.calls_saved > 0 {
        let saved = words::several(polled.vote.calls_saved as u64, "call", "calls");
        said.push(format!("{saved} saved: the outcome was certain"));
    }
    said.push(match polled.spent.usage() {
        Some(usage) => words::tokens(&usage),
        None => "tokens unknown".to_owned(),
    });
    said.push(words::cost(&polled.spent));
    said.extend(words::impacts(&polled.spent));
    said.join(" · ")
}

/// The vote, and a ballot for each voter with the same fields whatever became of it.
fn as_json(names: &[String], polled: &Polled) -> Value {
    let ballot = |(name, ballot): (&String, &Ballot)| {
        let (category, confidence, spent, error) = match ballot {
            Ballot::Cast {
                category,
                confidence,
                reply,
            } => (Some(category), Some(confidence), reply.spent(), Value::Null),
            Ballot::Failed(error) => (None, None, error.spent(), error_as_json(error)),
            Ballot::Cancelled => {
                let error = json!({"code": "cancelled", "message": "the outcome was certain"});
                (None, None, Spent::lost(), error)
            }
        };
        let [energy, carbon] = words::impacts_as_json(&spent);
        json!({
            "model": name, "category": category, "confidence": confidence, "usage": spent.usage(), "cost_usd": spent.cost(),
            "energy_kwh": energy, "gwp_kgco2eq": carbon, "error": error,
        })
    };
    let ballots: Vec<Value> = names.iter().zip(&polled.ballots).map(ballot).collect();
    let [energy, carbon] = words::impacts_as_json(&polled.spent);
    json!({
        "vote": polled.vote, "ballots": ballots, "usage": polled.spent.usage(), "attempts": polled.attempts, "cost_usd": polled.spent.cost(),
        "energy_kwh": energy, "gwp_kgco2eq": carbon, "error": null,
    })
}
