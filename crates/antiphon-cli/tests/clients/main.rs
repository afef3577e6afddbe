//! The official clients, each against the simulated provider (which proves that it is a faithful one) and against the
//! gateway in front of it.

mod mcp;

use antiphon_testkit::{
    Gateway, Sandbox, Sim,
    clients::{Endpoint, talk},
};

/// A model that is over its limits for an hour, one that is broken, and one whose answers break off.
const WEATHER: [&str; 6] = [
    "--fail",
    "retry-after-hour@limited=100%",
    "--fail",
    "500@broken=100%",
    "--fail",
    "truncate@cut=100%",
];

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_antiphon"))
}

fn with_the_provider(script: &str) {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, WEATHER);
    let url = format!("http://{}", sim.address());
    let models = vec!["small".to_owned()];
    talk(
        script,
        &Endpoint {
            provider: url.clone(),
            url,
            models,
            is_gateway: false,
        },
    );
}

/// With a gateway whose models stand at OpenAI's wire and at Anthropic's.
fn with_the_gateway(script: &str) {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, WEATHER);
    let provider = format!("http://{}", sim.address());
    let shaky = Sim::start(&sandbox, ["--fail", "truncate=100%"]);
    let configuration = configuration(&provider, &shaky.base_url());
    sandbox.write("antiphon.toml", configuration);
    let command = Gateway::command(&sandbox)
        .env("OPENAI_API_KEY", "key-for-openai")
        .env("ANTHROPIC_API_KEY", "key-for-anthropic");
    let gateway = Gateway::start(command);
    talk(
        script,
        &Endpoint {
            url: gateway.url(),
            provider,
            models: vec!["on-openai".to_owned(), "on-anthropic".to_owned()],
            is_gateway: true,
        },
    );
}

fn configuration(provider: &str, shaky: &str) -> String {
    format!(
        r#"
[providers.openai]
base_url = "{provider}/v1"
[providers.anthropic]
base_url = "{provider}"
[providers.shaky]
dialect = "openai"
base_url = "{shaky}"

[models.on-openai]
use = "openai/small"
[models.on-anthropic]
use = "anthropic/small"
[models.limited]
use = "openai/limited"
[models.cut]
use = "openai/cut"
[models.chain]
use = "openai/broken"
fallback = ["on-anthropic"]
[models.mended]
fallback = ["shaky/small", "on-openai"]
[models.panel]
ensemble = ["on-openai", "on-openai", "on-anthropic"]
judge = "on-openai"
"#
    )
}

macro_rules! clients {
    ($($name:ident $script:literal)*) => {
        mod provider {
            $(#[test] fn $name() { super::with_the_provider($script); })*
        }
        mod gateway {
            $(#[test] fn $name() { super::with_the_gateway($script); })*
        }
    };
}

clients! {
    openai_chat_in_python "openai_chat.py"
    openai_responses_in_python "openai_responses.py"
    anthropic_in_python "anthropic_messages.py"
    openai_in_javascript "openai.mjs"
    anthropic_in_javascript "anthropic.mjs"
    vercel_ai "vercel.mjs"
}
