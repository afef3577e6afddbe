//! `--report FILE.json`.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use antiphon::run::Report;
use anyhow::{Context, Result, bail};

/// Refuses a report that could not be written at the end, before anything is paid for.
pub(crate) fn check(path: &Path, inputs: &[PathBuf], output: Option<&Path>) -> Result<()> {
    let shown = path.display();
    if path.extension().is_none_or(|extension| extension != "json") {
        bail!("--report {shown}: reports are written as .json");
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

/// Writes the report.
pub(crate) fn write(path: &Path, report: &Report) -> Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    fs::write(path, json + "\n")
        .with_context(|| format!("cannot write --report {}", path.display()))
}
