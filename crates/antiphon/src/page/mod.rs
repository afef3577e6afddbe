//! A report as one page of HTML that needs nothing else: no script, no network, no file beside it.
//!
//! What is shown is decided here in Rust (`summary`, `course`, `tables`), shapes and texts ready to print; `page.html` only
//! places it, with every text escaped. Charts are SVG that stretches with the page, and their labels are HTML, so that they
//! stay readable on a phone.

mod chart;
mod course;
mod scale;
mod summary;
mod tables;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use crate::run::Report;

/// What a page tells beside the numbers.
#[derive(Clone, Debug)]
pub struct About {
    /// Its heading: what was read, and where the answers are.
    pub title: String,
    /// What is counted, in the plural: `rows`, `documents`, `calls`.
    pub rows: String,
    /// Why the run stopped early, where it did.
    pub stopped: Option<String>,
}

/// All that the template names.
#[derive(Serialize)]
struct View<'a> {
    style: &'a str,
    version: &'a str,
    /// The report as JSON, safe within a `script` element.
    data: String,
    title: &'a str,
    rows: &'a str,
    summary: summary::Summary,
    charts: Vec<chart::Chart>,
    tables: tables::Tables,
}

/// The page.
///
/// # Errors
/// The template does not fit what it is given, which is a fault of this program; the message tells the place.
pub fn render(report: &Report, about: &About) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let view = View {
        style: include_str!("page.css"),
        version: env!("CARGO_PKG_VERSION"),
        data: script_safe(report)?,
        title: &about.title,
        rows: &about.rows,
        summary: summary::of(report, about),
        charts: course::charts(report, about),
        tables: tables::of(report),
    };
    let mut page = || {
        // lines that only hold a statement leave nothing behind
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        environment.set_syntax(syntax.build()?);
        environment.add_template("page.html", include_str!("page.html"))?;
        environment.get_template("page.html")?.render(Serde(&view))
    };
    page().map_err(|error| format!("{error:#}"))
}

/// JSON without the characters that could end a `script` element or begin another.
fn script_safe(report: &Report) -> Result<String, String> {
    let json = serde_json::to_string(report).map_err(|error| error.to_string())?;
    Ok(json
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026"))
}

#[cfg(test)]
mod tests;
