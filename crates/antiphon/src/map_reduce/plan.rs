//! From options to a job: everything is checked before anything is sent.

use std::{
    num::NonZeroUsize,
    sync::{Arc, OnceLock},
    time::Instant,
};

use antiphon_core::{
    ChatRequest, Schema, SharedModel,
    job::{Stop, StopReason},
    patterns::{Document, MapReduce, Piece},
};
use antiphon_store::BudgetFile;
use serde_json::{Map, Value};

use super::{
    MapReduceOptions, MapReduceWatch, PreparedMapReduce, budget, documents,
    memory::{Calls, Memory, Outlasting},
    target::Target,
};
use crate::{
    Config, Template, TemplateError,
    env::Lookup,
    run::{
        RunError,
        check::refuse_reserved,
        plan::{ledger_error, open_state},
    },
    session::Session,
};

/// Upper bound of calls in flight where none is given; the account's own limit adapts below it.
const ADAPTIVE_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(256).unwrap();

pub(super) fn prepare(
    options: MapReduceOptions,
    config: Config,
    env: Lookup<'_>,
) -> Result<PreparedMapReduce, RunError> {
    refuse_reserved(&options.params, options.schema.is_some())?;
    let target = Target(options.output.clone());
    let state_folder = options.state.clone().or_else(|| target.state_folder());
    let state_folder = state_folder.as_deref();
    // the folder of an earlier run is locked first: a second run on it must not even read its input
    let mut state = match state_folder.filter(|folder| Memory::is_in(folder)) {
        Some(folder) => Some(open_state(Some(folder))?),
        None => None,
    };
    let documents = documents::read(&options.files)?;
    target.check(&options.files, state_folder, options.fresh)?;
    let stop = Stop::new();
    let calls = Arc::new(Calls::default());
    let session = || {
        let drain = stop.draining().clone();
        Session::new(config.clone(), options.session.clone(), env, drain)
    };
    // models are checked before there is a folder, and made again with its memory
    let checked = pattern(&options, &session(), &documents, &calls, &stop)?;
    let map_calls = checked
        .map_calls(&documents)
        .map_err(|error| RunError::usage(error.to_string()))?;

    let mut notes = Vec::new();
    if options.fresh {
        notes = target.move_aside(state_folder)?;
        // the lock went with the folder
        state = None;
    }
    let state = match state {
        Some(state) => state,
        None => open_state(state_folder)?,
    };
    let memory = Memory::open(state.dir.path(), stop.clone()).map_err(ledger_error)?;
    notes.extend(memory.notes());
    let session = Arc::new(session().with_memory(Arc::new(memory)));
    let budget = BudgetFile::in_folder(state.dir.path());
    budget::begin(&session, &budget)?;
    let pattern = pattern(&options, &session, &documents, &calls, &stop)?;
    notes.extend(session.retirement_notes());
    Ok(PreparedMapReduce {
        pattern,
        documents,
        target,
        deadline: options.deadline,
        watch: MapReduceWatch {
            session,
            calls,
            map_calls: map_calls as u64,
            stop,
            started: Instant::now(),
        },
        notes,
        budget,
        _state: state,
    })
}

fn pattern(
    options: &MapReduceOptions,
    session: &Session,
    documents: &[Document],
    calls: &Arc<Calls>,
    stop: &Stop,
) -> Result<MapReduce, RunError> {
    let model = |name: &Option<String>| -> Result<SharedModel, RunError> {
        let name = name.clone().or_else(|| session.default_model());
        let name = name.ok_or_else(|| {
            RunError::usage("no model is named; pass --model provider/model or set default_model")
        })?;
        let inner = session
            .model(&name)
            .map_err(|error| RunError::usage(error.to_string()))?;
        Ok(Arc::new(Outlasting {
            inner,
            calls: calls.clone(),
            stop: stop.clone(),
        }))
    };
    let window = options.window_tokens;
    let concurrency = options.session.concurrency;
    let concurrency = concurrency.and_then(|most| NonZeroUsize::try_from(most).ok());
    let mut pattern = MapReduce::new(model(&options.model)?, window)
        .with_max_concurrent(concurrency.unwrap_or(ADAPTIVE_CONCURRENCY))
        .with_on_failure(options.on_failure);
    if options.reduce_model.is_some() {
        pattern = pattern.with_reduce_model(model(&options.reduce_model)?, window);
    }
    if let Some(map) = &options.map {
        pattern = match is_template(map) {
            true => with_template(pattern, map, documents, stop)?,
            false => pattern.with_map(map),
        };
    }
    if let Some(reduce) = &options.reduce {
        if is_template(reduce) {
            return Err(RunError::usage(
                "--reduce is an instruction, not a template: the texts are put below it",
            ));
        }
        pattern = pattern.with_reduce(reduce);
    }
    if let Some(json) = &options.schema {
        let schema = Schema::new(json.clone());
        let schema = schema
            .map_err(|error| RunError::usage(format!("--schema is not a JSON Schema: {error}")))?;
        pattern = pattern.with_schema(schema);
    }
    for (name, value) in &options.params {
        pattern = pattern.with_param(name, value.clone());
    }
    if let Some(tokens) = options.max_output_tokens {
        pattern = pattern.with_max_output_tokens(tokens);
    }
    if let Some(texts) = options.fan_in {
        pattern = pattern.with_fan_in(texts);
    }
    Ok(pattern)
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Map requests from a template over a document's fields, of which `text` is the piece.
fn with_template(
    pattern: MapReduce,
    source: &str,
    documents: &[Document],
    stop: &Stop,
) -> Result<MapReduce, RunError> {
    let template = Template::new("--map", source.to_owned()).map_err(RunError::usage)?;
    if !template.names("text") {
        return Err(RunError::usage(
            "the template --map does not name {{ text }}, so no document would be seen",
        ));
    }
    for document in documents {
        let whole = Piece {
            document,
            text: &document.text,
            number: 1,
            of: 1,
        };
        template.render(&fields(&whole)).map_err(|error| {
            let why = why(error);
            RunError::usage(format!("document `{}`: {why}", document.id))
        })?;
    }
    let stop = stop.clone();
    let failed = OnceLock::new();
    Ok(pattern.with_map_prompt(move |piece| {
        let text = template.render(&fields(piece)).unwrap_or_else(|error| {
            // it has rendered the whole document, so this takes a template that minds the length of a text
            if failed.set(()).is_ok() {
                stop.drain(StopReason::Input(format!(
                    "document `{}`: {}",
                    piece.document.id,
                    why(error)
                )));
            }
            piece.text.to_owned()
        });
        ChatRequest::prompt(&text)
    }))
}

fn fields(piece: &Piece<'_>) -> Map<String, Value> {
    let mut fields = piece.document.metadata.clone();
    fields.insert("id".to_owned(), Value::from(piece.document.id.as_str()));
    fields.insert("text".to_owned(), Value::from(piece.text));
    fields.insert("part".to_owned(), Value::from(piece.number));
    fields.insert("parts".to_owned(), Value::from(piece.of));
    fields
}

fn why(error: TemplateError) -> String {
    match error {
        TemplateError::MissingField(field) => format!("it has no field `{field}`"),
        TemplateError::Failed(message) => message,
    }
}
