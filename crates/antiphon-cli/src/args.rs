//! Arguments as typed.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use antiphon::{Usd, core::patterns::ensemble::MOST_MEMBERS};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::job_args::{
    ErrorRateArgs, JobArgs, LimitArgs, RowArgs, SharingArgs, SpendArgs, StateArgs, TalkArgs,
    TargetArgs,
};

const EXAMPLES: &str = "\
Examples:
  Ask a simulated model every question of a file:
    antiphon run questions.jsonl --prompt '{{ question }}' -m sim/demo -o answers.jsonl
  The same with OpenAI (OPENAI_API_KEY is set), within 500 requests a minute:
    antiphon run questions.jsonl --prompt '{{ question }}' -m openai/gpt-4o-mini \\
      --rpm 500 -o answers.jsonl
  Ask one question, of two models side by side:
    antiphon ask 'Why is the sky blue?' -m sim/a -m sim/b
  Go on after a crash, Ctrl-C or an empty account: the same command again.";

const RUN_EXAMPLES: &str = "\
Examples:
  antiphon run batch.jsonl -m openai/gpt-4o-mini -o out.jsonl
  antiphon run rows.jsonl --prompt 'Translate to French: {{ text }}' \\
    -m anthropic/claude-haiku-4-5 -o out.jsonl
  antiphon run prompts.txt --base-url http://127.0.0.1:8000/v1 \\
    -m meta-llama/Llama-3.1-8B -o out.jsonl
  antiphon run rows.jsonl --prompt-file ask.txt --schema answer.json -m sim/demo \\
    -o out.jsonl --report report.html
  antiphon run rows.jsonl -m sim/demo --ensemble 3 --judge sim/judge -o out.jsonl
  cat prompts.jsonl | antiphon run - -m sim/demo | jq -r .antiphon.text

The same command again goes on where the last one stopped. Rows that have an answer are never sent again.

Exit codes: 0 all rows succeeded, 1 some failed, 2 nothing was sent (usage, configuration, input),
3 stopped early (key, account, unreachable, error rate, budget, deadline, disk), 130 interrupted.";

/// Run large numbers of LLM requests in parallel: as fast as the limits allow, paying for each answer once, losing none
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, after_help = EXAMPLES, after_long_help = examples_and_environment(), max_term_width = 110)]
pub(crate) struct Antiphon {
    #[command(subcommand)]
    pub(crate) command: Command,
}

fn examples_and_environment() -> String {
    let variables = antiphon::env::VARIABLES.iter();
    let lines: Vec<String> = variables
        .map(|variable| format!("  {:<19} {}", variable.name, variable.about))
        .collect();
    format!("{EXAMPLES}\n\nEnvironment:\n{}", lines.join("\n"))
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a file of requests, get one line for each
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunCommand>),
    /// Tell what a run would cost and how long it would take; sends nothing, or a sample
    Estimate(Box<crate::commands::estimate::EstimateArgs>),
    /// Ask a question, of one model or of several side by side
    Ask(Box<crate::commands::ask::AskArgs>),
    /// Ask the same about each of many documents: a summary, the sentiment, fields or a category
    Analyze(Box<crate::commands::analyze::AnalyzeArgs>),
    /// Put the same rows to several prompts and models, and show what each gives
    Compare(Box<crate::commands::compare::CompareArgs>),
    /// Make one text of many documents: ask about each, then combine the answers in a tree
    MapReduce(Box<crate::commands::map_reduce::MapReduceArgs>),
    /// Ask several voters a question with given answers, and count
    Vote(Box<crate::commands::vote::VoteArgs>),
    /// Have files reviewed from several points of view
    Review(Box<crate::commands::review::ReviewArgs>),
    /// List the models that are known, with prices, windows, energy and dates
    Models(crate::commands::models::ModelsArgs),
    /// Serve all models behind OpenAI's and Anthropic's endpoints: a gateway with ensembles, fallbacks and limits
    Serve(Box<crate::commands::serve::ServeArgs>),
    /// Serve tools to clients of the Model Context Protocol (MCP), over stdin and stdout or HTTP
    #[command(after_help = crate::commands::mcp::EXAMPLES)]
    Mcp(crate::commands::mcp::McpArgs),
    /// Make keys for callers of the gateway
    Keys(crate::commands::keys::KeysArgs),
    /// Serve a simulated provider over HTTP, in OpenAI's and Anthropic's wire formats
    Sim(SimArgs),
    /// Show the configuration
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// Arguments of `antiphon run`.
#[derive(Args, Debug)]
pub(crate) struct RunCommand {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Tell what the run would cost and how long it would take, as `antiphon estimate` does; never sends
    #[arg(long, help_heading = "Rows")]
    pub(crate) dry_run: bool,
}

