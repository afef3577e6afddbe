//! [`Endpoint`]: the leaf of every stack. One model of one provider, reached through a transport.
//!
//! It encodes, sends, classifies and decodes, once for each call. It waits for no limit and retries nothing: that is for
//! the layers above. Time limits of the whole attempt are theirs too; connecting and silence belong to the transport.

mod headers;
mod reading;
mod secret;

use std::{fmt, sync::Arc, time::Duration};

use antiphon_core::{
    Body, BoxFuture, ChatRequest, ChatResponse, Clock, Error, ErrorKind, Head, Model,
    chat::Delivery,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    dialects::{
        Auth, Dialect, EncodeTarget, Encoded, ResponseHead, body_excerpt, classify, provider,
    },
    transport::{Target, Transport, WireRequest, WireResponse},
};
use reading::{Origin, Reading};
use secret::Secret;

/// Everything that makes an endpoint.
#[derive(Clone)]
pub struct EndpointConfig {
    /// The provider's name in model names, and the one whose refusals are known.
    pub provider: String,
    /// The model's name on the wire.
    pub model: String,
    /// What the provider speaks.
    pub dialect: &'static dyn Dialect,
    /// Base URL, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The key; local servers need none.
    pub key: Option<SecretString>,
    /// Headers of each request, which win over the dialect's.
    pub headers: HeaderMap,
    /// The wire version, for dialects that have several.
    pub version: Option<String>,
    /// Time to connect, TLS included; `None` is the transport's own limit.
    pub connect_timeout: Option<Duration>,
    /// Longest silence within a body; `None` is the transport's own limit.
    pub idle_timeout: Option<Duration>,
    /// An answer under another content type than its own is none. Servers are careless with that header, so this is for where
    /// somebody else can answer.
    pub minds_content_type: bool,
}

impl fmt::Debug for EndpointConfig {
    /// Names of headers only: their values may be secrets, like the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("EndpointConfig")
            .field("provider", &self.provider)
            .field("model", &self.model)
            .field("dialect", &self.dialect.name())
            .field("base_url", &self.base_url)
            .field("headers", &headers)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// One model of one provider.
#[derive(Debug)]
pub struct Endpoint {
    name: String,
    config: EndpointConfig,
    base: Target,
    /// What the provider speaks beside its dialect.
    speaks: &'static [&'static dyn Dialect],
    secret: Secret,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

impl Endpoint {
    /// An endpoint that sends through this transport. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: a base URL or key that cannot work.
    pub fn new(
        config: EndpointConfig,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let known = provider(&config.provider);
        let known = known.filter(|known| known.dialect.name() == config.dialect.name());
        let endpoint = Self {
            name: format!("{}/{}", config.provider, config.model),
            base: Target::parse(&config.base_url)?,
            speaks: known.map_or(&[][..], |known| known.speaks),
            secret: Secret::new(config.key.as_ref()),
            config,
            transport,
            clock,
        };
        endpoint.auth_header()?;
        Ok(endpoint)
    }

