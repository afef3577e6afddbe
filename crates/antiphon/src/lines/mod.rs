//! Lines of input: what they ask, and the calls they become.

mod analysis;
pub(crate) mod shapes;
mod ways;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Fingerprint, Message, Schema,
    chat::Role,
    job::{Call, Prepare, PreparedRow, RawRow},
};
use antiphon_store::sources::Rows;
use serde_json::{Map, Value, json};

use crate::{
    session::{Resolved, Session, lay_beneath},
    template::{Template, TemplateError},
};
pub use analysis::Analysis;
pub(crate) use analysis::document;
use shapes::Asked;
pub use ways::Variant;
pub(crate) use ways::{Way, Ways};

/// How lines become calls.
#[derive(Debug)]
pub(crate) struct LinesConfig {
    /// What lines hold.
    pub(crate) rows: Rows,
    /// Models and prompts.
    pub(crate) ways: Ways,
    /// Rows are documents, and this is asked about each.
    pub(crate) analysis: Option<Analysis>,
    /// Makes a system message from a row's fields.
    pub(crate) system: Option<Template>,
    /// Parameters of every request, in place of what lines say.
    pub(crate) params: Map<String, Value>,
    /// The shape of every answer.
    pub(crate) schema: Option<Schema>,
    /// Parameters that the target cannot take are errors.
    pub(crate) strict: bool,
}

/// Prepares rows for a job.
#[derive(Debug)]
pub(crate) struct Lines {
    config: LinesConfig,
    session: Arc<Session>,
    overridden: Mutex<BTreeSet<String>>,
}

/// A row under its name.
struct Named {
    custom_id: Option<String>,
    owns_custom_id: bool,
    asked: Result<Asked, Error>,
}

/// What a row is called in messages.
pub(crate) fn row_word(analysis: Option<&Analysis>) -> &'static str {
    match analysis {
        Some(_) => "document",
        None => "line",
    }
}

impl Named {
    fn unnamed(asked: Result<Asked, Error>) -> Self {
        Self {
            custom_id: None,
            owns_custom_id: false,
            asked,
        }
    }
}

impl Lines {
    /// Prepares rows with the models of a session.
    pub(crate) fn new(config: LinesConfig, session: Arc<Session>) -> Self {
        Self {
            config,
            session,
            overridden: Mutex::default(),
        }
    }

    /// The flags that have taken the place of something in lines: to be told once.
    pub(crate) fn overridden(&self) -> Vec<String> {
        let overridden = self
            .overridden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        overridden.iter().cloned().collect()
    }

    fn read(&self, row: &RawRow, way: &Way) -> Named {
        let text = match &row.text {
            Ok(text) => String::from_utf8_lossy(text),
            Err(fault) => return Named::unnamed(Err(fault.error(self.word()))),
        };
        if self.config.rows == Rows::Text {
            return Named::unnamed(self.read_text(&text, way));
        }
        let fields = match shapes::object_of_line(&text) {
            Ok(fields) => fields,
            Err(error) => return Named::unnamed(Err(error)),
        };
        let is_data = way.prompt.is_some() || self.config.analysis.is_some();
        let id = |name| match shapes::id(&fields, name) {
            // a column of data may hold anything
            Err(_) if is_data => Ok(None),
            id => id,
        };
        let (owned, named) = match (id("custom_id"), id("id")) {
            (Ok(owned), Ok(named)) => (owned, named),
            (Err(error), _) | (_, Err(error)) => return Named::unnamed(Err(error)),
        };
        Named {
            owns_custom_id: owned.is_some(),
            custom_id: owned.or(named),
            asked: match &self.config.analysis {
                Some(analysis) => analysis.request(fields).map(Asked::of_flags),
                None if is_data => self.read_data(&fields, way),
                None => self.read_request(fields),
            },
        }
    }

