//! The page of a made-up run that has everything, and of one that has nothing.

use std::{collections::BTreeMap, time::Duration};

use antiphon_core::{
    ErrorKind, Spent, Usage, Usd,
    account::{Impacts, Range},
    job::{FinishedRows, NotableRow, ProgressSnapshot},
    layers::meter::{LatencyBucket, LatencySnapshot, MetricsSnapshot},
};

use super::{About, render};
use crate::run::{Course, Report, Step};

const EVIL: &str = "</script><script>alert('a')</script><img src=x onerror=alert(1)>&amp;";

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn spent(answers: u64, price: &str, energy: Option<f64>) -> Spent {
    let usage = Usage {
        input_tokens: 812,
        output_tokens: 311,
        cached_input_tokens: 400,
        reasoning_tokens: 120,
        cache_write_tokens: 12,
        ..Usage::default()
    };
    let range = |most: f64| Range {
        min: most * 0.58,
        max: most,
    };
    let impacts = energy.map(|energy| Impacts {
        energy_kwh: range(energy),
        gwp_kgco2eq: range(energy * 0.39),
        adpe_kgsbeq: range(energy * 3e-8),
        pe_mj: range(energy * 9.7),
        wcf_l: range(energy * 3.6),
    });
    let price = (!price.is_empty()).then(|| usd(price));
    let one = Spent::answer(Some(usage)).priced(price).estimated(impacts);
    Spent::sum((0..answers).map(|_| one))
}

fn steps() -> Vec<Step> {
    let step = |number: u64| {
        let wave = (number as f64 / 17.0).sin() * 9.0 + (number as f64 / 5.0).cos() * 4.0;
        let finished = if (120..140).contains(&number) {
            2
        } else {
            (33.0 + wave) as u64
        };
        Step {
            from: Duration::from_millis(number * 3_200),
            to: Duration::from_millis((number + 1) * 3_200),
            finished,
            failed: u64::from(number.is_multiple_of(7)) * (number % 4),
            attempts: finished + 3,
            rate_limited: u64::from((110..125).contains(&number)) * 6,
            in_flight: (64 + number / 2).min(180),
            input_tokens: finished * 812,
            output_tokens: finished * 311,
            cost_usd: Some(usd("0.00123").times(finished)),
        }
    };
    (0..230).map(step).collect()
}

fn buckets() -> Vec<LatencyBucket> {
    let bound = |place: i32| (10_f64.powf(f64::from(place) / 12.0) * 10.0).round() / 10.0;
    let bucket = |place: i32| LatencyBucket {
        from_ms: bound(place + 28),
        to_ms: bound(place + 29),
        count: (2_000.0 * (-f64::from((place - 9) * (place - 9)) / 18.0).exp()) as u64
            + u64::from(place == 25),
    };
    (0..26).map(bucket).collect()
}

fn notable(number: u64) -> NotableRow {
    NotableRow {
        index: number * 37,
        custom_id: match number {
            2 => EVIL.to_owned(),
            5 => "a-very-long-identifier-without-any-spaces-".repeat(4),
            _ => format!("review-{:05}", number * 37),
        },
        model: (number != 4).then(|| "openai/gpt-4o-mini".to_owned()),
        latency_ms: (number != 3).then_some(21_412.3 - number as f64 * 613.0),
        cost_usd: (number != 1).then(|| usd("0.0312").less(usd("0.0017").times(number))),
        usage: (number != 1).then_some(Usage {
            input_tokens: 5_214,
            output_tokens: 2_048,
            ..Usage::default()
        }),
        attempts: 2,
        error: (number == 3).then_some("off_schema"),
    }
}

