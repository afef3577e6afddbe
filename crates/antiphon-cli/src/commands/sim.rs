//! `antiphon sim`: the simulated provider as a server.

use antiphon::core::SystemClock;
use antiphon_sim::{FaultKind, SimConfig, SimServer, Simulator};
use anyhow::{Context, Result};

use crate::{Exit, args::SimArgs, printer::Printer};

pub(crate) fn run(args: SimArgs, printer: &Printer) -> Result<Exit> {
    if args.list_kinds {
        for (kind, about) in FaultKind::all() {
            printer.data(&format!("{:<20} {about}\n", kind.to_string()))?;
        }
        return Ok(Exit::Success);
    }
    // thousands of connections need as many files
    let _as_it_is = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, printer))
}

async fn serve(args: SimArgs, printer: &Printer) -> Result<Exit> {
    let config = SimConfig {
        latency: args.latency,
        jitter: args.jitter,
        tail: args.tail,
        rpm: args.rpm,
        tpm: args.tpm,
        window: args.window,
        fail: args.fail,
        seed: args.seed,
        tls_certificate: args.tls.clone(),
        max_streams: args.max_streams,
        ..SimConfig::default()
    };
    config.check()?;
    let simulator = Simulator::new(config, SystemClock::shared());
    let server = SimServer::bind(args.listen, simulator)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let url = server.url();
    if args.json {
        printer.data(&format!(
            "{}\n",
            serde_json::json!({"url": url, "address": server.address().to_string()})
        ))?;
    } else {
        printer.say(&format!(
            "a simulated provider listens on {url}; its answers are made up"
        ));
        printer.data(&format!(
            "export OPENAI_BASE_URL={url}/v1\nexport ANTHROPIC_BASE_URL={url}\n"
        ))?;
        if let Some(certificate) = &args.tls {
            printer.data(&format!("export SSL_CERT_FILE={}\n", certificate.display()))?;
        }
        printer.say(&format!(
            "who was asked what: {url}/sim/ledger · Ctrl-C ends it"
        ));
    }
    server
        .run(async {
            // without a handler for the signal, the process ends by it just as well
            let _ended = tokio::signal::ctrl_c().await;
        })
        .await;
    Ok(Exit::Success)
}
