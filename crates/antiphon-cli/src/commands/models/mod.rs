//! `antiphon models`: what is known of models.

mod details;
mod known;
mod table;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use antiphon::{
    catalog::{Catalog, SCHEMA, energy},
    nearest_model,
};
use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::{Value, json};

use known::Known;

use super::job::config;
use crate::{
    Exit,
    printer::{Printer, clean},
};

/// Arguments of `antiphon models`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  antiphon models
  antiphon models openai/gpt-5
  antiphon models gpt-4o-mini-2024-07-18 --json

Prices are in dollars per million tokens, as they are now. Your own go into antiphon.toml:
  [prices.\"local/qwen\"]
  input = 0
  output = 0")]
pub(crate) struct ModelsArgs {
    /// Part of a model's name, or any name that a provider knows it by
    filter: Option<String>,
    /// Print JSON, with all that is known
    #[arg(long)]
    json: bool,
    /// Prices of models, in place of the built-in ones, in the form that --json prints
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) fn run(args: &ModelsArgs, printer: &Printer) -> Result<Exit> {
    let config = config(args.config.as_deref())?;
    let catalog = config.catalog(args.catalog.as_deref())?;
    let now = SystemTime::now();
    let all = known::all(&catalog, &config);
    let models: Vec<&Known> = match &args.filter {
        None => all.iter().collect(),
        Some(filter) => matching(&catalog, &all, filter),
    };
    if let (true, Some(filter)) = (models.is_empty(), &args.filter) {
        printer.error(&unknown(&all, filter));
        return Ok(Exit::SomeFailed);
    }
    if args.json {
        printer.json(&as_json(&catalog, &models, now))?;
    } else {
        printer.data(&clean(&table::of(&models, now)))?;
        if let Some(one) = the_one(&models, args.filter.as_deref()) {
            printer.data(&clean(&details::of(one)))?;
        }
        printer.say(&legend(&catalog));
    }
    if catalog.is_old(now) {
        printer.say(&format!(
            "these prices are of {}, more than 30 days ago: look whether they still hold; --catalog and [prices] replace them",
            catalog.as_of()
        ));
    }
    Ok(Exit::Success)
}

/// The models that have the text in a name; where there are none, the one that is known by it.
fn matching<'a>(catalog: &Catalog, all: &'a [Known], filter: &str) -> Vec<&'a Known> {
    let part = filter.trim().to_lowercase();
    let has_it = |one: &&Known| one.names().any(|name| name.contains(&part));
    let models: Vec<_> = all.iter().filter(has_it).collect();
    if !models.is_empty() {
        return models;
    }
    let qualified = filter.split_once('/');
    let known = qualified.and_then(|(provider, model)| catalog.find(provider, model));
    // a simulated model is known by the name of any other
    let known = known.or_else(|| catalog.find("sim", filter));
    let is_it = |one: &&Known| known.is_some_and(|entry| Arc::ptr_eq(entry, &one.entry));
    all.iter().filter(is_it).collect()
}

/// The model that is meant: the only one, or the one whose own name was given.
fn the_one<'a>(models: &[&'a Known], filter: Option<&str>) -> Option<&'a Known> {
    let given = filter?.trim().to_lowercase();
    let is_meant = |one: &&Known| {
        let own = one.names().next().unwrap_or_default();
        given == own || given == one.entry.model.to_lowercase()
    };
    match models {
        [one] => Some(one),
        models => models.iter().copied().find(is_meant),
    }
}

fn unknown(all: &[Known], filter: &str) -> anyhow::Error {
    let all: Vec<String> = all.iter().flat_map(Known::names).collect();
    let filter = filter.trim().to_lowercase();
    match nearest_model(&filter, &all) {
        Some(near) => anyhow!("no model is known as {filter:?}; did you mean {near:?}?"),
        None => anyhow!(
            "no model is known as {filter:?}; `antiphon models` lists all, [prices] in antiphon.toml adds one"
        ),
    }
}

/// What the table means, and where it comes from.
fn legend(catalog: &Catalog) -> String {
    let sources = catalog.sources().iter();
    let sources: Vec<String> = sources
        .map(|source| {
            format!("{} {}", source.name, source.version)
                .trim()
                .to_owned()
        })
        .collect();
    let from = match sources.is_empty() {
        true => String::new(),
        false => format!(" from {}", sources.join(" and ")),
    };
    let energy = energy::source();
    format!(
        "dollars per million tokens now, as of {}{from}\n\
         Wh: energy of 1000 tokens of output, estimated by EcoLogits {}, {}\n\
         T: tiers, dearer for much input · C: changes by date or hour · R: retired\n\
         -: not known · --json has all",
        catalog.as_of(),
        energy.version,
        energy.date
    )
}

fn as_json(catalog: &Catalog, models: &[&Known], now: SystemTime) -> Value {
    let models: Vec<Value> = models
        .iter()
        .map(|one| {
            let entry = one.entry.as_ref();
            // data of our own to memory: cannot fail
            let mut value = serde_json::to_value(entry).unwrap_or_default();
            value["prices_now"] = json!(entry.prices_at(now));
            value["retired"] = json!(entry.is_retired(now));
            value["estimate"] = json!(one.estimate.as_ref().map(|estimate| json!({
                "zone": estimate.zone.code,
                "warnings": estimate.warnings.iter().map(|warning| warning.code()).collect::<Vec<_>>(),
                "per_1000_output_tokens": one.impacts(),
            })));
            value
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "as_of": catalog.as_of(),
        "unit": "USD per million tokens",
        "sources": catalog.sources(),
        "models": models,
    })
}