    /// What a row is called in messages.
    fn word(&self) -> &'static str {
        row_word(self.config.analysis.as_ref())
    }

    /// Names the place of a row, as editors count it. Errors that stop the run are not the row's.
    fn at_line(&self, row: &RawRow, error: Error) -> Error {
        if error.stops_the_run() {
            return error;
        }
        let message = match &row.name {
            Some(name) => format!("{name}: {error}"),
            None => format!("{} {}: {error}", self.word(), row.line),
        };
        Error::new(error.kind(), message)
    }

    fn read_request(&self, fields: Map<String, Value>) -> Result<Asked, Error> {
        let system = self.config.system.as_ref();
        let system = system.map(|system| system.render(&fields).map_err(template_error(&fields)));
        let mut asked = shapes::request(fields)?;
        if let Some(text) = system.transpose()? {
            Arc::make_mut(&mut asked.request.messages).insert(0, Message::text(Role::System, text));
        }
        Ok(asked)
    }

    fn read_text(&self, line: &str, way: &Way) -> Result<Asked, Error> {
        let fields = Map::from_iter([("line".to_owned(), Value::from(line))]);
        let mut asked = self.read_data(&fields, way)?;
        if way.prompt.is_none() {
            Arc::make_mut(&mut asked.request.messages).push(Message::text(Role::User, line));
        }
        Ok(asked)
    }

    /// A row of data: templates make the messages.
    fn read_data(&self, fields: &Map<String, Value>, way: &Way) -> Result<Asked, Error> {
        let mut messages = Vec::new();
        for (template, role) in [
            (&self.config.system, Role::System),
            (&way.prompt, Role::User),
        ] {
            if let Some(template) = template {
                let text = template.render(fields).map_err(template_error(fields))?;
                messages.push(Message::text(role, text));
            }
        }
        Ok(Asked::of_flags(ChatRequest::new(messages)))
    }

    /// The model of a row, and its request with the settings of the run laid over it.
    fn resolve(&self, asked: Asked, way: &Way) -> Result<(Arc<Resolved>, ChatRequest), Error> {
        let model = match (&way.model, asked.model) {
            (Some(flag), line) => {
                if line.as_ref().is_some_and(|line| line != flag) {
                    self.note_override("--model");
                }
                flag.clone()
            }
            (None, Some(line)) => line,
            (None, None) => self.session.default_model().ok_or_else(|| {
                Error::new(
                    ErrorKind::BadRequest,
                    "no model is named; pass --model provider/model or set default_model",
                )
            })?,
        };
        let resolved = self.session.resolve(&model, asked.wire)?;
        let mut request = asked.request;
        lay_beneath(&resolved.params, &mut request);
        let params = Arc::make_mut(&mut request.params);
        for (name, value) in &self.config.params {
            if let Some(line) = params.insert(name.clone(), value.clone())
                && line != *value
                && self.config.analysis.is_none()
            {
                self.note_override(&format!("--param {name}"));
            }
        }
        request.schema.clone_from(&self.config.schema);
        self.session.check_bounded(&request)?;
        if self.config.strict {
            resolved.refuse_dropped(&request)?;
        }
        Ok((resolved, request))
    }

    /// Refuses a plan that cannot work, judged by the first row: a template that names a field which it lacks, a model
    /// of which nothing is known, a key that is missing. Says whether the row could tell: a line that is no request
    /// fits any plan, since it becomes an error line.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn check_first(&self, row: &RawRow) -> Result<bool, Error> {
        let (way, _) = self.config.ways.of(row);
        let asked = self.read(row, way).asked;
        // what the line itself says is a matter of that line; what flags and configuration say is not
        let names_model = asked.as_ref().is_ok_and(|asked| asked.model.is_some());
        let is_of_line = |kind| match kind {
            ErrorKind::MissingField => true,
            ErrorKind::ModelNotFound => names_model && way.model.is_none(),
            _ => false,
        };
        let resolved = asked.and_then(|asked| self.resolve(asked, way));
        let checked = resolved.and_then(|(resolved, request)| {
            match request.schema.is_some() || resolved.is_made_of_parts {
                true => resolved.check(&request),
                false => Ok(()),
            }
        });
        match checked {
            Ok(()) => Ok(true),
            // one bad line, even the first, becomes an error line; a plan that cannot work is refused
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidLine | ErrorKind::LineTooLong
                ) =>
            {
                Ok(false)
            }
            Err(error) if is_of_line(error.kind()) => Err(self.at_line(row, error)),
            Err(error) => Err(error),
        }
    }

    fn note_override(&self, what: &str) {
        let mut overridden = self
            .overridden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !overridden.contains(what) {
            overridden.insert(what.to_owned());
        }
    }
}

impl Prepare for Lines {
    fn prepare(&self, row: &RawRow) -> PreparedRow {
        let (way, number) = self.config.ways.of(row);
        let named = self.read(row, way);
        let resolved = named.asked.and_then(|asked| self.resolve(asked, way));
        let (call, fingerprint) = match resolved {
            Ok((resolved, request)) => {
                let fingerprint = resolved.fingerprint(&request);
                let call = Call {
                    model: resolved.model.clone(),
                    is_journaled: request.schema.is_some() || resolved.is_made_of_parts,
                    width: resolved.width,
                    request,
                    dropped: Vec::new(),
                };
                (Ok(call), fingerprint)
            }
            // a line that is no request is known by its bytes
            Err(error) => (
                Err(self.at_line(row, error)),
                Fingerprint::of_bytes("line", &row.hash),
            ),
        };
        let custom_id = named.custom_id.or_else(|| row.name.clone());
        let custom_id = custom_id.unwrap_or_else(|| format!("row-{number}"));
        PreparedRow {
            custom_id: match &way.name {
                Some(name) => format!("{custom_id}:{name}"),
                None => custom_id,
            },
            owns_custom_id: named.owns_custom_id,
            fingerprint,
            call,
        }
    }

    /// Of a document everything but its text, which may be long.
    fn extract(&self, row: &RawRow) -> Option<String> {
        self.config.analysis.as_ref()?;
        let whole = row.text.as_ref().ok();
        let fields = whole.and_then(|text| analysis::without_text(text));
        // of what cannot be read there is at least the name
        fields.or_else(|| Some(json!({"id": row.name.as_ref()?}).to_string()))
    }
}

fn template_error(fields: &Map<String, Value>) -> impl FnOnce(TemplateError) -> Error + '_ {
    move |error| match error {
        TemplateError::MissingField(field) => {
            let names: Vec<&str> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, _)| name.as_str())
                .collect();
            let has = match names.as_slice() {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            Error::new(
                ErrorKind::MissingField,
                format!("the row has no field `{field}`; it has {has}"),
            )
        }
        TemplateError::Failed(message) => Error::new(ErrorKind::BadRequest, message),
    }
}
