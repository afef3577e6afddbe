//! The charts of a run's course: cost, throughput and calls in flight over time, and latencies.

use antiphon_core::layers::meter::LatencyBucket;

use super::{
    About,
    chart::{self, Chart, Span, key},
    scale,
};
use crate::{
    numbers::{count, digits, dollars, milliseconds},
    run::{Course, Report, Step},
};

/// Steps that are drawn at most: narrower ones cannot be told apart.
const MOST_COLUMNS: usize = 100;
/// Buckets that an axis of latencies has room for at least, so that a single one is no wall.
const LEAST_PLACES: usize = 9;
/// Share of an axis on a phone that a label needs, and one at the end of the axis, which stands before its place.
const LABEL_WIDTH: f64 = 0.3;
const LAST_LABEL_WIDTH: f64 = 0.38;
/// Where labels begin to stand before their place, as in `page.html`.
const LAST_FROM: f64 = 0.92;

/// The charts, in their order on the page.
pub(super) fn charts(report: &Report, about: &About) -> Vec<Chart> {
    let Some(course) = &report.course else {
        return Vec::new();
    };
    let columns = columns(&course.timeline);
    vec![
        cost(report, course),
        throughput(report, about, &columns),
        in_flight(report, &columns),
        latency(report, &course.latency_histogram_ms),
    ]
}

/// Steps, merged to as many as can be told apart. The last one has the length of the others, or it would tower above them.
fn columns(steps: &[Step]) -> Vec<Step> {
    let each = steps.len().div_ceil(MOST_COLUMNS).max(1);
    let merged = steps
        .chunks(each)
        .filter_map(|steps| steps.iter().copied().reduce(Step::merged));
    let mut columns: Vec<Step> = merged.collect();
    if let [.., before, last] = columns.as_slice()
        && seconds(last) < seconds(before) * 0.7
    {
        let joined = before.merged(*last);
        columns.truncate(columns.len() - 2);
        columns.push(joined);
    }
    columns
}

fn seconds(step: &Step) -> f64 {
    (step.to - step.from).as_secs_f64().max(1e-3)
}

fn end_of(steps: &[Step]) -> f64 {
    steps.last().map_or(0.0, |step| step.to.as_secs_f64())
}

/// Values of steps as shares of the plane.
fn spans(steps: &[Step], top: f64, value: impl Fn(&Step) -> f64) -> Vec<Span> {
    let end = end_of(steps).max(1e-9);
    let span = |step: &Step| Span {
        from: step.from.as_secs_f64() / end,
        to: step.to.as_secs_f64() / end,
        value: value(step) / top,
    };
    steps.iter().map(span).collect()
}

fn cost(report: &Report, course: &Course) -> Chart {
    let (id, title) = ("cost", "Cost over time");
    let total = match report.cost_usd.map(|cost| (cost, cost.as_f64())) {
        None => {
            return Chart::empty(
                id,
                title,
                "The cost is unknown: no answer has a known price.",
            );
        }
        Some((_, 0.0)) => return Chart::empty(id, title, "This run has cost nothing."),
        Some((cost, _)) => cost,
    };
    let end = end_of(&course.timeline).max(1e-9);
    let mut sum = 0.0;
    let mut points = vec![(0.0, 0.0)];
    for step in &course.timeline {
        sum += step.cost_usd.unwrap_or_default().as_f64();
        points.push((step.to.as_secs_f64() / end, sum));
    }
    let axis = scale::of_values(sum, |value| format!("${}", digits(value)));
    points.iter_mut().for_each(|point| point.1 /= axis.top);
    let known = match report.unpriced_answers + report.lost_attempts {
        0 => "",
        _ => " of known cost",
    };
    Chart {
        unit: "dollars, summed up".to_owned(),
        shapes: chart::line(&points).into(),
        y: axis.ticks,
        x: scale::of_time(end).ticks,
        ..Chart::empty(id, title, format!("{}{known} in this run.", dollars(total)))
    }
}

fn throughput(report: &Report, about: &About, columns: &[Step]) -> Chart {
    let rows = &about.rows;
    let (id, title) = ("throughput", "Throughput");
    let rate = |step: &Step| step.finished as f64 / seconds(step);
    let most = columns.iter().map(rate).fold(0.0, f64::max);
    if most == 0.0 {
        return Chart::empty(id, title, format!("No {rows} were finished in this run."));
    }
    let axis = scale::of_values(most, digits);
    let finished = spans(columns, axis.top, rate);
    let mut shapes = vec![chart::steps("area", &finished)];
    let mut keys = Vec::new();
    if columns.iter().any(|step| step.failed > 0) {
        let failed = |step: &Step| step.failed as f64 / seconds(step);
        shapes.push(chart::steps("failed", &spans(columns, axis.top, failed)));
        keys = vec![key("area", "finished"), key("failed", "of these failed")];
    }
    let lead = format!(
        "{} {rows} a second on average, {} at best.",
        digits(report.requests_per_second),
        digits(most)
    );
    Chart {
        unit: format!("{rows} a second"),
        shapes,
        y: axis.ticks,
        x: scale::of_time(end_of(columns)).ticks,
        keys,
        ..Chart::empty(id, title, lead)
    }
}

