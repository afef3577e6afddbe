//! A gateway without a socket, over simulated models and a wall clock that is set by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use antiphon::{
    Config,
    core::{BoxFuture, Clock, Moment, SystemClock},
    session::SessionOptions,
};
use antiphon_gateway::{CallerBooks, CallerState, Gateway, Running};
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Models of every gateway here: one that has a price, one that has none, and some that are made of the first.
const MODELS: &str = r#"
[models.fast]
use = "sim/demo"
[models.other]
use = "sim/free"
[models.panel]
ensemble = ["fast", "fast"]
judge = "fast"
[models.safe]
fallback = ["fast", "other"]
[prices."sim/demo"]
input = 1.0
output = 2.0
"#;

/// The running time of tokio, and a wall clock that stands still.
#[derive(Debug)]
pub(crate) struct Wall {
    running: SystemClock,
    seconds: AtomicU64,
}

impl Wall {
    pub(crate) fn set(&self, seconds: u64) {
        self.seconds.store(seconds, Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Moment {
        self.running.now()
    }
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds.load(Relaxed))
    }
    fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()> {
        self.running.sleep_until(moment)
    }
}

pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    pub(crate) wall: Arc<Wall>,
    pub(crate) books: Arc<CallerBooks>,
    _data: tempfile::TempDir,
}

/// The key of a name.
pub(crate) fn key_of(name: &str) -> String {
    format!("key-of-{name}-0123456789")
}

/// Each variable holds the key of its name.
pub(crate) fn env(name: &str) -> Option<String> {
    Some(key_of(&name.strip_prefix("KEY_OF_")?.to_lowercase()))
}

pub(crate) fn running(
    keys: &str,
    books: &Arc<CallerBooks>,
) -> Result<Running, antiphon::ConfigError> {
    let config = Config::from_toml(&format!("{MODELS}\n{keys}"))?;
    let options = SessionOptions::default();
    Running::configured(config, options, &env, CancellationToken::new(), books)
}

impl Rig {
    pub(crate) fn new(keys: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let wall = Arc::new(Wall {
            running: SystemClock::new(),
            seconds: AtomicU64::new(1_790_000_000),
        });
        let books = CallerBooks::new(data.path().join("serve"), wall.clone());
        let running = running(keys, &books).unwrap();
        Self {
            gateway: Gateway::new(running, Vec::new()),
            wall,
            books,
            _data: data,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.gateway.router().oneshot(request).await.unwrap()
    }

    /// A chat completion of a model, asked with the key of this name.
    pub(crate) async fn ask(&self, name: &str, model: &str) -> Told {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
        self.ask_for(name, "/v1/chat/completions", &body).await
    }

    pub(crate) async fn ask_for(&self, name: &str, path: &str, body: &Value) -> Told {
        let bearer = format!("Bearer {}", key_of(name));
        let request = Request::post(path).header("authorization", bearer);
        let request = request.body(Body::from(body.to_string())).unwrap();
        Told::of(self.send(request).await).await
    }

    pub(crate) fn caller(&self, name: &str) -> CallerState {
        let callers = self.gateway.running().callers();
        let mut callers = callers.into_iter();
        callers.find(|caller| &*caller.name == name).unwrap()
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Told {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// The message of an error.
    pub(crate) fn message(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["error"]["message"].as_str().unwrap().to_owned()
    }
}
