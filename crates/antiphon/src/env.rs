//! Every environment variable that Antiphon reads, in one place.

use std::path::PathBuf;

/// An environment variable and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
}

/// The path of the configuration file, in place of `antiphon.toml`.
pub const ANTIPHON_CONFIG: &str = "ANTIPHON_CONFIG";

/// What is told of each attempt, in the words of `tracing` filters.
pub const ANTIPHON_LOG: &str = "ANTIPHON_LOG";

/// The folder for caches, of which the response cache's is one.
pub const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";

/// Turns tracing off.
pub const OTEL_SDK_DISABLED: &str = "OTEL_SDK_DISABLED";

/// Which exporter traces go to; ours is `otlp`.
pub const OTEL_TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";

/// The collector of all signals.
pub const OTEL_EXPORTER_OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The collector of traces.
pub const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// How collectors are spoken to.
pub const OTEL_EXPORTER_OTLP_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

/// How the collector of traces is spoken to.
pub const OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";

/// How long an export may take.
pub const OTEL_EXPORTER_OTLP_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";

/// How long an export of traces may take.
pub const OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";

/// Headers for collectors; the exporter reads them.
pub const OTEL_EXPORTER_OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// Headers for the collector of traces; the exporter reads them.
pub const OTEL_EXPORTER_OTLP_TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";

/// Under whose name traces are sent.
pub const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// What else traces say of the service.
pub const OTEL_RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Which calls are traced.
pub const OTEL_TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";

/// The share of traces that is kept.
pub const OTEL_TRACES_SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Spans that may wait; the batch reads it.
pub const OTEL_BSP_MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";

/// Time between two exports; the batch reads it.
pub const OTEL_BSP_SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// The folder for state, of which those of `antiphon serve` and `antiphon mcp` are two.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";

/// The registry. Providers' variables are also columns of the table of providers.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: ANTIPHON_CONFIG,
        about: "configuration file, in place of ./antiphon.toml",
    },
    Variable {
        name: ANTIPHON_LOG,
        about: "info tells on stderr how often each client of antiphon mcp was asked, debug of each attempt, too; without prompts, answers or keys",
    },
    Variable {
        name: "OPENAI_API_KEY",
        about: "key of the provider openai",
    },
    Variable {
        name: "OPENAI_BASE_URL",
        about: "base URL of the provider openai, ending in /v1",
    },
    Variable {
        name: "OPENAI_ORG_ID",
        about: "sent to openai as openai-organization",
    },
    Variable {
        name: "OPENAI_PROJECT_ID",
        about: "sent to openai as openai-project",
    },
    Variable {
        name: "ANTHROPIC_API_KEY",
        about: "key of the provider anthropic",
    },
    Variable {
        name: "ANTHROPIC_BASE_URL",
        about: "base URL of the provider anthropic, without /v1",
    },
    Variable {
        name: "HTTPS_PROXY",
        about: "proxy for https",
    },
    Variable {
        name: "HTTP_PROXY",
        about: "proxy for http",
    },
    Variable {
        name: "NO_PROXY",
        about: "hosts that are reached without a proxy",
    },
    Variable {
        name: "SSL_CERT_FILE",
        about: "PEM file of root certificates, in place of the system's",
    },
    Variable {
        name: XDG_CACHE_HOME,
        about: "folder of the response cache's folder, in place of ~/.cache",
    },
    Variable {
        name: XDG_STATE_HOME,
        about: "folder of the gateway's state and of what MCP clients bear, in place of ~/.local/state",
    },
    Variable {
        name: "NO_COLOR",
        about: "no colours, whatever it is set to",
    },
    Variable {
        name: OTEL_SDK_DISABLED,
        about: "true turns the traces of antiphon serve off",
    },
    Variable {
        name: OTEL_TRACES_EXPORTER,
        about: "none turns the traces of antiphon serve off",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_ENDPOINT,
        about: "collector of the traces of antiphon serve, without /v1/traces; none are made where it is not set",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
        about: "the same for traces alone, with its path",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_PROTOCOL,
        about: "http/protobuf, the only one that is spoken",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
        about: "the same for traces alone",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_TIMEOUT,
        about: "milliseconds that an export may take",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_TRACES_TIMEOUT,
        about: "the same for traces alone",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_HEADERS,
        about: "headers for the collector, name=value,…",
    },
    Variable {
        name: OTEL_EXPORTER_OTLP_TRACES_HEADERS,
        about: "the same for traces alone",
    },
    Variable {
        name: OTEL_SERVICE_NAME,
        about: "the service that traces are sent under, in place of antiphon",
    },
    Variable {
        name: OTEL_RESOURCE_ATTRIBUTES,
        about: "what else traces say of the service, name=value,…",
    },
    Variable {
        name: OTEL_TRACES_SAMPLER,
        about: "which calls are traced: always_on, always_off, traceidratio, or one of them after parentbased_",
    },
    Variable {
        name: OTEL_TRACES_SAMPLER_ARG,
        about: "the share that traceidratio keeps, from 0 to 1",
    },
    Variable {
        name: OTEL_BSP_MAX_QUEUE_SIZE,
        about: "spans that may wait for the collector; beyond it they are dropped",
    },
    Variable {
        name: OTEL_BSP_SCHEDULE_DELAY,
        about: "milliseconds between two exports",
    },
];

/// Reads variables; a test passes its own.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment; an empty variable counts as unset.
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folder of a user's state, where a home is known.
pub fn default_state_dir(env: Lookup<'_>) -> Option<PathBuf> {
    // the XDG base directory specification: a path that is not absolute is to be ignored
    let named = env(XDG_STATE_HOME).map(PathBuf::from);
    let folder = match named.filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => etcetera::home_dir().ok()?.join(".local").join("state"),
    };
    Some(folder.join("antiphon"))
}
