//! `--report FILE.json` and `--report FILE.html`.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use antiphon::{
    core::job::StopReason,
    page::{self, About},
    run::Report,
};
use anyhow::{Context, Result, anyhow, bail};

use crate::{args::is_dash, last_words};

/// Inputs that a page names before it counts the rest.
const NAMED: usize = 2;

/// How a report is written.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Html,
}

impl Form {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "html" => Some(Self::Html),
            _ => None,
        }
    }
}

/// Refuses a report that could not be written at the end, before anything is paid for.
pub(crate) fn check(path: &Path, inputs: &[PathBuf], output: Option<&Path>) -> Result<()> {
    let shown = path.display();
    if Form::of(path).is_none() {
        bail!("--report {shown}: reports are written as .json or .html");
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        bail!("--report {shown}: the folder does not exist");
    }
    let resolved = fs::canonicalize(path).ok();
    let mut others = inputs.iter().map(PathBuf::as_path).chain(output);
    let is_other = |other: &Path| fs::canonicalize(other).ok() == resolved;
    if resolved.is_some() && others.any(is_other) {
        bail!("--report {shown}: this is also the input or output");
    }
    let existed = path.exists();
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .with_context(|| format!("cannot write --report {shown}"))?;
    if !existed {
        // a run that is refused leaves nothing behind
        let _gone = fs::remove_file(path);
    }
    Ok(())
}

/// What a page says of a job beside its numbers. `rows` is what they are called, in the plural.
pub(crate) fn about(
    inputs: &[PathBuf],
    output: Option<&Path>,
    rows: &str,
    stopped: Option<&StopReason>,
) -> About {
    let output = output.filter(|output| !is_dash(output));
    About {
        title: format!(
            "{} → {}",
            named(inputs),
            output.map_or("stdout".to_owned(), name)
        ),
        rows: rows.to_owned(),
        stopped: stopped.map(last_words::why_stopped),
    }
}

fn named(inputs: &[PathBuf]) -> String {
    let named = inputs.iter().take(NAMED).map(|input| match is_dash(input) {
        true => "stdin".to_owned(),
        false => name(input),
    });
    let named = named.collect::<Vec<_>>().join(", ");
    match inputs.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Writes the report in the form that its name asks for.
pub(crate) fn write(path: &Path, report: &Report, about: &About) -> Result<()> {
    let text = match Form::of(path) {
        Some(Form::Html) => page::render(report, about)
            .map_err(|fault| anyhow!("the report has no page: {fault}"))?,
        _ => serde_json::to_string_pretty(report)? + "\n",
    };
    fs::write(path, text).with_context(|| format!("cannot write --report {}", path.display()))
}
