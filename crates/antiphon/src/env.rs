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

/// The folder for state, of which that of `antiphon serve` is one.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";

/// The registry. Providers' variables are also columns of the table of providers.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: ANTIPHON_CONFIG,
        about: "configuration file, in place of ./antiphon.toml",
    },
    Variable {
        name: ANTIPHON_LOG,
        about: "debug tells of each attempt on stderr, without prompts, answers or keys",
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
        about: "folder of the gateway's state, in place of ~/.local/state",
    },
    Variable {
        name: "NO_COLOR",
        about: "no colours, whatever it is set to",
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
