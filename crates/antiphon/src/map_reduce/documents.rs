//! The documents of a map-reduce, read whole: pieces and reduce steps need them all.

use std::path::PathBuf;

use antiphon_core::{Error, job::Source, patterns::Document};
use antiphon_store::sources::Documents;
use serde_json::{Map, Value};

use crate::{
    lines::{document, shapes},
    run::{RunError, input::check_documents},
};

/// Reads all documents. One that cannot be read is refused: nothing has been paid yet, and it can be mended or left out.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Document>, RunError> {
    check_documents(files)?;
    let mut source = Documents::new(files);
    let mut documents = Vec::new();
    loop {
        let row = source
            .next_row()
            .map_err(|error| RunError::of_system(format!("cannot read: {error}"), &error))?;
        let Some(row) = row else { break };
        let place = match &row.name {
            Some(name) => name.clone(),
            None => format!("document {}", row.line),
        };
        let bad = |error: Error| RunError::usage(format!("{place}: {error}"));
        let text = row.text.map_err(|fault| bad(fault.error("document")))?;
        let fields = shapes::object_of_line(&String::from_utf8_lossy(&text)).map_err(bad)?;
        let id = id(&fields).map_err(bad)?;
        let mut document = document(fields).map_err(bad)?;
        document.metadata.shift_remove("id");
        document.id = id.unwrap_or_else(|| format!("row-{}", row.index));
        documents.push(document);
    }
    match documents.is_empty() {
        true => Err(RunError::usage("there are no documents in these files")),
        false => Ok(documents),
    }
}

fn id(fields: &Map<String, Value>) -> Result<Option<String>, Error> {
    let owned = shapes::id(fields, "custom_id")?;
    Ok(owned.or(shapes::id(fields, "id")?))
}
