//! Models made of others: chains, races, ensembles and samples, as the configuration and the flags say.

use std::{num::NonZeroUsize, sync::Arc};

use antiphon_core::{
    Error, SharedModel,
    patterns::{
        Fallback, MovesOn, Race, Rescue, RescueMode,
        ensemble::{Decider, Ensemble, EnsembleConfig, Samples},
        vote::VoteOnFields,
    },
};
use serde_json::{Map, json};

use super::{
    Asked, Resolved, Session, Wire, defaults::with_defaults, limits::CallLimits, names::Followed,
    resolved::MadeOf,
};
use crate::config::{Combination, DeciderSettings, EnsembleSettings};

impl Session {
    /// A configured combination. Its parts take the limits that it was reached with where they have none.
    pub(super) fn combined_model(
        &self,
        combination: &Combination,
        name: &str,
        wire: Wire,
        followed: &Followed<'_>,
        path: &[String],
    ) -> Result<Resolved, Error> {
        let limits = followed.limits;
        match combination {
            Combination::Fallback(names) => {
                let parts = self.links(names, wire, limits, path)?;
                self.chained(name, parts, followed.rescue, limits.rescue)
            }
            Combination::Race(names) => {
                let parts = self.parts(names, wire, limits, path)?;
                let model = Race::new(name, models_of(&parts))?;
                let target = [vec!["race".to_owned()], meanings(&parts)].concat();
                let width = width_of(&parts);
                let made = made_of(Arc::new(model), target, parts);
                Ok(Resolved { width, ..made })
            }
            Combination::Ensemble(settings) => {
                let members = self.parts(&settings.members, wire, limits, path)?;
                self.ensemble(name, members, settings, wire, path)
            }
        }
    }

    /// What a name means with the flags' say: answers where others fail, several answers to every request.
    pub(super) fn with_flags(&self, name: &str, wire: Wire) -> Result<Arc<Resolved>, Error> {
        let names = [&[name.to_owned()], self.options.fallback.as_slice()].concat();
        let rescue = Some(self.options.rescue);
        // a chain that the flags make is rescued as a whole, not link by link
        let limits = CallLimits::default().with_rescue(rescue.filter(|_| names.len() == 1));
        let mut links = self.links(&names, wire, limits, &[])?;
        let mut resolved = match links.len() {
            1 => links.remove(0),
            _ => {
                let name = links[0].model.name().to_owned();
                self.outermost(self.chained(&name, links, None, rescue)?)
            }
        };
        if let Some((number, decider)) = &self.options.ensemble {
            let settings = EnsembleSettings::of_samples(*number, decider.clone());
            let name = resolved.model.name().to_owned();
            resolved =
                self.outermost(self.ensemble(&name, vec![resolved], &settings, wire, &[])?);
        }
        if let Some(number) = self.options.samples {
            let model = with_defaults(resolved.model.clone(), &resolved.params);
            let samples = Samples::new(model, number.get() as usize)?;
            let target = vec!["samples".to_owned(), number.to_string(), resolved.meaning()];
            let samples = Arc::new(samples.with_clock(self.clock.clone()));
            let asked = Asked::times(&resolved.asked_as_part(), number.get());
            let mut made = made_of(samples, target, vec![resolved]);
            made.is_made_of_parts = true;
            made.asked = asked;
            made.width = made.width.saturating_mul(number.get());
            resolved = self.outermost(made);
        }
        Ok(resolved)
    }

    /// A model that requests are put to as it is, with the deadlines that they name.
    fn outermost(&self, mut made: Resolved) -> Arc<Resolved> {
        made.model = self.within(made.model, None);
        Arc::new(made)
    }

    pub(super) fn parts(
        &self,
        names: &[String],
        wire: Wire,
        limits: CallLimits,
        path: &[String],
    ) -> Result<Vec<Arc<Resolved>>, Error> {
        names
            .iter()
            .map(|name| self.named(name, wire, limits, path))
            .collect()
    }

    /// The links of a chain. All but the last give up soon where nothing else is said.
    fn links(
        &self,
        names: &[String],
        wire: Wire,
        limits: CallLimits,
        path: &[String],
    ) -> Result<Vec<Arc<Resolved>>, Error> {
        let last = names.len() - 1;
        let mut parts = self.parts(&names[..last], wire, limits.with_another(), path)?;
        parts.extend(self.parts(&names[last..], wire, limits, path)?);
        Ok(parts)
    }

    /// A model that is no chain, with a text that it gives where it fails.
    pub(super) fn rescued(
        &self,
        name: &str,
        model: SharedModel,
        text: &str,
    ) -> Result<SharedModel, Error> {
        let rescued = Fallback::new(name, vec![model])?.with_rescue(text);
        Ok(Arc::new(rescued.with_rule(self.moves_on())))
    }

    /// The fingerprint knows the first model only: fallbacks are not part of what is asked.
    fn chained(
        &self,
        name: &str,
        parts: Vec<Arc<Resolved>>,
        rescue: Option<&str>,
        mode: Option<RescueMode>,
    ) -> Result<Resolved, Error> {
        let mut model = Fallback::new(name, models_of(&parts))?
            .with_rule(self.moves_on())
            .with_rescue_mode(mode.unwrap_or_default());
        if let Some(text) = rescue {
            model = model.with_rescue(text);
        }
        let known_by = parts[0].own_params();
        let asked = Asked::falling_back(&parts[0].asked_as_part());
        let made = made_of(Arc::new(model), parts[0].target.clone(), parts);
        Ok(Resolved {
            known_by,
            asked,
            ..made
        })
    }

