//! Arguments that every command has which runs its calls as a job.

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use antiphon::{
    Usd, env,
    run::{Input, Output, RunOptions, USUAL_MAX_RETRIES},
    session::{SessionOptions, default_cache_dir},
    zones::{Zone, zone},
};
use anyhow::{Context, Result};
use clap::Args;

use crate::{
    args::{ProgressArg, at_least_one, budget, duration, from_one, from_zero, share, time_limit},
    commands::params,
};

/// Where requests go, and with which parameters.
#[derive(Args, Clone, Debug)]
pub(crate) struct TargetArgs {
    /// Provider of model names, which are then never split at a slash
    #[arg(long, help_heading = "Model")]
    pub(crate) provider: Option<String>,
    /// Base URL of the provider, for instance http://127.0.0.1:8000/v1
    #[arg(long, value_name = "URL", help_heading = "Model")]
    pub(crate) base_url: Option<String>,
    /// Parameter of every request, for instance temperature=0 (repeatable)
    #[arg(long = "param", value_name = "KEY=JSON", help_heading = "Model")]
    pub(crate) params: Vec<String>,
    /// Prices of models, in place of the built-in ones (see antiphon models)
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(crate) catalog: Option<PathBuf>,
    /// Zone where the models are computed, an ISO 3166-1 code or WOR, for estimates of energy and carbon [default: that of
    /// the provider]
    #[arg(long, value_name = "ZONE", value_parser = zone, help_heading = "Model")]
    pub(crate) zone: Option<&'static Zone>,
}

/// How fast, how often and how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// Most calls in flight at once [default: adapts, up to 256]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU32>, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) concurrency: Option<NonZeroU32>,
    /// Requests per minute [default: what the provider's headers say]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) rpm: Option<u64>,
    /// Tokens per minute, input and output together
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) tpm: Option<u64>,
    /// Input tokens per minute
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) itpm: Option<u64>,
    /// Output tokens per minute
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) otpm: Option<u64>,
    /// Retries of a row after transient failures [default: that of the model, else 10]
    #[arg(long, value_name = "N", value_parser = from_zero::<u32>, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) max_retries: Option<u32>,
    /// Limit of one attempt [default: 600s]
    #[arg(long, value_name = "DURATION", value_parser = time_limit, help_heading = "Limits")]
    pub(crate) timeout: Option<Duration>,
    /// Limit of the whole run; what is in flight is waited for
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) deadline: Option<Duration>,
    /// Longest Retry-After that is obeyed; beyond it the run stops [default: 300s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) max_wait: Option<Duration>,
}

/// How much, in dollars and in tokens.
#[derive(Args, Clone, Debug)]
pub(crate) struct SpendArgs {
    /// Most dollars that all runs of the job may cost; what is under way counts with its worst case
    #[arg(long, value_name = "USD", value_parser = budget, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) budget: Option<Usd>,
    /// Output cap of rows that name none [default: the provider's; with a budget 4096]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU64>, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) max_output_tokens: Option<NonZeroU64>,
}

/// What equal requests share.
#[derive(Args, Clone, Debug)]
pub(crate) struct SharingArgs {
    /// Equal requests in flight share one call
    #[arg(long, help_heading = "Limits")]
    pub(crate) coalesce: bool,
    /// Keep valid answers for later runs, and take from there what was paid for before (30 days, 1 GiB)
    #[arg(long, help_heading = "Limits")]
    pub(crate) cache: bool,
    /// No cache, which is the default; it wins over --cache
    #[arg(long, help_heading = "Limits")]
    pub(crate) no_cache: bool,
}

/// When enough rows have failed to stop.
#[derive(Args, Clone, Debug)]
pub(crate) struct ErrorRateArgs {
    /// Stop when a larger share of rows fails, 0 to 1 (judged from 100 finished rows on)
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) max_error_rate: Option<f64>,
}

