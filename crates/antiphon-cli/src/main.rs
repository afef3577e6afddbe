//! The `antiphon` command: parse, resolve, dispatch, exit code.

mod args;
mod bar_terminal;
mod commands;
mod job_args;
mod last_words;
mod printer;
mod progress;
mod report_file;
mod signals;
mod words;

use std::process::ExitCode;

use clap::Parser;

use args::{Antiphon, Command};
use printer::Printer;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the exit code says about the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// All rows succeeded.
    Success = 0,
    /// Some rows failed.
    SomeFailed = 1,
    /// The command, the configuration or the input is wrong; nothing was sent.
    Usage = 2,
    /// Stopped before the last row.
    StoppedEarly = 3,
    /// Interrupted by a signal.
    Interrupted = 130,
}

fn main() -> ExitCode {
    let printer = Printer::new();
    listen_to_the_log();
    let outcome = match Antiphon::parse().command {
        Command::Run(run) => commands::run::run(*run, &printer),
        Command::Estimate(estimate) => commands::estimate::run(*estimate, &printer),
        Command::Ask(ask) => commands::ask::run(&ask, &printer),
        Command::Review(review) => commands::review::run(&review, &printer),
        Command::Analyze(analyze) => commands::analyze::run(&analyze, &printer),
        Command::Compare(compare) => commands::compare::run(&compare, &printer),
        Command::MapReduce(args) => commands::map_reduce::run(&args, &printer),
        Command::Vote(vote) => commands::vote::run(&vote, &printer),
        Command::Models(models) => commands::models::run(&models, &printer),
        Command::Mcp(mcp) => commands::mcp::run(&mcp, &printer),
        Command::Serve(serve) => commands::serve::run(&serve, &printer),
        Command::Keys(keys) => commands::keys::run(&keys, &printer),
        Command::Sim(sim) => commands::sim::run(sim, &printer),
        Command::Config(config) => commands::config::run(&config, &printer),
        Command::Completions { shell } => commands::pages::completions(shell, &printer),
        Command::Man => commands::pages::man(&printer),
    };
    let exit = outcome.unwrap_or_else(|error| {
        printer.error(&error);
        Exit::Usage
    });
    ExitCode::from(exit as u8)
}

/// Shows on stderr what `ANTIPHON_LOG` asks for.
fn listen_to_the_log() {
    if let Some(filter) = antiphon::env::process(antiphon::env::ANTIPHON_LOG) {
        // a bare level is about us, not about every crate underneath
        let filter = match filter.parse::<tracing_subscriber::filter::LevelFilter>() {
            Ok(level) => format!("antiphon={level}"),
            Err(_) => filter,
        };
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init();
    }
}