/// Arguments of a run.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// File of requests, .jsonl or .txt; - reads stdin
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// Output file, .jsonl; - or nothing writes to stdout
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// Format of the input, where its name does not tell: jsonl, txt
    #[arg(long, value_name = "FORMAT")]
    pub(crate) input_format: Option<String>,

    /// Model of every row, provider/model or a configured name
    #[arg(short, long, help_heading = "Model")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Template of the prompt over a row's fields, for instance '{{ question }}'; every line is then data
    #[arg(long, value_name = "TEMPLATE", help_heading = "Prompt")]
    pub(crate) prompt: Option<String>,
    /// The same from a file
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "prompt",
        help_heading = "Prompt"
    )]
    pub(crate) prompt_file: Option<PathBuf>,
    /// Template of a system message
    #[arg(long, value_name = "TEMPLATE", help_heading = "Prompt")]
    pub(crate) system: Option<String>,
    /// JSON Schema that every answer must fit; answers that do not are asked for again
    #[arg(long, value_name = "FILE", help_heading = "Prompt")]
    pub(crate) schema: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) spend: SpendArgs,
    #[command(flatten)]
    pub(crate) error_rate: ErrorRateArgs,
    /// Model that answers a row where the ones before fail, each after 3 retries unless --max-retries says otherwise
    /// (repeatable)
    #[arg(long, value_name = "MODEL", help_heading = "Several answers")]
    pub(crate) fallback: Vec<String>,
    /// Ask for N answers to each row and make one of them: by --decide (the row's own model, unless named), or by --vote
    /// where there is a --schema
    #[arg(long, value_name = "N", value_parser = several, allow_negative_numbers = true, help_heading = "Several answers")]
    pub(crate) ensemble: Option<NonZeroU32>,
    /// Model that decides: it selects an answer or merges several
    #[arg(
        long,
        value_name = "MODEL",
        requires = "ensemble",
        group = "decider",
        help_heading = "Several answers"
    )]
    pub(crate) decide: Option<String>,
    /// Model that selects an answer
    #[arg(
        long,
        value_name = "MODEL",
        requires = "ensemble",
        group = "decider",
        help_heading = "Several answers"
    )]
    pub(crate) judge: Option<String>,
    /// Model that merges the answers
    #[arg(
        long,
        value_name = "MODEL",
        requires = "ensemble",
        group = "decider",
        help_heading = "Several answers"
    )]
    pub(crate) synthesize: Option<String>,
    /// Vote on a field of the answers, or on all (repeatable)
    #[arg(
        long,
        value_name = "FIELD",
        requires = "ensemble",
        group = "decider",
        help_heading = "Several answers"
    )]
    pub(crate) vote: Vec<String>,
    /// Ask for N answers to each row and keep them all, as choices and members of its line
    #[arg(long, value_name = "N", value_parser = several, allow_negative_numbers = true, conflicts_with = "ensemble", help_heading = "Several answers")]
    pub(crate) samples: Option<NonZeroU32>,

    #[command(flatten)]
    pub(crate) sharing: SharingArgs,

    /// Order of the output lines: that of the input, or as rows finish
    #[arg(long, value_enum, default_value_t = OrderArg::Input, help_heading = "Rows")]
    pub(crate) order: OrderArg,
    /// Read only the first N rows
    #[arg(long, value_name = "N", value_parser = from_zero::<u64>, allow_negative_numbers = true, help_heading = "Rows")]
    pub(crate) limit: Option<u64>,
    /// Read only N rows, drawn at random; each time the same ones, and a larger N has those of a smaller
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU64>, allow_negative_numbers = true, help_heading = "Rows")]
    pub(crate) sample: Option<NonZeroU64>,
    /// Carry the input line in each output line
    #[arg(long, help_heading = "Rows")]
    pub(crate) include_input: bool,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