    /// The key as a header, never shown by `Debug` and never indexed by HTTP/2.
    fn auth_header(&self) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        // keys from files and variables often end in a line end
        let key = self
            .config
            .key
            .as_ref()
            .map(|key| key.expose_secret().trim());
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Ok(None);
        };
        let (name, value) = match self.config.dialect.auth() {
            Auth::Bearer => (
                header::AUTHORIZATION,
                HeaderValue::try_from(format!("Bearer {key}")),
            ),
            Auth::Header(name) => (HeaderName::from_static(name), HeaderValue::from_str(key)),
        };
        let mut value = value.map_err(|_| {
            let provider = &self.config.provider;
            Error::new(
                ErrorKind::BadRequest,
                format!("the key of {provider} holds characters that no header can hold"),
            )
        })?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    /// What to speak for this request: a caller's own words, where the provider understands them, else its dialect.
    fn dialect_for(&self, request: &ChatRequest) -> &'static dyn Dialect {
        let passed = self.config.dialect.passes();
        let others = self.speaks.iter().chain(passed).copied();
        let mut understood = others.filter(|other| request.verbatim(other.name()).is_some());
        understood.next().unwrap_or(self.config.dialect)
    }

    fn target<'a>(&'a self, request: &'a ChatRequest, dialect: &dyn Dialect) -> EncodeTarget<'a> {
        let configured = self.config.version.as_deref();
        EncodeTarget {
            provider: &self.config.provider,
            model: &self.config.model,
            version: configured.or_else(|| headers::version_of(request, dialect)),
        }
    }

    fn encode(&self, request: &ChatRequest, dialect: &dyn Dialect) -> Result<Encoded, Error> {
        dialect.encode(request, &self.target(request, dialect))
    }

    fn wire_request(
        &self,
        request: &ChatRequest,
        dialect: &dyn Dialect,
        encoded: &Encoded,
    ) -> Result<WireRequest, Error> {
        let mut headers = encoded.headers.clone();
        if let Some((name, value)) = self.auth_header()? {
            headers.insert(name, value);
        }
        headers::add(&mut headers, request, dialect, &self.config.headers);
        let target = self.base.join(encoded.path)?;
        let mut request = WireRequest::post(target, headers, encoded.body.clone());
        if let Some(limit) = self.config.connect_timeout {
            request.connect_timeout = limit;
        }
        if let Some(limit) = self.config.idle_timeout {
            request.idle_timeout = limit;
        }
        Ok(request)
    }

    async fn answer(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let dialect = self.dialect_for(&request);
        let encoded = self.encode(&request, dialect).map_err(Error::not_sent)?;
        let wire = self
            .wire_request(&request, dialect, &encoded)
            .map_err(Error::not_sent)?;
        let response = self.transport.send(wire).await?;
        let origin = Origin {
            status: response.status,
            headers: response.headers.clone(),
            received: self.clock.wall(),
            dialect,
            secret: self.secret.clone(),
        };
        if !(200..300).contains(&response.status) {
            return Err(self.refused(&origin.head(), response).await);
        }
        let head = Head {
            model: self.name.clone(),
            status: response.status,
            request_id: origin.head().request_id(),
            dropped: encoded.dropped,
            limits: dialect.limits(&origin.headers, origin.received),
            attempts: 1,
            wire: Some(dialect.name().into()),
            ..Head::default()
        };
        let body = match (encoded.streamed, content_type(&response.headers)) {
            (_, ContentType::Foreign(claimed)) if self.config.minds_content_type => {
                let message = format!("the server says that its answer is {claimed:?}");
                return Err(origin
                    .head()
                    .stamp(Error::new(ErrorKind::BadResponse, message)));
            }
            (_, ContentType::Html) => return Err(self.page(&origin.head(), response).await),
            // a server that does not stream answers in one piece all the same
            (false, _) | (true, ContentType::Json) => {
                Body::Whole(Box::pin(origin.whole(response.body)))
            }
            (true, ContentType::Events | ContentType::Foreign(_)) => {
                let clock = Arc::clone(&self.clock);
                let reading = Reading::new(origin, response.body, request.delivery, clock);
                match request.delivery {
                    Delivery::Whole => Body::Whole(Box::pin(reading.fold())),
                    Delivery::Streamed => Body::Stream(reading.deltas()),
                }
            }
        };
        Ok(ChatResponse { head, body })
    }

    /// The error of an answer that is not a success. A body that breaks does not hide the status.
    async fn refused(&self, head: &ResponseHead<'_>, response: WireResponse) -> Error {
        let limits = self.config.dialect.limits(head.headers, head.received);
        let body = response.body.collect().await.unwrap_or_default();
        classify(head, &self.secret.removed_from(&body)).with_limits(limits)
    }

    /// A page with a 200: a login wall or a proxy, no answer.
    async fn page(&self, head: &ResponseHead<'_>, response: WireResponse) -> Error {
        let body = response.body.collect().await.unwrap_or_default();
        let body = self.secret.removed_from(&body);
        let words = body_excerpt(&body);
        let message = format!("the server answered with a web page: {words}");
        head.stamp(Error::new(ErrorKind::BadResponse, message).with_body(body))
    }
}

impl Model for Endpoint {
    fn name(&self) -> &str {
        &self.name
    }

    fn continues(&self, request: &ChatRequest) -> bool {
        let dialect = self.dialect_for(request);
        dialect.continues(request, &self.target(request, dialect))
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.answer(request))
    }
}

/// What the body claims to be. Only claims that decide something are told apart: servers are careless with the rest.
enum ContentType {
    Json,
    Html,
    /// Server-sent events, or nothing is claimed.
    Events,
    /// What no answer is.
    Foreign(String),
}

fn content_type(headers: &HeaderMap) -> ContentType {
    let claimed = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = claimed.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    match media.as_str() {
        "application/json" => ContentType::Json,
        json if json.ends_with("+json") => ContentType::Json,
        "text/html" => ContentType::Html,
        "" | "text/event-stream" => ContentType::Events,
        _ => ContentType::Foreign(media),
    }
}