fn in_flight(report: &Report, columns: &[Step]) -> Chart {
    let (id, title) = ("in-flight", "Calls in flight");
    let most = columns.iter().map(|step| step.in_flight).max().unwrap_or(0);
    if most == 0 {
        return Chart::empty(id, title, "No call was sent in this run.");
    }
    let axis = scale::of_counts(most);
    let calls = spans(columns, axis.top, |step| step.in_flight as f64);
    let mut shapes = vec![chart::steps("area", &calls)];
    let limited = columns
        .iter()
        .zip(&calls)
        .filter(|(step, _)| step.rate_limited > 0);
    shapes.extend(limited.map(|(step, span)| {
        let told = format!("{} rate limited", count(step.rate_limited));
        chart::mark("limited", *span, told)
    }));
    let mut lead = format!(
        "At most {} at once, {} attempts in all",
        count(report.peak_in_flight),
        count(report.attempts)
    );
    let mut keys = Vec::new();
    if report.rate_limited > 0 {
        lead.push_str(&format!(
            ", {} of them rate limited",
            count(report.rate_limited)
        ));
        keys = vec![
            key("area", "in flight, the most at once"),
            key("limited", "rate limited (429)"),
        ];
    }
    Chart {
        unit: "calls".to_owned(),
        shapes,
        y: axis.ticks,
        x: scale::of_time(end_of(columns)).ticks,
        keys,
        ..Chart::empty(id, title, lead + ".")
    }
}

fn latency(report: &Report, buckets: &[LatencyBucket]) -> Chart {
    let (id, title) = ("latency", "Latency");
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    if most == 0 {
        return Chart::empty(id, title, "No attempt was answered in this run.");
    }
    let axis = scale::of_counts(most);
    let air = LEAST_PLACES.saturating_sub(buckets.len()) / 2;
    let places = (buckets.len() + 2 * air) as f64;
    let at = |place: f64| (place + air as f64) / places;
    let mut shapes = Vec::new();
    let mut x = vec![scale::latency(at(0.0), buckets[0].from_ms)];
    let mut labelled = at(0.0);
    for (place, bucket) in buckets.iter().enumerate() {
        let span = Span {
            from: at(place as f64),
            to: at(place as f64 + 1.0),
            value: bucket.count as f64 / axis.top,
        };
        let width = match span.to > LAST_FROM {
            true => LAST_LABEL_WIDTH,
            false => LABEL_WIDTH,
        };
        if span.to >= labelled + width {
            labelled = span.to;
            x.push(scale::latency(span.to, bucket.to_ms));
        }
        let between = format!(
            "{} to {}: {}",
            milliseconds(bucket.from_ms),
            milliseconds(bucket.to_ms),
            count(bucket.count)
        );
        if bucket.count > 0 {
            shapes.push(chart::bar("bar", span, between));
        }
    }
    let mut told = Vec::new();
    let latency = &report.latency_ms;
    for (name, value) in [
        ("median", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
    ] {
        let Some(value) = value else { continue };
        told.push(format!("{name} {}", milliseconds(value)));
        if let Some(place) = place_of(value, buckets) {
            let title = format!("{name} {}", milliseconds(value));
            shapes.push(chart::upright("quantile", at(place), title));
        }
    }
    let mean = latency.mean.map_or(String::new(), |mean| {
        format!(", mean {}", milliseconds(mean))
    });
    Chart {
        unit: "answered attempts".to_owned(),
        shapes,
        y: axis.ticks,
        x,
        keys: vec![key("bar", "answers"), key("quantile", "median, p90, p99")],
        ..Chart::empty(
            id,
            title,
            format!(
                "{}{mean}. Time on the wire of an answered attempt, without waiting for limits.",
                capital(&told.join(", "))
            ),
        )
    }
}

/// Where a latency stands among the buckets, counted in buckets.
fn place_of(latency_ms: f64, buckets: &[LatencyBucket]) -> Option<f64> {
    let place = buckets
        .iter()
        .position(|bucket| latency_ms < bucket.to_ms)?;
    let bucket = buckets[place];
    let within = (latency_ms / bucket.from_ms).ln() / (bucket.to_ms / bucket.from_ms).ln();
    Some(place as f64 + within.clamp(0.0, 1.0))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Steps of these lengths in milliseconds, with a row finished in each.
    fn steps(lengths: &[u64]) -> Vec<Step> {
        let mut now = Duration::ZERO;
        let step = |length: &u64| {
            let from = now;
            now += Duration::from_millis(*length);
            Step {
                from,
                to: now,
                finished: 1,
                ..Step::default()
            }
        };
        lengths.iter().map(step).collect()
    }

    #[test]
    fn a_short_last_step_does_not_tower_above_the_others() {
        let drawn = columns(&steps(&[100, 100, 3]));
        let ends: Vec<_> = drawn.iter().map(|step| step.to.as_millis()).collect();
        assert_eq!(ends, [100, 203]);
        assert_eq!(columns(&steps(&[3])).len(), 1);
        assert!(columns(&[]).is_empty());
    }

    #[test]
    fn a_latency_stands_within_its_bucket() {
        let bucket = |from_ms, to_ms| LatencyBucket {
            from_ms,
            to_ms,
            count: 1,
        };
        let buckets = [bucket(1.0, 10.0), bucket(10.0, 100.0)];
        assert_eq!(place_of(1.0, &buckets), Some(0.0));
        assert_eq!(place_of(31.622_776_601_683_793, &buckets), Some(1.5));
        assert_eq!(place_of(0.5, &buckets), Some(0.0));
        assert_eq!(place_of(100.0, &buckets), None);
        assert_eq!(capital("median 3 ms"), "Median 3 ms");
        assert_eq!(capital(""), "");
    }

    proptest! {
        #[test]
        fn columns_keep_what_steps_counted(lengths in prop::collection::vec(1..5_000_u64, 1..300)) {
            let steps = steps(&lengths);
            let drawn = columns(&steps);
            prop_assert!(drawn.len() <= MOST_COLUMNS);
            let rows: u64 = drawn.iter().map(|step| step.finished).sum();
            prop_assert_eq!(rows, steps.len() as u64);
            prop_assert_eq!(end_of(&drawn), end_of(&steps));
            for pair in drawn.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
        }
    }
}
