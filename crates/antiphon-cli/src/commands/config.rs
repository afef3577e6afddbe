//! `antiphon config show`.

use antiphon::env;
use anyhow::Result;

use super::job;
use crate::{
    Exit,
    args::{ConfigArgs, ConfigCommand},
    printer::{Printer, clean},
};

pub(crate) fn run(args: &ConfigArgs, printer: &Printer) -> Result<Exit> {
    let ConfigCommand::Show { config, json } = &args.command;
    let config = job::config(config.as_deref())?;
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
