//! `antiphon review`.

mod roles;
mod told;

use std::{num::NonZeroUsize, path::PathBuf};

use antiphon::core::{
    SharedModel,
    patterns::{Document, PanelReview, ReviewError, ReviewPanel, window},
};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::asking::{AskingArgs, until_interrupted};
use crate::{Exit, args::is_dash, printer::Printer, words};

/// Files under review at once, each by all of its roles. How many calls that makes is up to the limits of the account.
const FILES_AT_ONCE: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Arguments of `antiphon review`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  antiphon review README.md -m sim/demo
  antiphon review src/*.rs -m sim/demo --role security --role 'style=Look at names.'
  git diff | antiphon review - -m sim/demo --json | jq .aggregate.mean_score
  antiphon review plan.md -m sim/a --synthesizer sim/b

Each role is a call, and one more makes one review of theirs.
Reviews come in the order of the files.

Exit codes: 0 all reviewed, 1 some reviews failed, 2 nothing was sent, 130 interrupted.")]
pub(crate) struct ReviewArgs {
    /// Text files; - reads stdin
    #[arg(required = true, value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Point of view, with what to look at (repeatable) [default: security, performance and maintainability, whose names
    /// alone will do]
    #[arg(long = "role", value_name = "NAME=TEXT")]
    roles: Vec<String>,
    /// Model of the reviewers, provider/model or a configured name [default: default_model]
    #[arg(short, long, help_heading = "Model")]
    model: Option<String>,
    /// Model that makes one review of theirs [default: that of the reviewers]
    #[arg(long, value_name = "MODEL", help_heading = "Model")]
    synthesizer: Option<String>,
    #[command(flatten)]
    asking: AskingArgs,
}

pub(crate) fn run(args: &ReviewArgs, printer: &Printer) -> Result<Exit> {
    let asking = args.asking.open(CancellationToken::new())?;
    let model = asking.model(args.model.as_deref())?;
    let mut panel = ReviewPanel::default();
    if !args.roles.is_empty() {
        panel = roles::of(&panel, &args.roles)?;
    }
    if let Some(name) = &args.synthesizer {
        panel = panel.with_synthesizer(asking.model(Some(name))?);
    }
    if asking.params().contains_key("response_format") {
        bail!("--param response_format cannot be set: a review has a shape of its own");
    }
    for (name, value) in asking.params() {
        panel = panel.with_param(name, value.clone());
    }
    let documents = documents(&args.files)?;
    for document in &documents {
        panel.check(document)?;
    }
    asking.tell_of_models(&args.asking, printer);
    until_interrupted(review(args, printer, &panel, &model, &documents))
}

/// The files, read before anything is sent.
fn documents(files: &[PathBuf]) -> Result<Vec<Document>> {
    if files.iter().filter(|file| is_dash(file)).count() > 1 {
        bail!("- stands for stdin, which can be read only once");
    }
    let document = |file: &PathBuf| {
        let (name, bytes) = if is_dash(file) {
            let mut bytes = Vec::new();
            let read = std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes);
            ("stdin".to_owned(), read.map(|_| bytes))
        } else {
            (file.display().to_string(), std::fs::read(file))
        };
        let bytes = bytes.with_context(|| format!("cannot read {name}"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let place = words::count(error.utf8_error().valid_up_to() as u64 + 1);
            anyhow!("{name} is not UTF-8 text, from its byte {place} on")
        })?;
        Ok(Document::new(name, text))
    };
    files.iter().map(document).collect()
}

async fn review(
    args: &ReviewArgs,
    printer: &Printer,
    panel: &ReviewPanel,
    model: &SharedModel,
    documents: &[Document],
) -> Result<Exit> {
    let reviews = window(documents, FILES_AT_ONCE, |_, document| async move {
        (document, panel.review(model, document).await)
    });
    let mut reviews = reviews.ordered().enumerate();
    let (mut calls, mut failed) = (0, 0);
    while let Some((at, (document, outcome))) = reviews.next().await {
        calls += told::spent(&outcome).calls;
        failed += failures(&outcome);
        let has_reader = if args.asking.json {
            printer.json(&told::as_json(&document.id, &outcome))?
        } else {
            let apart = if at == 0 { "" } else { "\n" };
            printer.text(&format!("{apart}{}", told::as_text(&document.id, &outcome)))?
        };
        if !has_reader {
            // whoever read has enough: what is still in flight is dropped
            return Ok(Exit::Success);
        }
        if !args.asking.json {
            args.asking
                .say(printer, &told::what_it_took(&document.id, &outcome));
        }
    }
    if failed == 0 {
        return Ok(Exit::Success);
    }
    let calls = words::several(calls, "call", "calls");
    args.asking
        .say(printer, &format!("{failed} of {calls} failed"));
    Ok(Exit::SomeFailed)
}

/// How many calls have failed.
fn failures(outcome: &Result<PanelReview, ReviewError>) -> usize {
    let (reviews, synthesis) = match outcome {
        Ok(review) => (review.reviews.as_slice(), review.synthesis.as_ref()),
        Err(error) if error.reviews().is_empty() => return 1,
        Err(error) => (error.reviews(), None),
    };
    let synthesis = usize::from(synthesis.is_some_and(Result::is_err));
    synthesis + reviews.iter().filter(|role| role.outcome.is_err()).count()
}
