//! What a model name means.

use std::{collections::BTreeSet, sync::Arc};

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Fingerprint, SharedModel, patterns::ensemble::Decide,
};
use antiphon_providers::dialects::{Dialect, EncodeTarget};
use serde_json::{Map, Value};

use super::{Asked, lay_beneath};

/// A model name's meaning.
#[derive(Debug)]
pub struct Resolved {
    /// The model with its whole stack.
    pub model: SharedModel,
    /// Parameters that the configuration gives it, beneath those of a request.
    pub params: Map<String, Value>,
    /// Whether its calls are made of several whose answers must be recorded one by one.
    pub is_made_of_parts: bool,
    /// Plain calls that a request takes side by side.
    pub width: u32,
    /// Whether it decides by the deadline that its call names, which then does not end the call.
    pub decides_by_deadline: bool,
    pub(super) target: Vec<String>,
    /// Parameters that belong to its identity, but not to every model it is made of: those of the first of a chain.
    pub(super) known_by: Map<String, Value>,
    pub(super) made_of: MadeOf,
    /// The calls that a request makes.
    pub(crate) asked: Vec<Asked>,
}

/// Where a model's requests go.
#[derive(Debug)]
pub(super) enum MadeOf {
    /// The simulated provider, which takes everything.
    Sim,
    /// A model that the program brought. It judges for itself what it can take.
    Given,
    /// An endpoint.
    Endpoint {
        dialect: &'static dyn Dialect,
        version: Option<String>,
    },
    /// Other models.
    Models(Vec<Arc<Resolved>>),
    /// An ensemble of models that votes.
    Voters(Vec<Arc<Resolved>>, Arc<dyn Decide>),
}

impl Resolved {
    /// Lays the parameters that the configuration gives the model beneath those of a request.
    pub fn lay_params(&self, request: &mut ChatRequest) {
        lay_beneath(&self.params, request);
    }

    /// The identity of a request that is put to this model. Beside the request it knows provider, base URL and model; of a
    /// model made of others what it is made of, of a chain the first only.
    pub fn fingerprint(&self, request: &ChatRequest) -> Fingerprint {
        let target: Vec<&str> = self.target.iter().map(String::as_str).collect();
        if self.known_by.is_empty() {
            return Fingerprint::of(&target, request);
        }
        let mut known = request.clone();
        lay_beneath(&self.known_by, &mut known);
        Fingerprint::of(&target, &known)
    }

    /// Its target and parameters as one text, for the target of a model that is made of it.
    pub(super) fn meaning(&self) -> String {
        // strings and JSON values to memory: cannot fail
        serde_json::to_string(&(&self.target, self.own_params())).unwrap_or_default()
    }

    /// The parameters that belong to its identity.
    pub(super) fn own_params(&self) -> Map<String, Value> {
        let mut own = self.params.clone();
        for (name, value) in &self.known_by {
            own.entry(name.clone()).or_insert_with(|| value.clone());
        }
        own
    }

    /// The calls of a model that it is a part of: they have its parameters.
    pub(super) fn asked_as_part(&self) -> Vec<Asked> {
        let each = self.asked.iter().map(|call| {
            let mut call = call.clone();
            for (name, value) in &self.params {
                let entry = call.params.entry(name.clone());
                entry.or_insert_with(|| value.clone());
            }
            call
        });
        each.collect()
    }

    /// Refuses a request that cannot be put to its target at all, such as one whose schema it cannot express.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`].
    pub fn check(&self, request: &ChatRequest) -> Result<(), Error> {
        self.check_votes(request)?;
        self.dropped_from(request).map(drop)
    }

    fn check_votes(&self, request: &ChatRequest) -> Result<(), Error> {
        let parts = match &self.made_of {
            MadeOf::Sim | MadeOf::Given | MadeOf::Endpoint { .. } => return Ok(()),
            MadeOf::Models(parts) => parts,
            MadeOf::Voters(parts, vote) => {
                vote.check(request.schema.as_ref())?;
                parts
            }
        };
        parts.iter().try_for_each(|part| part.check_votes(request))
    }

    /// The parameters of a request that the target cannot take.
    fn dropped_from(&self, request: &ChatRequest) -> Result<BTreeSet<String>, Error> {
        match &self.made_of {
            MadeOf::Sim | MadeOf::Given => Ok(BTreeSet::new()),
            MadeOf::Endpoint { dialect, version } => {
                let target = EncodeTarget {
                    provider: &self.target[0],
                    model: &self.target[2],
                    version: version.as_deref(),
                };
                Ok(dialect
                    .encode(request, &target)?
                    .dropped
                    .into_iter()
                    .collect())
            }
            MadeOf::Models(parts) | MadeOf::Voters(parts, _) => {
                let mut dropped = BTreeSet::new();
                for part in parts {
                    dropped.extend(part.dropped_from(request)?);
                }
                Ok(dropped)
            }
        }
    }

    /// Refuses a request of which a parameter would be left out.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`] that names the parameters.
    pub fn refuse_dropped(&self, request: &ChatRequest) -> Result<(), Error> {
        let dropped = self.dropped_from(request)?;
        if dropped.is_empty() {
            return Ok(());
        }
        let dropped: Vec<String> = dropped.into_iter().collect();
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("{} cannot take {}", self.model.name(), dropped.join(", ")),
        ))
    }
}