/// A run with everything: earlier runs, faults, unknown costs, and an id that would like to be a program.
fn rich() -> Report {
    let finished = FinishedRows {
        succeeded: 9_412,
        failed: 129,
        resumed: 2_210,
        shared: 312,
        errors: BTreeMap::from([
            (ErrorKind::Timeout, 12),
            (ErrorKind::OffSchema, 71),
            (ErrorKind::BadRequest, 46),
        ]),
        avoided: spent(312, "0.00123", Some(2e-4)),
        ..FinishedRows::default()
    };
    let progress = ProgressSnapshot {
        planned: 10_000,
        expected: Some(10_000),
        is_exact: true,
        finished,
        ..ProgressSnapshot::default()
    };
    let lost = Spent::sum([Spent::lost(), Spent::lost()]);
    let metrics = MetricsSnapshot {
        attempts: 8_112,
        successes: 7_531,
        peak_in_flight: 178,
        rate_limited: 90,
        retries: BTreeMap::from([(ErrorKind::RateLimited, 90), (ErrorKind::ServerError, 31)]),
        latency: LatencySnapshot {
            mean_ms: 1_388.2,
            p50_ms: 1_204.0,
            p90_ms: 2_611.0,
            p99_ms: 7_301.0,
        },
        spent_by_model: BTreeMap::from([
            (
                "openai/gpt-4o-mini".to_owned(),
                spent(7_031, "0.00123", Some(2e-4)) + lost,
            ),
            (
                "mistral/mistral-small-latest".to_owned(),
                spent(497, "0.0004", Some(1e-4)),
            ),
            ("local/llama".to_owned(), spent(3, "", None)),
        ]),
        ..MetricsSnapshot::default()
    };
    let report = Report::new(
        &progress,
        &metrics,
        spent(2_210, "0.00123", Some(2e-4)),
        None,
        Duration::from_millis(736_412),
    );
    Report {
        budget_usd: Some(usd("20")),
        budget_left_usd: Some(usd("8.41")),
        budget_held_usd: Some(usd("0.02")),
        course: Some(Course {
            started_at: Some("2026-11-21T06:33:36Z".to_owned()),
            timeline: steps(),
            latency_histogram_ms: buckets(),
            slowest_rows: (0..10).map(notable).collect(),
            dearest_rows: (0..10).map(notable).collect(),
        }),
        ..report
    }
}

fn about(stopped: Option<&str>) -> About {
    About {
        title: format!("reviews{EVIL}.jsonl → answers.jsonl"),
        rows: "rows".to_owned(),
        stopped: stopped.map(str::to_owned),
    }
}

#[test]
fn a_page_tells_what_is_known_and_what_is_not() {
    let page = render(&rich(), &about(Some("the --deadline had come"))).unwrap();
    for words in [
        "Stopped early",
        "the --deadline had come",
        "9,412",
        "3 answers of unknown cost",
        "2 attempts may have been billed",
        "$8.41 left of a budget of $20.00",
        "$0.02 of the budget are kept",
        "2,210 of the rows come from earlier runs",
        "459 of the rows have no answer yet",
        "method of EcoLogits",
        "off_schema",
        "local/llama",
    ] {
        assert!(page.contains(words), "no {words:?}");
    }
}

#[test]
fn nothing_of_a_page_comes_from_elsewhere_or_runs() {
    let page = render(&rich(), &about(None)).unwrap();
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(!page.contains("<img"), "an id is text");
    let scripts: Vec<_> = page.match_indices("<script").collect();
    let [(at, _)] = scripts.as_slice() else {
        panic!("{} scripts", scripts.len());
    };
    let (data, rest) = page[*at..].split_once("</script>").unwrap();
    assert!(!rest.contains("</script>"));
    let json = data.split_once('>').unwrap().1;
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(report, serde_json::to_value(rich()).unwrap());
}

#[test]
fn a_page_of_nothing_is_a_page_all_the_same() {
    let progress = ProgressSnapshot::default();
    let report = Report::new(
        &progress,
        &MetricsSnapshot::default(),
        Spent::default(),
        None,
        Duration::ZERO,
    );
    let empty = Course {
        started_at: None,
        timeline: Vec::new(),
        latency_histogram_ms: Vec::new(),
        slowest_rows: Vec::new(),
        dearest_rows: Vec::new(),
    };
    for course in [None, Some(empty)] {
        let report = Report {
            course,
            ..report.clone()
        };
        let page = render(&report, &about(None)).unwrap();
        assert!(page.contains("No model answered in this run."), "{page}");
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }
}

#[test]
fn a_browser_shows_it_on_phones_and_in_the_dark() {
    let page = render(&rich(), &about(Some("the --deadline had come"))).unwrap();
    antiphon_testkit::browser::look_at("report-of-everything", &page, &[EVIL]);
}
