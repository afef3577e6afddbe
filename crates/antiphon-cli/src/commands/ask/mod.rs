//! `antiphon ask`.

mod answer;
mod image;
mod streamed;

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use antiphon::core::{ChatRequest, Error, Reply, Schema, SharedModel, patterns::window};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::asking::{AskingArgs, text_or_stdin, until_interrupted};
use crate::{
    Exit,
    printer::{Printer, clean},
};

/// Arguments of `antiphon ask`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  antiphon ask 'Why is the sky blue?' -m sim/demo
  antiphon ask 'Name a river' -m sim/a -m sim/b --stream
  antiphon ask - -m sim/demo --system 'Summarize this' < notes.txt > summary.txt
  antiphon ask 'What is 17 + 25?' -m sim/demo --json | jq -r '.answers[0].text'
  antiphon ask 'What is in this picture?' --image photo.png -m sim/demo
  antiphon ask 'Rate it: it broke after a day' --schema rating.json -m sim/demo

The answer goes to stdout, facts about it to stderr.
Several models are asked at once; their answers come in the order of -m.

Exit codes: 0 all answered, 1 some or all failed, 2 nothing was sent, 130 interrupted.")]
pub(crate) struct AskArgs {
    /// The question; - reads stdin
    prompt: String,
    /// Model that is asked, provider/model or a configured name (repeatable) [default: default_model]
    #[arg(short, long, help_heading = "Model")]
    model: Vec<String>,
    /// Instruction above the question
    #[arg(long, value_name = "TEXT", help_heading = "Model")]
    system: Option<String>,
    /// Image beside the question, a png, jpg, gif or webp file or a URL (repeatable)
    #[arg(long = "image", value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = "Model")]
    images: Vec<String>,
    /// Show the answer as it is written; several side by side, line by line
    #[arg(long, conflicts_with = "json", help_heading = "Answer")]
    stream: bool,
    /// JSON Schema that the answer must fit; it is then printed as one line of JSON
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = "Answer")]
    schema: Option<PathBuf>,
    #[command(flatten)]
    asking: AskingArgs,
}

/// Who is asked what, all of it checked.
struct Question<'a> {
    args: &'a AskArgs,
    printer: &'a Printer,
    names: Vec<String>,
    /// The names as they are shown: of equal ones the later are numbered.
    labels: Vec<String>,
    models: Vec<SharedModel>,
    request: ChatRequest,
}

pub(crate) fn run(args: &AskArgs, printer: &Printer) -> Result<Exit> {
    let asking = args.asking.open(CancellationToken::new())?;
    let names = asking.names(&args.model)?;
    let models = asking.models(&names)?;
    let schema = args.schema.as_deref().map(schema_of).transpose()?;
    let mut request = asking.request(args.system.as_deref(), &text_or_stdin(&args.prompt)?);
    for image in &args.images {
        request = image::with_image(request, image)?;
    }
    if schema.is_some() && request.params.contains_key("response_format") {
        bail!("--schema and --param response_format both say which shape answers have");
    }
    request.schema = schema;
    asking.check(&names, &request)?;
    asking.tell_of_models(&args.asking, printer);
    let question = Question {
        args,
        printer,
        labels: labels(&names),
        names,
        models,
        request,
    };
    until_interrupted(async {
        match (args.asking.json, args.stream && args.schema.is_none()) {
            (true, _) => question.as_json().await,
            (_, true) => streamed::show(&question).await,
            _ => question.in_turn().await,
        }
    })
}

fn schema_of(path: &std::path::Path) -> Result<Schema> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read --schema {shown}"))?;
    let json =
        serde_json::from_str(&text).with_context(|| format!("--schema {shown} is not JSON"))?;
    Schema::new(json).with_context(|| format!("--schema {shown} is not a JSON Schema"))
}

