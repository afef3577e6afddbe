//! `antiphon completions` and `antiphon man`.

use anyhow::Result;
use clap::CommandFactory;

use crate::{Exit, args::Antiphon, printer::Printer};

pub(crate) fn completions(shell: clap_complete::Shell, printer: &Printer) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Antiphon::command(), "antiphon", &mut script);
    printer.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

pub(crate) fn man(printer: &Printer) -> Result<Exit> {
    let mut pages = Vec::new();
    let command = Antiphon::command();
    clap_mangen::Man::new(command.clone()).render(&mut pages)?;
    for sub in command.get_subcommands() {
        let name = format!("antiphon-{}", sub.get_name());
        clap_mangen::Man::new(sub.clone().name(name)).render(&mut pages)?;
    }
    printer.data(&String::from_utf8_lossy(&pages))?;
    Ok(Exit::Success)
}
