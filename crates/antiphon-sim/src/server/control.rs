//! `/sim/…`: reading the books and changing the weather while the provider runs.

use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{respond::Cut, route::json_response};
use crate::{Fault, InvalidSetting, Outage, SimConfig, Simulator, body::Script, simulator::State};

/// Answers a request of the control path. An outage does not touch it.
pub(super) async fn serve(
    simulator: &Simulator,
    path: &str,
    request: Request<Incoming>,
) -> Result<Response<Script>, Cut> {
    match (request.method(), path) {
        (&Method::GET, "ledger") => {
            let query = request.uri().query().unwrap_or_default();
            let mut report = serde_json::to_value(simulator.ledger().report()).unwrap_or_default();
            if query.split('&').any(|pair| pair == "prompts=1") {
                report["prompts"] =
                    serde_json::to_value(simulator.ledger().prompts()).unwrap_or_default();
            }
            Ok(json_response(simulator, &report))
        }
        (&Method::GET, "recent") => Ok(json_response(simulator, &simulator.recent().told())),
        (&Method::POST, "reset") => {
            simulator.reset();
            Ok(json_response(simulator, &json!({"reset": true})))
        }
        (&Method::POST, "config") => {
            let body = Limited::new(request.into_body(), 1 << 20).collect().await;
            let body = body.map_err(|_| Cut::Close)?.to_bytes();
            Ok(match change(simulator, &body) {
                Ok(()) => json_response(simulator, &told(&simulator.state())),
                Err(error) => failed(simulator, StatusCode::BAD_REQUEST, &error.0),
            })
        }
        _ => Ok(failed(
            simulator,
            StatusCode::NOT_FOUND,
            "use GET /sim/ledger, GET /sim/ledger?prompts=1, GET /sim/recent, POST /sim/reset or POST /sim/config",
        )),
    }
}

fn failed(simulator: &Simulator, status: StatusCode, message: &str) -> Response<Script> {
    let mut response = json_response(simulator, &json!({"error": {"message": message}}));
    *response.status_mut() = status;
    response
}

/// What a POST to `/sim/config` may change; what it leaves out stays, and `null` lifts a limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// `true` or `"close"`, `"503"`, `false`.
    outage: Option<Value>,
    /// `["429=0.1", "reset=1%", "500@large=1"]`.
    fail: Option<Vec<String>>,
    latency_ms: Option<f64>,
    jitter: Option<f64>,
    tail: Option<f64>,
    accuracy: Option<f64>,
    seed: Option<u64>,
    window: Option<String>,
    #[serde(default, deserialize_with = "given")]
    rpm: Option<Option<u64>>,
    #[serde(default, deserialize_with = "given")]
    tpm: Option<Option<u64>>,
}

/// A field that is there, `null` included.
fn given<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(source).map(Some)
}

fn change(simulator: &Simulator, body: &[u8]) -> Result<(), InvalidSetting> {
    let change: Change =
        serde_json::from_slice(body).map_err(|error| InvalidSetting(error.to_string()))?;
    let outage = change.outage.as_ref().map(outage).transpose()?;
    let mut config = simulator.config();
    apply(change, &mut config)?;
    config.check()?;
    simulator.change(|state| {
        state.config = config;
        if let Some(outage) = outage {
            state.outage = outage;
        }
    });
    Ok(())
}

fn outage(wanted: &Value) -> Result<Option<Outage>, InvalidSetting> {
    match wanted {
        Value::Bool(false) => Ok(None),
        Value::Bool(true) => Ok(Some(Outage::Close)),
        Value::String(text) if text == "close" => Ok(Some(Outage::Close)),
        Value::String(text) if text == "503" => Ok(Some(Outage::Unavailable)),
        other => Err(InvalidSetting(format!(
            "outage is true, false, \"close\" or \"503\", not {other}"
        ))),
    }
}

fn apply(change: Change, config: &mut SimConfig) -> Result<(), InvalidSetting> {
    if let Some(faults) = change.fail {
        config.fail = faults
            .iter()
            .map(|fault| fault.parse())
            .collect::<Result<Vec<Fault>, _>>()?;
    }
    if let Some(millis) = change.latency_ms {
        config.latency = Duration::try_from_secs_f64(millis / 1000.0)
            .map_err(|error| InvalidSetting(format!("latency_ms: {error}")))?;
    }
    if let Some(window) = change.window {
        config.window = window.parse()?;
    }
    config.jitter = change.jitter.unwrap_or(config.jitter);
    config.tail = change.tail.unwrap_or(config.tail);
    config.accuracy = change.accuracy.unwrap_or(config.accuracy);
    config.seed = change.seed.unwrap_or(config.seed);
    config.rpm = change.rpm.unwrap_or(config.rpm);
    config.tpm = change.tpm.unwrap_or(config.tpm);
    Ok(())
}

fn told(state: &State) -> Value {
    let config = &state.config;
    let outage = match state.outage {
        None => json!(false),
        Some(Outage::Close) => json!("close"),
        Some(Outage::Unavailable) => json!("503"),
    };
    json!({
        "outage": outage,
        "fail": config.fail.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "latency_ms": config.latency.as_secs_f64() * 1000.0,
        "jitter": config.jitter,
        "tail": config.tail,
        "accuracy": config.accuracy,
        "seed": config.seed,
        "window": config.window.to_string(),
        "rpm": config.rpm,
        "tpm": config.tpm,
    })
}
