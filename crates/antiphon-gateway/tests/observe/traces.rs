use std::sync::{Arc, Mutex};

use antiphon_gateway::observe::{CallBegan, CallEnded, Observer, Traces};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;

use crate::{
    support::{KEY, PROMPT, Served, serve},
    upstream::{Upstream, provider, response},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// What calls tell those who are asked for them.
#[derive(Debug, Default)]
struct Onwards(Mutex<Vec<String>>);

impl Observer for Onwards {
    fn began(&self, call: &CallBegan) {
        let span = call.span.as_ref().expect("a span");
        self.0.lock().unwrap().push(span.traceparent());
    }

    fn ended(&self, _end: &CallEnded) {}
}

struct Traced {
    collector: Upstream,
    onwards: Arc<Onwards>,
    traces: Arc<Traces>,
    served: Served,
}

async fn traced() -> Traced {
    let ok = response("200 OK", "application/x-protobuf", "");
    let collector = Upstream::start(move |_, _| Some(ok.clone()));
    let endpoint = format!("http://{}", collector.address);
    let lookup = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    let address = "127.0.0.1:8080".parse().unwrap();
    let traces = Arc::new(Traces::from_env(&lookup, address).unwrap().unwrap());
    let provider = provider();
    let onwards = Arc::new(Onwards::default());
    let served = serve(&provider, vec![traces.clone(), onwards.clone()]).await;
    Traced {
        collector,
        onwards,
        traces,
        served,
    }
}

impl Traced {
    /// What the collector was sent in the end.
    async fn sent(&self) -> (Vec<Span>, Vec<KeyValue>) {
        self.traces.shutdown().await;
        let (mut spans, mut resource) = (Vec::new(), Vec::new());
        for asked in self.collector.asked() {
            assert!(
                asked.head.starts_with("POST /v1/traces HTTP/1.1"),
                "{}",
                asked.head
            );
            assert_eq!(asked.header("content-type"), Some("application/x-protobuf"));
            let text = String::from_utf8_lossy(&asked.body);
            for canary in [PROMPT, KEY, "ANSWER-CANARY"] {
                assert!(!text.contains(canary), "{canary}");
            }
            let request = ExportTraceServiceRequest::decode(asked.body.as_slice()).unwrap();
            for of_resource in request.resource_spans {
                resource = of_resource.resource.unwrap().attributes;
                let scopes = of_resource.scope_spans.into_iter();
                spans.extend(scopes.flat_map(|scope| scope.spans));
            }
        }
        (spans, resource)
    }
}

fn told<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match told(attributes, key) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key} is {other:?}"),
    }
}

fn number(attributes: &[KeyValue], key: &str) -> i64 {
    match told(attributes, key) {
        Some(Value::IntValue(number)) => *number,
        other => panic!("{key} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_span_between_its_caller_and_its_provider() {
    let traced = traced().await;
    let headers = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    let answer = traced
        .served
        .chat("openai/gpt-4o-mini", &headers, true)
        .await;
    assert_eq!(answer.status, 200);
    let (spans, resource) = traced.sent().await;
    assert_eq!(text(&resource, "service.name"), "antiphon");
    let [span] = spans.as_slice() else {
        panic!("{spans:?}");
    };
    assert_eq!(span.name, "chat openai/gpt-4o-mini");
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert_eq!(
        (hex(&span.trace_id), hex(&span.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);

    let all = &span.attributes;
    assert_eq!(text(all, "gen_ai.operation.name"), "chat");
    assert_eq!(text(all, "gen_ai.provider.name"), "openai");
    assert_eq!(text(all, "gen_ai.request.model"), "openai/gpt-4o-mini");
    assert_eq!(text(all, "gen_ai.response.model"), "gpt-4o-mini");
    assert_eq!(number(all, "gen_ai.usage.input_tokens"), 7);
    assert_eq!(number(all, "gen_ai.usage.output_tokens"), 3);
    assert_eq!(number(all, "gen_ai.usage.cache_read.input_tokens"), 2);
    assert_eq!(number(all, "http.response.status_code"), 200);
    assert_eq!(number(all, "antiphon.attempts"), 1);
    assert_eq!(
        (text(all, "server.address"), number(all, "server.port")),
        ("127.0.0.1".into(), 8080)
    );
    assert_eq!(
        text(all, "antiphon.upstream.request.id"),
        "req-of-the-provider"
    );
    let reasons = told(all, "gen_ai.response.finish_reasons");
    let Some(Value::ArrayValue(reasons)) = reasons else {
        panic!("{reasons:?}");
    };
    assert_eq!(
        reasons.values[0].value,
        Some(Value::StringValue("stop".to_owned()))
    );
    assert!(
        matches!(told(all, "antiphon.cost_usd"), Some(Value::DoubleValue(cost)) if *cost > 0.0)
    );
    assert_eq!(told(all, "error.type"), None);

    // the provider is called as a part of this span
    let onwards = format!("00-{TRACE}-{}-01", hex(&span.span_id));
    assert_eq!(traced.onwards.0.lock().unwrap().as_slice(), [onwards]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_sample_is_not_told_of() {
    let traced = traced().await;
    let headers = format!("traceparent: 00-{TRACE}-{PARENT}-00\r\n");
    traced
        .served
        .chat("openai/gpt-4o-mini", &headers, false)
        .await;
    let (spans, _) = traced.sent().await;
    assert_eq!(spans, []);
    let onwards = traced.onwards.0.lock().unwrap().remove(0);
    assert!(
        onwards.starts_with(&format!("00-{TRACE}-")) && onwards.ends_with("-00"),
        "{onwards}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_spans_that_say_what_went_wrong() {
    let traced = traced().await;
    traced.served.chat("bad", "", false).await;
    traced
        .served
        .ask("POST", "/v1/chat/completions", "", "{")
        .await;
    let (mut spans, _) = traced.sent().await;
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let [bad, unread] = spans.as_slice() else {
        panic!("{spans:?}");
    };
    assert_eq!(
        (bad.name.as_str(), unread.name.as_str()),
        ("chat bad", "chat")
    );
    for span in [bad, unread] {
        assert_eq!(text(&span.attributes, "error.type"), "bad_request");
        assert_eq!(number(&span.attributes, "http.response.status_code"), 400);
        assert!(span.parent_span_id.is_empty());
        // what a caller did wrong is no error of the server's
        let status = span.status.as_ref().map(|status| status.code);
        assert!(status.is_none_or(|code| code == StatusCode::Unset as i32));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_is_counted_and_harms_no_call() {
    let refused = response("400 Bad Request", "text/plain", "");
    let collector = Upstream::start(move |_, _| Some(refused.clone()));
    let endpoint = format!("http://{}/own/path", collector.address);
    let name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let lookup = |asked: &str| (asked == name).then(|| endpoint.clone());
    let address = "127.0.0.1:8080".parse().unwrap();
    let traces = Arc::new(Traces::from_env(&lookup, address).unwrap().unwrap());
    let provider = provider();
    let served = serve(&provider, vec![traces.clone()]).await;
    assert_eq!(
        served.chat("openai/gpt-4o-mini", "", false).await.status,
        200
    );
    traces.shutdown().await;
    assert!(
        collector.asked()[0]
            .head
            .starts_with("POST /own/path HTTP/1.1")
    );
    let page = served.ask("GET", "/metrics", "", "").await.body;
    assert!(
        page.contains("antiphon_dropped_total{what=\"trace_exports\"} 1\n"),
        "{page}"
    );
    // without a collector nothing is traced, and the caller's header goes on as it came
    assert!(Traces::from_env(&|_| None, address).unwrap().is_none());
}