impl RunArgs {
    /// What it has in common with other jobs.
    pub(crate) fn job(&self) -> JobArgs {
        JobArgs {
            target: self.target.clone(),
            limits: self.limits.clone(),
            spend: self.spend.clone(),
            error_rate: self.error_rate.clone(),
            sharing: self.sharing.clone(),
            rows: self.rows.clone(),
            state: self.state.clone(),
            talk: self.talk.clone(),
        }
    }
}

/// Order of the output.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OrderArg {
    Input,
    Completion,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressArg {
    Auto,
    Plain,
    Json,
    None,
}

/// Arguments of `antiphon sim`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  antiphon sim --latency 300ms --jitter 0.5
  antiphon sim --rpm 6000 --fail 429=0.05 --fail reset=0.02 --fail truncate=0.01

GET /sim/ledger tells how often each distinct prompt was answered.")]
pub(crate) struct SimArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8089")]
    pub(crate) listen: SocketAddr,
    /// Mean time to an answer
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0ms")]
    pub(crate) latency: Duration,
    /// Spread of the latency, as a share of it
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) jitter: f64,
    /// Share of calls that take ten times as long
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) tail: f64,
    /// Requests per minute that are allowed
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    pub(crate) rpm: Option<u64>,
    /// Tokens per minute that are allowed
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    pub(crate) tpm: Option<u64>,
    /// How limits are enforced: bucket (refills evenly) or minute (any 60 s)
    #[arg(long, default_value = "bucket")]
    pub(crate) window: antiphon_sim::Window,
    /// Make a share of the attempts fail (repeatable); KIND is an HTTP status or a name from --list-kinds, and KIND@MODEL
    /// makes only one model fail
    #[arg(long, value_name = "KIND[@MODEL]=P")]
    pub(crate) fail: Vec<antiphon_sim::Fault>,
    /// List the kinds of faults
    #[arg(long)]
    pub(crate) list_kinds: bool,
    /// Seed of answers and faults
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Serve TLS (HTTP/2 and HTTP/1.1) and write the certificate here, for SSL_CERT_FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) tls: Option<PathBuf>,
    /// Streams that one HTTP/2 connection may have open
    #[arg(long, value_name = "N", default_value_t = 100, requires = "tls")]
    pub(crate) max_streams: u32,
    /// Print the address as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `antiphon config`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the effective values and where each came from
    Show {
        /// Configuration file [default: antiphon.toml, over the user's]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `-` stands for stdin or stdout.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    antiphon::parse_duration(text)
}

/// A time within which something can happen.
pub(crate) fn time_limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => {
            Err("no call can end in no time; leave it out for the usual limit".to_owned())
        }
        limit => Ok(limit),
    }
}

/// An amount of dollars that something can be bought for.
pub(crate) fn budget(text: &str) -> Result<Usd, String> {
    match text.parse::<Usd>().map_err(|wrong| wrong.to_string())? {
        Usd::ZERO => Err("nothing can be bought for it; leave it out for no budget".to_owned()),
        budget => Ok(budget),
    }
}

/// A number that is not zero.
pub(crate) fn at_least_one<N: FromStr>(text: &str) -> Result<N, String> {
    let wrong = |_| "it must be a number from 1 on".to_owned();
    text.parse().map_err(wrong)
}

/// The same without its proof.
pub(crate) fn from_one(text: &str) -> Result<u64, String> {
    at_least_one::<NonZeroU64>(text).map(NonZeroU64::get)
}

/// A number that may be zero.
pub(crate) fn from_zero<N: FromStr>(text: &str) -> Result<N, String> {
    let wrong = |_| "it must be a number from 0 on".to_owned();
    text.parse().map_err(wrong)
}

fn several(text: &str) -> Result<NonZeroU32, String> {
    match text.parse::<NonZeroU32>() {
        Ok(number) if (2..=MOST_MEMBERS).contains(&(number.get() as usize)) => Ok(number),
        _ => Err(format!("it must be a number from 2 to {MOST_MEMBERS}")),
    }
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is not a share from 0 to 1")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Antiphon::command().debug_assert();
    }
}
