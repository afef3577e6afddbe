//! `antiphon keys new`: keys for callers of the gateway.

use antiphon::Config;
use antiphon_gateway::NewKey;
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{Exit, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  antiphon keys new team-a               the key on stdout, what to add to antiphon.toml on stderr
  antiphon keys new team-a --env         the same for a key that stays in the variable TEAM_A_KEY
  antiphon keys new team-a --json | jq -r .key

The key is shown this once. antiphon.toml keeps its SHA-256, from which nobody can tell the key.
Clients send it as they send a provider's: OPENAI_API_KEY or ANTHROPIC_API_KEY.";

/// Arguments of `antiphon keys`.
#[derive(Args, Debug)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key and print it once, with what to add to the configuration
    #[command(after_help = EXAMPLES)]
    New(NewArgs),
}

/// Arguments of `antiphon keys new`.
#[derive(Args, Debug)]
struct NewArgs {
    /// Whose key it is: its name in the configuration, in metrics and in messages
    name: String,
    /// Print an export line, for a key that the gateway reads from a variable
    #[arg(long)]
    env: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &KeysArgs, printer: &Printer) -> Result<Exit> {
    let KeysCommand::New(new) = &args.command;
    let key = NewKey::make().map_err(|error| anyhow!(error))?;
    let variable = variable_of(&new.name);
    let line = match new.env {
        true => format!("key_env = \"{variable}\""),
        false => format!("key_sha256 = \"{}\"", key.sha256()),
    };
    // strings of JSON are strings of TOML
    let entry = format!("[[keys]]\nname = {}\n{line}\n", json!(new.name));
    Config::from_toml(&entry).map_err(|error| {
        let words = error.0.trim_start_matches("configuration:1: ").to_owned();
        anyhow!(words)
    })?;
    if new.json {
        let mut told = json!({
            "name": new.name,
            "key": key.reveal(),
            "key_sha256": key.sha256(),
            "config": entry,
        });
        if new.env {
            told["key_env"] = json!(variable);
        }
        printer.data(&format!("{told}\n"))?;
        return Ok(Exit::Success);
    }
    printer.data(&match new.env {
        true => format!("export {variable}={}\n", key.reveal()),
        false => format!("{}\n", key.reveal()),
    })?;
    printer.say("the key is shown this once; add to antiphon.toml:\n");
    printer.say(&entry);
    printer.say(
        "and where they are wanted: models = [\"fast\", \"openai/*\"], rpm, tpm, budget_usd_per_day, admin = true",
    );
    Ok(Exit::Success)
}

/// The variable for a key of this name.
fn variable_of(name: &str) -> String {
    let word = |char: char| match char.is_ascii_alphanumeric() {
        true => char.to_ascii_uppercase(),
        false => '_',
    };
    let mut variable: String = name.chars().map(word).collect();
    if !variable.starts_with(|char: char| char.is_ascii_alphabetic()) {
        variable.insert_str(0, "KEY_");
    }
    variable + "_KEY"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_names_that_a_shell_takes() {
        for (name, variable) in [
            ("team-a", "TEAM_A_KEY"),
            ("a b.c", "A_B_C_KEY"),
            ("7", "KEY_7_KEY"),
            ("ä", "KEY___KEY"),
        ] {
            assert_eq!(variable_of(name), variable);
        }
    }
}
