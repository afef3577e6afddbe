//! What is to be said of a session's models, for people: that they end, and that nobody knows their price.

use std::{collections::BTreeSet, time::Duration};

use antiphon_providers::catalog::Catalog;

use super::{SIM, Session, lock, names::Plain};
use crate::nearest_priced;

/// How long before its day it is said that a model retires.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Models that retire: all that were met, and what nobody was told yet.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    met: BTreeSet<String>,
    untold: Vec<String>,
}

impl Session {
    /// Which models that were resolved since the last time this was asked are retired or retire within 30 days, as far as
    /// the catalogue knows, for people. Each is told once; nothing is refused for it.
    pub fn retirement_notes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.retiring).untold)
    }

    pub(super) fn note_retirement(&self, plain: &Plain, catalog: &Catalog) {
        let entry = catalog.find(&plain.provider, &plain.model);
        let Some((entry, day)) = entry.and_then(|entry| Some((entry, entry.retires?))) else {
            return;
        };
        let now = self.clock.wall();
        let name = format!("{}/{}", plain.provider, plain.model);
        let how = match entry.is_retired(now) {
            _ if plain.provider == SIM => return,
            true => "was retired",
            false if entry.is_retired(now + SOON) => "retires",
            false => return,
        };
        let mut retiring = lock(&self.retiring);
        if retiring.met.insert(name.clone()) {
            let as_of = catalog.as_of();
            let note = format!("{name} {how} on {day} (as the catalogue of {as_of} knows)");
            retiring.untold.push(note);
        }
    }

    /// Which models have no known price although they have answered, for people. Told once, at the end.
    pub fn unpriced_notes(&self) -> Vec<String> {
        let spent = self.metrics.snapshot().spent_by_model;
        // nobody asks what a made-up model costs
        let is_real = |model: &str| !model.starts_with("sim/");
        let unpriced = spent
            .iter()
            .filter(|(model, spent)| spent.unpriced() > 0 && is_real(model));
        let told = unpriced.map(|(model, spent)| match spent.usage() {
            None => format!("{model} does not tell its tokens: what it cost is not known"),
            Some(_) => format!(
                "no price is known for {model}: {}a table [prices.\"{model}\"] in antiphon.toml can say it",
                self.meant(model)
            ),
        });
        told.collect()
    }

    /// `did you mean openai/gpt-4o-mini? `, where a model without a price looks like one that has one.
    pub(super) fn meant(&self, model: &str) -> String {
        let catalog = self.catalog().ok();
        let near = catalog.and_then(|catalog| nearest_priced(&catalog, model));
        near.map_or_else(String::new, |near| format!("did you mean {near}? "))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use antiphon_core::{BoxFuture, Clock, Moment, SystemClock};
    use antiphon_providers::catalog::Day;
    use tokio_util::sync::CancellationToken;

    use crate::{
        Config,
        session::{Session, SessionOptions, Wire},
    };

    /// A clock of which only the day is of interest.
    #[derive(Debug)]
    struct OnDay(Day, SystemClock);

    impl Clock for OnDay {
        fn now(&self) -> Moment {
            self.1.now()
        }

        fn wall(&self) -> std::time::SystemTime {
            self.0.begin()
        }

        fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()> {
            self.1.sleep_until(moment)
        }
    }

    fn notes(day: &str, toml: &str, names: &[&str]) -> Vec<String> {
        let config = Config::from_toml(toml).unwrap();
        let options = SessionOptions {
            is_dry: true,
            ..SessionOptions::default()
        };
        let mut session = Session::new(config, options, &|_| None, CancellationToken::new());
        session.clock = Arc::new(OnDay(day.parse().unwrap(), SystemClock::default()));
        for name in names {
            session.resolve(name, Wire::OpenAi).unwrap();
        }
        let notes = session.retirement_notes();
        assert_eq!(session.retirement_notes(), [""; 0], "told once");
        for wire in [Wire::OpenAi, Wire::Anthropic] {
            let _ = session.resolve(names[0], wire);
        }
        assert_eq!(session.retirement_notes(), [""; 0], "of each model once");
        notes
    }

    #[test]
    fn models_that_retire_soon_or_are_retired_are_named_once() {
        let gpt = "openai/gpt-4";
        let known = "(as the catalogue of 2026-11-20 knows)";
        assert_eq!(notes("2026-09-22", "", &[gpt]), [""; 0]);
        let soon = format!("{gpt} retires on 2026-10-23 {known}");
        assert_eq!(notes("2026-09-23", "", &[gpt])[..], [&*soon]);
        assert_eq!(notes("2026-10-22", "", &[gpt])[..], [&*soon]);
        let gone = format!("{gpt} was retired on 2026-10-23 {known}");
        assert_eq!(notes("2026-10-23", "", &[gpt])[..], [&*gone]);
        let chain = "[models.chain]\nfallback = [\"openai/gpt-4o-mini\", \"openai/gpt-4\"]\n";
        assert_eq!(notes("2030-01-01", chain, &["chain", gpt]), [gone]);
        assert_eq!(
            notes("2030-01-01", "", &["sim/gpt-4", "openai/gpt-4o-mini"]),
            [""; 0]
        );
    }

    #[test]
    fn a_budget_refuses_a_mistyped_model_with_the_one_that_was_meant() {
        let options = SessionOptions {
            is_dry: true,
            budget: Some("1".parse().unwrap()),
            ..SessionOptions::default()
        };
        let session = Session::new(
            Config::default(),
            options,
            &|_| None,
            CancellationToken::new(),
        );
        let refused = |name| session.resolve(name, Wire::OpenAi).unwrap_err();
        assert_eq!(
            refused("openai/gpt-4o-minii").message(),
            "a budget needs prices, and that of openai/gpt-4o-minii is not known: did you mean openai/gpt-4o-mini? \
             give it under [prices.\"openai/gpt-4o-minii\"] in antiphon.toml"
        );
        let message = refused("sim/mine").message().to_owned();
        assert!(!message.contains("did you mean"), "{message}");
    }
}
