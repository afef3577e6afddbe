//! `antiphon config show`.

use antiphon::{Config, env};
use anyhow::{Context, Result};

use crate::{
    Exit,
    args::{ConfigArgs, ConfigCommand},
    printer::{Printer, clean},
};

pub(crate) fn run(args: &ConfigArgs, printer: &Printer) -> Result<Exit> {
    let ConfigCommand::Show { config, json } = &args.command;
    let folder = std::env::current_dir().context("the working folder is gone")?;
    let config = Config::load(&folder, config.as_deref(), &env::process)?;
    let origins = config.effective(&env::process);
    if *json {
        printer.data(&format!("{}\n", serde_json::to_string(&origins)?))?;
        return Ok(Exit::Success);
    }
    let width = origins
        .iter()
        .map(|origin| origin.key.len())
        .max()
        .unwrap_or(0);
    for origin in &origins {
        let line = format!(
            "{:width$} = {}  # {}\n",
            origin.key, origin.value, origin.from
        );
        printer.data(&clean(&line))?;
    }
    Ok(Exit::Success)
}