    fn moves_on(&self) -> MovesOn {
        match self.options.failover {
            true => MovesOn::Faults,
            false => MovesOn::Elsewhere,
        }
    }

    pub(super) fn ensemble(
        &self,
        name: &str,
        members: Vec<Arc<Resolved>>,
        settings: &EnsembleSettings,
        wire: Wire,
        path: &[String],
    ) -> Result<Resolved, Error> {
        let (decider, decided_by) = match settings.decider.model() {
            Some(named) => {
                let resolved = self.named(named, wire, CallLimits::default(), path)?;
                (
                    with_defaults(resolved.model.clone(), &resolved.params),
                    Some(resolved),
                )
            }
            None => (
                with_defaults(members[0].model.clone(), &members[0].params),
                None,
            ),
        };
        let asked = std::iter::repeat_n(models_of(&members), settings.samples.get() as usize);
        let decider = match &settings.decider {
            DeciderSettings::Unsaid | DeciderSettings::Decide(_) => Decider::Decide(decider),
            DeciderSettings::Judge(_) => Decider::Judge {
                model: decider,
                swapped: false,
            },
            DeciderSettings::Synthesize(_) => Decider::Synthesize(decider),
            DeciderSettings::Vote(fields) => Decider::Vote(match fields.as_slice() {
                [] => Arc::new(VoteOnFields::all()),
                fields => Arc::new(VoteOnFields::of(fields)),
            }),
        };
        let meaning = json!({
            "members": meanings(&members),
            "samples": settings.samples,
            "decider": format!("{:?}", settings.decider),
            "decided_by": decided_by.as_ref().map(|resolved| resolved.meaning()),
            "quorum": settings.quorum,
            "pass_reasoning": settings.pass_reasoning,
            "temperature": settings.decision_maker_temperature,
            "prompt": settings.decision_maker_prompt,
        });
        let target = vec!["ensemble".to_owned(), meaning.to_string()];
        let calls: Vec<Asked> = members
            .iter()
            .flat_map(|part| part.asked_as_part())
            .collect();
        let mut calls = Asked::times(&calls, settings.samples.get());
        if !matches!(decider, Decider::Vote(_)) {
            let decides = decided_by.as_ref().unwrap_or(&members[0]);
            calls.extend(Asked::deciding(&decides.asked_as_part()));
        }
        let width = width_of(&members).saturating_mul(settings.samples.get());
        let made_of = match &decider {
            Decider::Vote(vote) => MadeOf::Voters(members, vote.clone()),
            _ => MadeOf::Models(members),
        };
        let asked = asked.flatten().collect();
        let mut model = Ensemble::new(asked, decider, config_of(settings))?
            .with_name(name)
            .with_clock(self.clock.clone());
        if let Some(quorum) = settings.quorum {
            model = model.with_quorum(quorum.try_into().unwrap_or(NonZeroUsize::MAX));
        }
        if let Some(deadline) = settings.deadline {
            model = model.with_deadline(deadline);
        }
        Ok(Resolved {
            model: Arc::new(model),
            params: Map::new(),
            is_made_of_parts: true,
            width,
            decides_by_deadline: false,
            target,
            known_by: Map::new(),
            made_of,
            asked: calls,
        })
    }
}

/// Limits and retries are those of each model's own stack, in front of whose gate a call may wait for long.
fn config_of(settings: &EnsembleSettings) -> EnsembleConfig {
    let usual = EnsembleConfig::default();
    EnsembleConfig {
        timeout: None,
        max_retries: 0,
        decision_maker_temperature: settings
            .decision_maker_temperature
            .unwrap_or(usual.decision_maker_temperature),
        decision_maker_prompt: settings.decision_maker_prompt.clone(),
        pass_reasoning: settings.pass_reasoning,
        ..usual
    }
}

/// A model that is no chain, with what becomes of its streams that break. Where they just end it is the very same model.
pub(super) fn with_streams_rescued(model: SharedModel, mode: RescueMode) -> SharedModel {
    match mode {
        RescueMode::Off => model,
        mode => Arc::new(Rescue::new(model, mode)),
    }
}

/// A model that asks one of these at a time.
fn made_of(model: SharedModel, target: Vec<String>, parts: Vec<Arc<Resolved>>) -> Resolved {
    Resolved {
        model,
        params: Map::new(),
        is_made_of_parts: parts.iter().any(|part| part.is_made_of_parts),
        width: parts.iter().map(|part| part.width).max().unwrap_or(1),
        decides_by_deadline: false,
        target,
        known_by: Map::new(),
        asked: parts.iter().flat_map(|part| part.asked_as_part()).collect(),
        made_of: MadeOf::Models(parts),
    }
}

/// Each with the parameters that the configuration gives it.
fn models_of(parts: &[Arc<Resolved>]) -> Vec<SharedModel> {
    parts
        .iter()
        .map(|part| with_defaults(part.model.clone(), &part.params))
        .collect()
}

/// Of models that are asked side by side.
fn width_of(parts: &[Arc<Resolved>]) -> u32 {
    let widths = parts.iter().map(|part| part.width);
    widths.fold(0, u32::saturating_add).max(1)
}

fn meanings(parts: &[Arc<Resolved>]) -> Vec<String> {
    parts.iter().map(|part| part.meaning()).collect()
}
