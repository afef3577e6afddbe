//! [`Page`]: all metrics at one moment, in the order in which they are told.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use antiphon::{
    ErrorKind, Usd,
    core::layers::{
        admit::{AccountSnapshot, QuotaConfig},
        spend::BudgetSnapshot,
    },
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::{
    GatewayMetrics,
    histogram::Histogram,
    series::{Labels, Series},
    tables::{ACCOUNT_GAUGES, COUNTS, RANGES},
    upstream::Totals,
};
use crate::{Running, observe::Observer};

/// An amount of a budget, where there is one.
type Amount = fn(&BudgetSnapshot) -> Option<Usd>;

type Told = Result<(), fmt::Error>;

/// Metrics as they were when the page was made.
#[derive(Debug)]
pub(super) struct Page {
    series: Vec<(Labels, Arc<Series>)>,
    totals: Totals,
    in_flight: u64,
    accounts: Vec<AccountNow>,
    budgets: Vec<(Arc<str>, BudgetSnapshot)>,
    dropped: Vec<(&'static str, u64)>,
    uptime_seconds: f64,
}

#[derive(Debug)]
pub(super) struct AccountNow {
    labels: [(&'static str, String); 2],
    pub(super) now: AccountSnapshot,
    pub(super) quota: QuotaConfig,
}

impl Page {
    pub(super) fn of(
        metrics: &GatewayMetrics,
        running: &Running,
        observers: &[Arc<dyn Observer>],
    ) -> Self {
        let dropped = observers.iter().filter_map(|observer| observer.dropped());
        let accounts = running.session.named_accounts().into_iter();
        let accounts = accounts.filter_map(|named| {
            let model = format!("{}/{}", named.provider, named.model);
            let server = authority(&named.base_url).to_owned();
            metrics.has_label(&model).then(|| AccountNow {
                labels: [("model", model), ("server", server)],
                now: named.account.snapshot(),
                quota: named.account.quota(),
            })
        });
        Self {
            series: metrics.all(),
            totals: metrics.upstream.now(),
            in_flight: metrics.in_flight.load(Relaxed),
            accounts: accounts.collect(),
            budgets: budgets(running),
            dropped: dropped.collect(),
            uptime_seconds: metrics.started.elapsed().as_secs_f64(),
        }
    }
}

/// Those of today, by the names of their keys.
fn budgets(running: &Running) -> Vec<(Arc<str>, BudgetSnapshot)> {
    let callers = running.callers.states().into_iter();
    callers
        .filter_map(|caller| Some((caller.name, caller.budget?)))
        .collect()
}

/// Host and port of a base URL, without user and password.
fn authority(base_url: &str) -> &str {
    let rest = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Told {
        self.of_calls(&mut encoder)?;
        self.of_use(&mut encoder)?;
        self.of_providers(&mut encoder)?;
        self.of_accounts(&mut encoder)?;
        self.of_budgets(&mut encoder)?;
        self.of_the_process(&mut encoder)
    }
}

impl Page {
    fn of_calls(&self, encoder: &mut DescriptorEncoder<'_>) -> Told {
        let mut requests = counter(encoder, "antiphon_requests", "Calls by how they ended")?;
        for (labels, series) in &self.series {
            let outcomes = [
                ("answered", &series.answered),
                ("failed", &series.failed),
                ("hung_up", &series.hung_up),
            ];
            for (outcome, count) in outcomes {
                let labels = labels.and("outcome", outcome);
                count_of(&mut requests, &labels, count.load(Relaxed))?;
            }
        }
        let mut errors = counter(encoder, "antiphon_errors", "Failed calls by kind of error")?;
        for (labels, series) in &self.series {
            for (kind, count) in series.errors() {
                let labels = labels.and("code", kind.code());
                count_of(&mut errors, &labels, count)?;
            }
        }
        let name = "antiphon_request_duration_seconds";
        let about = "From a call's arrival to the end of its answer, answered calls";
        self.histograms(encoder, name, about, |series| &series.took)?;
        let name = "antiphon_time_to_first_token_seconds";
        let about = "From a call's arrival to the first piece of its answer, streamed calls";
        self.histograms(encoder, name, about, |series| &series.first_token)?;
        let about = "Calls under way";
        gauge(encoder, "antiphon_requests_in_flight", about)?.encode_gauge(&self.in_flight)
    }

    fn histograms(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        about: &str,
        histogram: fn(&Series) -> &Histogram,
    ) -> Told {
        let mut told = encoder.encode_descriptor(name, about, None, MetricType::Histogram)?;
        for (labels, series) in &self.series {
            let (sum, count, buckets) = histogram(series).read();
            let labels = labels.pairs();
            let mut told = told.encode_family(&labels)?;
            told.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn of_use(&self, encoder: &mut DescriptorEncoder<'_>) -> Told {
        for (name, about, count) in COUNTS {
            let mut told = counter(encoder, name, about)?;
            for (labels, series) in &self.series {
                count_of(&mut told, &labels.pairs(), count(series).load(Relaxed))?;
            }
        }
        let about = "Cost of answers that have a price";
        let mut cost = counter(encoder, "antiphon_cost_usd", about)?;
        for (labels, series) in &self.series {
            let usd = series.cost_picos.load(Relaxed) as f64 / 1e12;
            count_of(&mut cost, &labels.pairs(), usd)?;
        }
        for (name, about, bounds, unit) in RANGES {
            let mut told = counter(encoder, name, about)?;
            for (labels, series) in &self.series {
                for (bound, sum) in ["min", "max"].into_iter().zip(&bounds(series).0) {
                    let labels = labels.and("bound", bound);
                    count_of(&mut told, &labels, sum.load(Relaxed) as f64 / unit)?;
                }
            }
        }
        Ok(())
    }

    fn of_providers(&self, encoder: &mut DescriptorEncoder<'_>) -> Told {
        let totals = &self.totals;
        let limited = totals.failures.get(&ErrorKind::RateLimited).copied();
        let counts = [
            (
                "antiphon_upstream_attempts",
                "Attempts begun at providers",
                totals.attempts,
            ),
            (
                "antiphon_upstream_answers",
                "Attempts that ended in a complete answer",
                totals.successes,
            ),
            (
                "antiphon_upstream_rate_limited",
                "Attempts that met a rate limit (429)",
                limited.unwrap_or(0),
            ),
        ];
        for (name, about, count) in counts {
            total(counter(encoder, name, about)?, count)?;
        }
        let kinds = [
            (
                "antiphon_upstream_failures",
                "Failed attempts by kind of error",
                &totals.failures,
            ),
            (
                "antiphon_upstream_retries",
                "Retries by the kind of error that made them necessary",
                &totals.retries,
            ),
        ];
        for (name, about, counts) in kinds {
            let mut told = counter(encoder, name, about)?;
            for (kind, count) in counts {
                count_of(&mut told, &[("code", kind.code())], *count)?;
            }
        }
        let about = "Attempts on the wire now";
        gauge(encoder, "antiphon_upstream_attempts_in_flight", about)?
            .encode_gauge(&totals.in_flight)
    }

    fn of_accounts(&self, encoder: &mut DescriptorEncoder<'_>) -> Told {
        for (name, about, value) in ACCOUNT_GAUGES {
            let mut told = gauge(encoder, name, about)?;
            for account in &self.accounts {
                if let Some(value) = value(account) {
                    told.encode_family(&account.labels)?.encode_gauge(&value)?;
                }
            }
        }
        Ok(())
    }

    fn of_budgets(&self, encoder: &mut DescriptorEncoder<'_>) -> Told {
        let gauges: [(_, _, Amount); 3] = [
            ("antiphon_key_budget_usd", "Budget of a key", |now| now.cap),
            (
                "antiphon_key_spent_usd",
                "What counts against the budget of a key: spent, perhaps billed, or held for attempts under way",
                |now| Some(now.used()),
            ),
            (
                "antiphon_key_budget_left_usd",
                "What is left of the budget of a key, without what attempts under way may cost",
                BudgetSnapshot::left,
            ),
        ];
        for (name, about, amount) in gauges {
            let mut told = gauge(encoder, name, about)?;
            for (key, now) in &self.budgets {
                if let Some(amount) = amount(now) {
                    told.encode_family(&[("key", &**key)])?
                        .encode_gauge(&amount.as_f64())?;
                }
            }
        }
        Ok(())
    }

    fn of_the_process(&self, encoder: &mut DescriptorEncoder<'_>) -> Told {
        let about = "What could not be passed on: lines of the access log, exports of traces";
        let mut dropped = counter(encoder, "antiphon_dropped", about)?;
        for (what, count) in &self.dropped {
            count_of(&mut dropped, &[("what", *what)], *count)?;
        }
        let about = "The release that is running";
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let mut build = gauge(encoder, "antiphon_build_info", about)?;
        build.encode_family(&version)?.encode_gauge(&1_i64)?;
        let about = "Time since the gateway was started";
        gauge(encoder, "antiphon_uptime_seconds", about)?.encode_gauge(&self.uptime_seconds)
    }
}

impl Labels {
    fn pairs(&self) -> [(&'static str, &str); 3] {
        [
            ("model", &*self.model),
            ("key", &*self.key),
            ("wire", self.wire),
        ]
    }

    fn and<'a>(&'a self, name: &'static str, value: &'a str) -> [(&'static str, &'a str); 4] {
        let [model, key, wire] = self.pairs();
        [model, key, wire, (name, value)]
    }
}

fn counter<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    about: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, about, None, MetricType::Counter)
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    about: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, about, None, MetricType::Gauge)
}

/// A count without labels.
fn total(mut told: MetricEncoder<'_>, count: u64) -> Told {
    told.encode_counter::<NoLabelSet, _, u64>(&count, None)
}

fn count_of(
    told: &mut MetricEncoder<'_>,
    labels: &impl prometheus_client::encoding::EncodeLabelSet,
    value: impl prometheus_client::encoding::EncodeCounterValue,
) -> Told {
    told.encode_family(labels)?
        .encode_counter::<NoLabelSet, _, u64>(&value, None)
}

#[cfg(test)]
mod tests {
    use antiphon::Session;

