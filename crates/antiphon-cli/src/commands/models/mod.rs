//! `antiphon models`: what is known of models.

mod details;
mod table;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use antiphon::{
    catalog::{Catalog, Entry, SCHEMA},
    nearest,
};
use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::{Value, json};

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
    let catalog = config(args.config.as_deref())?.catalog(args.catalog.as_deref())?;
    let now = SystemTime::now();
    let models = match &args.filter {
        None => catalog.models().collect(),
        Some(filter) => matching(&catalog, filter),
    };
    if let (true, Some(filter)) = (models.is_empty(), &args.filter) {
        printer.error(&unknown(&catalog, filter));
        return Ok(Exit::SomeFailed);
    }
    if args.json {
        printer.json(&as_json(&catalog, &models, now))?;
    } else {
        printer.data(&clean(&table::of(&models, now)))?;
        if let Some(one) = the_one(&models, args.filter.as_deref()) {
            printer.data(&clean(&details::of(one)))?;
        }
        if !models.is_empty() {
            printer.say(&legend(&catalog));
        }
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
fn matching<'a>(catalog: &'a Catalog, filter: &str) -> Vec<&'a Arc<Entry>> {
    let part = filter.trim().to_lowercase();
    let has_it = |entry: &&Arc<Entry>| names(entry).any(|name| name.contains(&part));
    let models: Vec<_> = catalog.models().filter(has_it).collect();
    if !models.is_empty() {
        return models;
    }
    let qualified = filter.split_once('/');
    let known = qualified.and_then(|(provider, model)| catalog.find(provider, model));
    // a simulated model is known by the name of any other
    known
        .or_else(|| catalog.find("sim", filter))
        .into_iter()
        .collect()
}

/// The model that is meant: the only one, or the one whose own name was given.
fn the_one<'a>(models: &[&'a Arc<Entry>], filter: Option<&str>) -> Option<&'a Entry> {
    let given = filter?.trim().to_lowercase();
    let is_meant = |entry: &&Arc<Entry>| {
        let own = names(entry).next().unwrap_or_default();
        given == own || given == entry.model.to_lowercase()
    };
    match models {
        [one] => Some(one),
        models => models.iter().copied().find(is_meant).map(Arc::as_ref),
    }
}

/// The names of a model, each behind its provider.
fn names(entry: &Entry) -> impl Iterator<Item = String> {
    let aliases = entry.aliases.iter();
    std::iter::once(&entry.model)
        .chain(aliases)
        .map(|name| format!("{}/{name}", entry.provider).to_lowercase())
}

fn unknown(catalog: &Catalog, filter: &str) -> anyhow::Error {
    let all: Vec<String> = catalog.models().flat_map(|entry| names(entry)).collect();
    let filter = filter.trim().to_lowercase();
    let near = nearest(&filter, all.iter().map(String::as_str)).or_else(|| {
        let bare = all.iter().filter_map(|name| Some(name.split_once('/')?.1));
        nearest(&filter, bare)
    });
    match near {
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
    format!(
        "dollars per million tokens, as of {}{from}\nT: tiers, dearer for much input · C: changes by date or hour · --json has all",
        catalog.as_of()
    )
}

fn as_json(catalog: &Catalog, models: &[&Arc<Entry>], now: SystemTime) -> Value {
    let models: Vec<Value> = models
        .iter()
        .map(|entry| {
            // data of our own to memory: cannot fail
            let mut value = serde_json::to_value(entry.as_ref()).unwrap_or_default();
            value["prices_now"] = json!(entry.prices_at(now));
            value["retired"] = json!(entry.is_retired(now));
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