/// What is done with rows that are bad or failed.
#[derive(Args, Clone, Debug)]
pub(crate) struct RowArgs {
    /// Read all of the input first and refuse it when a line is bad; refuse parameters the model cannot take
    #[arg(long, help_heading = "Rows")]
    pub(crate) strict: bool,
    /// Send rows again that failed for good
    #[arg(long, help_heading = "Rows")]
    pub(crate) retry_failed: bool,
}

/// Where a command goes on.
#[derive(Args, Clone, Debug)]
pub(crate) struct StateArgs {
    /// Move earlier output and answers aside and begin anew
    #[arg(long, help_heading = "Rows")]
    pub(crate) fresh: bool,
    /// Folder for the ledger of answers [default: OUTPUT.antiphon; for stdout a temporary one]
    #[arg(long, value_name = "DIR", help_heading = "Rows")]
    pub(crate) state: Option<PathBuf>,
}

/// What is said on the way and at the end.
#[derive(Args, Clone, Debug)]
pub(crate) struct TalkArgs {
    /// Write a report: all numbers as FILE.json, or a page to read and to share as FILE.html
    #[arg(long, value_name = "FILE", help_heading = "Talk")]
    pub(crate) report: Option<PathBuf>,
    /// Progress on stderr: auto is a bar on a terminal, else a line each 10 s (plain); json is an object each second
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto, help_heading = "Talk")]
    pub(crate) progress: ProgressArg,
    /// Say nothing but errors
    #[arg(short, long, help_heading = "Talk")]
    pub(crate) quiet: bool,
    /// Print the report as JSON on stderr at the end, in place of the summary
    #[arg(long, help_heading = "Talk")]
    pub(crate) json: bool,
    /// Configuration file [default: antiphon.toml, over the user's]
    #[arg(long, value_name = "FILE", help_heading = "Talk")]
    pub(crate) config: Option<PathBuf>,
}

/// All of them.
#[derive(Args, Clone, Debug)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) spend: SpendArgs,
    #[command(flatten)]
    pub(crate) error_rate: ErrorRateArgs,
    #[command(flatten)]
    pub(crate) sharing: SharingArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

impl SharingArgs {
    /// The folder of the response cache, where it is used.
    pub(crate) fn cache_dir(&self) -> Result<Option<PathBuf>> {
        if !self.cache || self.no_cache {
            return Ok(None);
        }
        let folder = default_cache_dir(&env::process);
        let folder = folder.context("--cache: no home folder; set XDG_CACHE_HOME")?;
        Ok(Some(folder))
    }
}

impl JobArgs {
    /// A run of rows that come from here and go there, as far as all jobs say the same. What is asked is up to the command.
    pub(crate) fn run_options(&self, input: Input, output: Output) -> Result<RunOptions> {
        Ok(RunOptions {
            state: self.state.state.clone(),
            params: params::parse(&self.target.params)?,
            session: SessionOptions {
                budget: self.spend.budget,
                max_output_tokens: self.spend.max_output_tokens,
                coalesce: self.sharing.coalesce,
                ..session_options(&self.target, &self.limits)
            },
            cache_dir: self.sharing.cache_dir()?,
            deadline: self.limits.deadline,
            strict: self.rows.strict,
            fresh: self.state.fresh,
            retry_failed: self.rows.retry_failed,
            max_error_rate: self.error_rate.max_error_rate,
            ..RunOptions::new(input, output)
        })
    }
}

/// Provider and limits, laid over the configuration.
pub(crate) fn session_options(target: &TargetArgs, limits: &LimitArgs) -> SessionOptions {
    SessionOptions {
        provider: target.provider.clone(),
        base_url: target.base_url.clone(),
        catalog: target.catalog.clone(),
        concurrency: limits.concurrency,
        rpm: limits.rpm,
        tpm: limits.tpm,
        itpm: limits.itpm,
        otpm: limits.otpm,
        zone: target.zone,
        max_retries: limits.max_retries,
        usual_max_retries: Some(USUAL_MAX_RETRIES),
        timeout: limits.timeout,
        max_wait: limits.max_wait,
        ..SessionOptions::default()
    }
}
