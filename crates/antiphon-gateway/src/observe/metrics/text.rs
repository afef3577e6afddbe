//! `GET /metrics`: the page as text, in the format that whoever scrapes can read.

use std::collections::HashSet;

use antiphon::{Error, ErrorKind, fronts};
use axum::{body::Body, extract::State};
use http::{HeaderMap, HeaderValue, Response, header};
use prometheus_client::{encoding::text, registry::Registry};

use super::page::Page;
use crate::{Gateway, observe::may_look, refusal::refusal};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a scrape.
pub(crate) async fn scraped(State(gateway): State<Gateway>, headers: HeaderMap) -> Response<Body> {
    let running = gateway.running();
    let told = may_look(&running, &headers)
        .and_then(|()| open_metrics(Page::of(gateway.metrics(), &running, gateway.observers())));
    match told {
        Ok(text) if reads_open_metrics(&headers) => response(text, OPEN_METRICS),
        Ok(text) => response(classic(&text), CLASSIC),
        Err(error) => refusal(
            &error,
            fronts::front_or_default("openai"),
            &gateway.request_id(),
        ),
    }
}

fn reads_open_metrics(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    accept
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"))
}

fn response(text: String, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let content_type = HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// The page in the OpenMetrics text format.
pub(super) fn open_metrics(page: Page) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut text = String::new();
    let failed = |error| Error::new(ErrorKind::ServerError, format!("no metrics: {error}"));
    text::encode(&mut text, &registry).map_err(failed)?;
    Ok(text)
}

/// The same in Prometheus's own text format, where a counter is described under the name that its samples have.
pub(super) fn classic(open_metrics: &str) -> String {
    let lines = open_metrics.lines();
    let counters: HashSet<&str> = lines
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let described = ["# TYPE ", "# HELP "].into_iter().find_map(|what| {
            let (name, rest) = line.strip_prefix(what)?.split_once(' ')?;
            counters
                .contains(name)
                .then(|| format!("{what}{name}_total {rest}"))
        });
        text.push_str(described.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}
