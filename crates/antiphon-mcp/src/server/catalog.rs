//! [`Catalog`]: the tools of a server, as clients are told of them and find them.

use std::{fmt, sync::Arc};

use antiphon_core::Error;
use rmcp::{
    ErrorData,
    model::{Tool as Offered, ToolAnnotations},
};
use serde_json::{Map, Value};

use super::arguments::Arguments;
use crate::Tool;

/// The tools, in their order.
#[derive(Debug)]
pub(super) struct Catalog(Vec<Entry>);

/// A tool.
pub(super) struct Entry {
    pub(super) tool: Arc<dyn Tool>,
    name: &'static str,
    arguments: Arguments,
    offered: Offered,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tool.fmt(f)
    }
}

impl Catalog {
    pub(super) fn new(tools: Vec<Arc<dyn Tool>>) -> Self {
        Self(tools.into_iter().map(Entry::new).collect())
    }

    /// What clients are told of all.
    pub(super) fn offered(&self) -> Vec<Offered> {
        self.0.iter().map(|entry| entry.offered.clone()).collect()
    }

    /// The tool of a name.
    ///
    /// # Errors
    /// There is none: -32602 with those that there are.
    pub(super) fn find(&self, name: &str) -> Result<&Entry, ErrorData> {
        let found = self.0.iter().find(|entry| entry.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|entry| entry.name).collect();
            let name: String = name.chars().take(100).collect();
            let message = format!("no tool is called {name:?}; there are {}", names.join(", "));
            ErrorData::invalid_params(message, None)
        })
    }
}

impl Entry {
    fn new(tool: Arc<dyn Tool>) -> Self {
        let (facts, effects) = (tool.facts(), tool.effects());
        let annotations = ToolAnnotations::new()
            .read_only(facts.is_read_only)
            .destructive(effects.is_destructive)
            .idempotent(effects.is_idempotent)
            .open_world(effects.is_open_world);
        Self {
            name: facts.name,
            arguments: Arguments::of(&facts.input),
            offered: Offered::new(facts.name, facts.description, facts.input)
                .with_title(facts.title)
                .with_raw_output_schema(Arc::new(facts.output))
                .with_annotations(annotations),
            tool,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// What clients are told.
    pub(super) fn offered(&self) -> &Offered {
        &self.offered
    }

    /// Gives the arguments back where they fit the tool.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn check(&self, given: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        self.arguments.check(self.name, given)
    }
}