/// `sim/a`, `sim/b`, `sim/a #2`, each on one line whatever the names are.
fn labels(names: &[String]) -> Vec<String> {
    let label = |(at, name): (usize, &String)| {
        let earlier = names[..at].iter().filter(|other| *other == name).count();
        let name = clean(name).replace('\n', "\\n");
        match earlier {
            0 => name,
            earlier => format!("{name} #{}", earlier + 1),
        }
    };
    names.iter().enumerate().map(label).collect()
}

impl Question<'_> {
    /// Each model with the request; a model that is asked twice gives two samples.
    fn calls(&self) -> Vec<(SharedModel, ChatRequest)> {
        let models = self.models.iter().enumerate();
        let call = |(at, model): (usize, &SharedModel)| {
            let same = |other: &&SharedModel| other.name() == model.name();
            let sample = self.models[..at].iter().filter(same).count();
            let mut request = self.request.clone();
            request.sample = u32::try_from(sample).unwrap_or(u32::MAX);
            (SharedModel::clone(model), request)
        };
        models.map(call).collect()
    }

    fn is_alone(&self) -> bool {
        self.models.len() == 1
    }

    fn at_once(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.models.len()).unwrap_or(NonZeroUsize::MIN)
    }

    fn answers(&self) -> impl futures_util::Stream<Item = Result<Reply, Error>> {
        let ask = |_, (model, request): (SharedModel, ChatRequest)| async move {
            let reply = model.ask(request).await;
            reply.map(Reply::released)
        };
        window(self.calls(), self.at_once(), ask).ordered()
    }

    async fn as_json(&self) -> Result<Exit> {
        let answers: Vec<Result<Reply, Error>> = self.answers().collect().await;
        let schema = self.request.schema.as_ref();
        let told = self.names.iter().zip(&answers);
        let told: Vec<Value> = told
            .map(|(name, outcome)| answer::as_json(name, outcome, schema))
            .collect();
        self.printer.json(&json!({ "answers": told }))?;
        Ok(self.exit(answers.iter().filter(|answer| answer.is_err()).count()))
    }

    /// Each answer as soon as it is its turn.
    async fn in_turn(&self) -> Result<Exit> {
        let mut answers = std::pin::pin!(self.answers().enumerate());
        let mut failed = 0;
        while let Some((at, outcome)) = answers.next().await {
            let label = &self.labels[at];
            let mut block = match at {
                _ if self.is_alone() => String::new(),
                0 => format!("==> {label} <==\n"),
                _ => format!("\n==> {label} <==\n"),
            };
            match &outcome {
                Ok(reply) => block.push_str(&answer::as_line(reply, self.request.schema.as_ref())),
                Err(error) if self.is_alone() => return Ok(self.fails(error)),
                Err(error) => {
                    failed += 1;
                    block.push_str(&format!("failed: {}\n", answer::why(error)));
                }
            }
            if !self.printer.text(&block)? {
                // whoever read has enough: what is still in flight is dropped
                return Ok(Exit::Success);
            }
            if let Ok(reply) = &outcome {
                self.say_facts(at, reply, reply.answer.latency);
            }
        }
        Ok(self.exit(failed))
    }

    /// The end where the only model that was asked has failed.
    fn fails(&self, error: &Error) -> Exit {
        let why = anyhow!("{}: {}", self.labels[0], answer::why(error));
        self.printer.error(&why);
        Exit::SomeFailed
    }

    fn say_facts(&self, at: usize, reply: &Reply, took: Duration) {
        let (name, label) = (&self.names[at], &self.labels[at]);
        self.say(&answer::facts(name, label, reply, took));
        if let Some(doubt) = answer::doubt(label, reply) {
            self.say(&doubt);
        }
    }

    fn say(&self, line: &str) {
        self.args.asking.say(self.printer, line);
    }

    /// What the exit code says of so many failures, and the last words where not all answered.
    fn exit(&self, failed: usize) -> Exit {
        if failed == 0 {
            return Exit::Success;
        }
        let asked = self.models.len();
        if asked > 1 {
            self.say(&format!("{failed} of {asked} models failed"));
        }
        Exit::SomeFailed
    }
}
