//! What a run finds of the one before it.

use std::collections::BTreeMap;

use antiphon_core::job::{Comparison, JobConfig, Settled, survey};
use antiphon_store::{DiskSeen, SqliteLedger};
use serde_json::Value;

use super::{RunError, RunOptions, feed::Feed, plan::ledger_error};
use crate::session::Session;

/// Key of the ledger's note of what the last run's plan was.
const PLAN_NOTE: &str = "plan";

/// The part whose number is kept as it is: that a sample grows is no news.
const SAMPLE: &str = "--sample (which rows are read)";

/// What decides about answers, part by part, so that a change can be named: the part in the words of the user, and a hash
/// of what is said; `None` where nothing is.
pub(super) struct Plan(Vec<(&'static str, Option<String>)>);

impl Plan {
    pub(super) fn new(options: &RunOptions, session: &Session) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let schema = options.schema.as_ref().map(Value::to_string);
        let params = Value::Object(options.params.clone()).to_string();
        let asked = &options.session;
        let ensemble = asked.ensemble.as_ref();
        let parts = [
            ("the input format", Some(text(&options.input_format))),
            ("--model", Some(text(&options.model))),
            ("--prompt", Some(text(&options.prompt))),
            ("--system", Some(text(&options.system))),
            ("--schema", Some(text(&schema))),
            ("--param", Some(params)),
            ("--provider", Some(text(&asked.provider))),
            ("--base-url", Some(text(&asked.base_url))),
            (
                "the configuration of models and providers",
                Some(session.meaning_of_names()),
            ),
            ("--include-input", Some(options.include_input.to_string())),
            ("--order", Some(format!("{:?}", options.order))),
            // ledgers that are older than these lack them
            (
                "--ensemble",
                ensemble.map(|ensemble| format!("{ensemble:?}")),
            ),
            (
                "what is compared (prompts or models)",
                (!options.variants.is_empty()).then(|| format!("{:?}", options.variants)),
            ),
            (
                "what is asked of each document",
                options.analysis.as_ref().map(|analysis| analysis.meaning()),
            ),
            (SAMPLE, options.sample.map(|number| number.to_string())),
            ("--samples", asked.samples.map(|number| number.to_string())),
        ];
        let hashed = parts.map(|(name, said)| match name {
            SAMPLE => (name, said),
            _ => (name, said.as_deref().map(short_hash)),
        });
        Self(hashed.into())
    }

    /// Notes it in the ledger, for the next run to compare with.
    pub(super) fn keep(&self, ledger: &SqliteLedger) -> Result<(), RunError> {
        let said = self
            .0
            .iter()
            .filter_map(|(name, hash)| Some((*name, hash.as_deref()?)));
        let said: BTreeMap<&str, &str> = said.collect();
        let text = serde_json::to_string(&said).unwrap_or_default();
        ledger.write_note(PLAN_NOTE, text).map_err(ledger_error)
    }

    /// What differs from the last run's plan.
    pub(super) fn changed_since_last(&self, ledger: &SqliteLedger) -> Result<Changed, RunError> {
        let old: BTreeMap<String, String> = ledger
            .note(PLAN_NOTE)
            .map_err(ledger_error)?
            .and_then(|plan| serde_json::from_str(&plan).ok())
            .unwrap_or_default();
        let mut changed = Changed::default();
        for (name, said) in &self.0 {
            let before = old.get(*name);
            if before == said.as_ref() {
                continue;
            }
            changed.any = true;
            if *name != SAMPLE || !grows(before, said.as_ref()) {
                changed.told.push(*name);
            }
        }
        Ok(changed)
    }
}

/// How a plan differs from the last one.
#[derive(Default)]
pub(super) struct Changed {
    any: bool,
    /// Parts to be told of: what the user may not expect.
    told: Vec<&'static str>,
}

/// Whether all rows of the sample before are read again: a larger one holds the smaller one, and the whole input holds all.
fn grows(before: Option<&String>, now: Option<&String>) -> bool {
    let number = |text: &String| text.parse::<u64>().ok();
    match (before, now) {
        (Some(_), None) => true,
        (Some(before), Some(now)) => number(before).zip(number(now)).is_some_and(|(a, b)| a < b),
        (None, _) => false,
    }
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// How a run goes on from the last one.
pub(super) struct Resumed {
    pub(super) comparison: Comparison,
    /// Whether the output is written anew.
    pub(super) rebuild: bool,
    /// What changed.
    pub(super) told: Option<String>,
    /// Rows that need no planning if the output goes on after them.
    pub(super) settled: Settled,
}

impl Resumed {
    /// Every row is looked up by its content, and the output is written anew.
    fn by_content(told: Option<String>) -> Self {
        Self {
            comparison: Comparison::Changed { line: None },
            rebuild: true,
            told,
            settled: Settled::default(),
        }
    }
}

/// Compares input and plan with the last run's, and says what changed before the first call.
pub(super) fn compare(
    feed: &Feed,
    row_word: &str,
    ledger: &SqliteLedger,
    config: &JobConfig,
    changed: &Changed,
    seen: &mut DiskSeen,
) -> Result<Resumed, RunError> {
    if ledger.is_new() {
        return Ok(Resumed {
            comparison: Comparison::Fresh,
            rebuild: false,
            told: None,
            settled: Settled::default(),
        });
    }
    if changed.any {
        let told = (!changed.told.is_empty()).then(|| {
            let parts = changed.told.join(" and ");
            format!(
                "since the last run {parts} changed; rows with the same request keep their answers"
            )
        });
        return Ok(Resumed::by_content(told));
    }
    if !ledger.layout_is_whole().map_err(ledger_error)? {
        return Ok(Resumed::by_content(Some(
            "the last run did not map its input to the end; rows are found by their content"
                .to_owned(),
        )));
    }
    let mut source = feed.open()?;
    let checkpoint = ledger.last_checkpoint().map_err(ledger_error)?;
    // what is settled is told by a row's number, which in a sample is not how many were read: all are planned
    let written = match feed.drawn {
        Some(_) => 0,
        None => checkpoint.rows,
    };
    let survey = survey(&mut *source, ledger, config, seen, written).map_err(ledger_error)?;
    if let Comparison::Changed { line } = survey.comparison {
        let what = line.map_or_else(
            || "the input ends earlier than in the last run".to_owned(),
            |line| format!("the input changed from {row_word} {line} on"),
        );
        return Ok(Resumed {
            comparison: survey.comparison,
            rebuild: true,
            told: Some(format!(
                "{what}; only new or changed rows are sent, and the output is rebuilt"
            )),
            settled: Settled::default(),
        });
    }
    Ok(Resumed {
        comparison: survey.comparison,
        // a row whose line stands in the output already will get another one
        rebuild: survey
            .first_to_do
            .is_some_and(|first| first < checkpoint.rows),
        told: None,
        settled: survey.settled,
    })
}