    use super::*;
    use crate::observe::metrics::text::open_metrics;

    #[test]
    fn budgets_of_keys_are_told_with_what_is_left() {
        let running = Running::open_to_all(Session::from_toml("").unwrap());
        let mut page = Page::of(&GatewayMetrics::new(), &running, &[]);
        let usd = |text: &str| text.parse::<Usd>().unwrap();
        let now = |cap| BudgetSnapshot {
            cap,
            spent: usd("5"),
            lost: usd("1"),
            open: usd("0.5"),
        };
        page.budgets = vec![
            ("team-a".into(), now(Some(usd("20")))),
            ("team-b".into(), now(None)),
        ];
        let text = open_metrics(page).unwrap();
        for line in [
            "antiphon_key_budget_usd{key=\"team-a\"} 20.0\n",
            "antiphon_key_spent_usd{key=\"team-b\"} 6.5\n",
            "antiphon_key_budget_left_usd{key=\"team-a\"} 13.5\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("left_usd{key=\"team-b\""));
    }

    #[test]
    fn servers_are_told_without_users_and_passwords() {
        for (url, server) in [
            ("https://api.openai.com/v1", "api.openai.com"),
            ("http://user:secret@127.0.0.1:80/v1", "127.0.0.1:80"),
            ("http://[::1]:8000?x=@y", "[::1]:8000"),
            ("", ""),
        ] {
            assert_eq!(authority(url), server);
        }
    }
}
