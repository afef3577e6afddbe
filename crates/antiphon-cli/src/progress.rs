//! Progress on stderr: a bar, lines, or JSON, made from snapshots; rows never pay for it.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon::{
    core::layers::admit::{AccountSnapshot, EndpointState},
    run::{Report, RunWatch},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    args::ProgressArg,
    bar_terminal::{BarTerminal, ECHO_COLUMNS},
    printer::Printer,
    words,
};

const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(10);
const JSON_EVERY: Duration = Duration::from_secs(1);
/// Time over which the shown rate is measured.
const RATE_OVER: Duration = Duration::from_secs(5);
/// Columns of the bar itself, with its share in percent.
const BAR_COLUMNS: usize = 18;
/// Pauses from this length on are explained.
const SHOWN_PAUSE: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bar,
    Lines,
    Json,
    Nothing,
}

impl Style {
    pub(crate) fn choose(asked: ProgressArg, quiet: bool) -> Self {
        match asked {
            _ if quiet => Self::Nothing,
            ProgressArg::Auto if io::stderr().is_terminal() => Self::Bar,
            ProgressArg::Auto | ProgressArg::Plain => Self::Lines,
            ProgressArg::Json => Self::Json,
            ProgressArg::None => Self::Nothing,
        }
    }

    /// The bar, where one is shown.
    pub(crate) fn bar(self) -> ProgressBar {
        if self != Self::Bar {
            return ProgressBar::hidden();
        }
        let stderr = BarTerminal::new(io::stderr(), terminal_width);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(stderr), 20);
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:12} {percent:>3}% {msg}") {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar
    }
}

/// Shows progress until it is dropped.
pub(crate) async fn show(style: Style, watch: RunWatch, printer: Arc<Printer>, bar: ProgressBar) {
    let every = match style {
        Style::Bar => BAR_EVERY,
        Style::Lines => LINE_EVERY,
        Style::Json => JSON_EVERY,
        Style::Nothing => return,
    };
    let mut rate = Rate::from_now();
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let report = watch.report();
        match style {
            Style::Json => {
                if let Ok(json) = serde_json::to_string(&report) {
                    printer.say(&json);
                }
            }
            Style::Bar => {
                let parts = parts(&watch, &report, &mut rate, &bar);
                let room = terminal_width().saturating_sub(BAR_COLUMNS + ECHO_COLUMNS);
                bar.set_message(fit(&parts, room));
            }
            Style::Lines | Style::Nothing => {
                let parts = parts(&watch, &report, &mut rate, &bar);
                printer.say(&parts.join(" · "));
            }
        }
    }
}

/// Rows a second over the last moments.
struct Rate(std::collections::VecDeque<(Instant, u64)>);

impl Rate {
    fn from_now() -> Self {
        Self([(Instant::now(), 0)].into())
    }

    fn push(&mut self, finished: u64) -> f64 {
        let now = Instant::now();
        self.0.push_back((now, finished));
        while self.0.len() > 2 && now.duration_since(self.0[1].0) > RATE_OVER {
            self.0.pop_front();
        }
        let Some((then, before)) = self.0.front().copied() else {
            return 0.0;
        };
        let seconds = now.duration_since(then).as_secs_f64();
        if seconds > 0.0 {
            finished.saturating_sub(before) as f64 / seconds
        } else {
            0.0
        }
    }
}

/// How far the run is: the parts of a line, the most telling ones first.
fn parts(watch: &RunWatch, report: &Report, rate: &mut Rate, bar: &ProgressBar) -> Vec<String> {
    let progress = watch.progress();
    let finished = progress.finished.total();
    let per_second = rate.push(finished - progress.finished.resumed.min(finished));
    let expected = progress.expected.unwrap_or(0).max(finished);
    bar.set_length(expected);
    bar.set_position(finished);
    let about = if progress.is_exact { "" } else { "~" };
    let mut parts = vec![match progress.expected {
        Some(_) => format!(
            "{}/{about}{}",
            words::count(finished),
            words::count(expected)
        ),
        None => words::rows(finished),
    }];
    if bar.is_hidden() && expected > 0 {
        parts[0].push_str(&format!(" ({}%)", finished * 100 / expected));
    }
    // a slow model is not one that stands still
    let places = usize::from(per_second < 10.0);
    parts.push(format!("{per_second:.places$}/s"));
    match trouble(watch) {
        // how long it will take is then anybody's guess
        Some(trouble) => parts.push(trouble),
        None if per_second > 0.0 && expected > finished => {
            let left = Duration::from_secs_f64((expected - finished) as f64 / per_second);
            parts.push(format!("ETA {}", words::duration(left)));
        }
        None => {}
    }
    parts.push(format!(
        "{} in flight",
        watch.metrics().snapshot().in_flight
    ));
    let retries: u64 = report.retries_by_kind.values().sum();
    if retries > 0 {
        parts.push(words::several(retries, "retry", "retries"));
    }
    if report.failed > 0 {
        parts.push(format!("{} failed", words::count(report.failed)));
    }
    parts.push(match report.cost_usd {
        Some(cost) => words::dollars(cost),
        None => "cost unknown".to_owned(),
    });
    parts
}

/// As many parts as fit, from the first on.
fn fit(parts: &[String], room: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let longer = if line.is_empty() {
            part.clone()
        } else {
            format!("{line} · {part}")
        };
        if longer.chars().count() > room {
            break;
        }
        line = longer;
    }
    line
}

fn terminal_width() -> usize {
    terminal_size::terminal_size_of(io::stderr())
        .map_or(80, |(terminal_size::Width(width), _)| usize::from(width))
}

/// Why it is slow just now.
fn trouble(watch: &RunWatch) -> Option<String> {
    if watch.stop().reason().is_some() {
        return Some("stopping".to_owned());
    }
    let is_down =
        |account: &AccountSnapshot| matches!(account.endpoint, EndpointState::Down { .. });
    if watch.accounts().iter().any(is_down) {
        return Some("the endpoint is down, probing".to_owned());
    }
    let pause = watch.longest_pause()?;
    // shorter ones are the usual give and take with a limit
    (pause >= SHOWN_PAUSE).then(|| format!("rate limited, waiting {}", words::duration(pause)))
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let parts = ["12/40".to_owned(), "3/s".to_owned(), "ETA 9.0 s".to_owned()];
        assert_eq!(fit(&parts, 80), "12/40 · 3/s · ETA 9.0 s");
        assert_eq!(fit(&parts, 15), "12/40 · 3/s");
        assert_eq!(fit(&parts, 4), "");
    }
}
