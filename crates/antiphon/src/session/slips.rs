//! Slips of the finger in names of models: one that is nearly a configured one would be sent to a provider, which has no
//! such model.

use antiphon_core::{Error, ErrorKind};

use super::{Session, Wire, names::Plain};
use crate::{
    config::{Combination, Made, ModelConfig},
    nearest,
};

/// A name that looks like a configured one and is none.
struct Slip<'a> {
    /// The configured one.
    meant: &'a str,
    /// What the name stands for if it is no slip.
    full: String,
}

impl Session {
    /// A name without a provider that is probably a configured one, misspelt: it is near one, and no known model. Models
    /// that differ in nothing but a number are others.
    fn slip(&self, name: &str, wire: Wire) -> Result<Option<Slip<'_>>, Error> {
        let configured = || self.config.settings.models.keys().map(String::as_str);
        if configured().any(|known| known == name) {
            return Ok(None);
        }
        let Plain {
            provider,
            model,
            is_bare,
        } = self.plain(name, wire, true);
        let Some(meant) = nearest(name, configured()).filter(|_| is_bare) else {
            return Ok(None);
        };
        let is_other_number = without_numbers(name) == without_numbers(meant);
        if is_other_number || self.catalog()?.find(&provider, &model).is_some() {
            return Ok(None);
        }
        let full = format!("{provider}/{model}");
        Ok(Some(Slip { meant, full }))
    }

    /// Refuses such a name of a caller's. What was meant is not told here: not every caller may know of it.
    pub(super) fn refuse_slip(&self, name: &str, wire: Wire) -> Result<(), Error> {
        let Some(Slip { full, .. }) = self.slip(name, wire)? else {
            return Ok(());
        };
        let message = format!(
            "no model is configured as {name:?} (write {full:?} for a model of the provider)"
        );
        Err(Error::new(ErrorKind::ModelNotFound, message))
    }

    /// Refuses such a name in a configured model.
    pub(super) fn check_parts(&self, model: &ModelConfig) -> Result<(), Error> {
        for name in names_in(model) {
            if let Some(Slip { meant, full }) = self.slip(name, Wire::OpenAi)? {
                let message = format!(
                    "no model is configured as {name:?}; did you mean {meant:?}? (write {full:?} for a model of the provider)"
                );
                return Err(Error::new(ErrorKind::ModelNotFound, message));
            }
        }
        Ok(())
    }
}

/// All names that a configured model is made of, the decider's too.
pub(super) fn names_in(model: &ModelConfig) -> impl Iterator<Item = &str> {
    let decider = match &model.made {
        Made::From(Combination::Ensemble(settings)) => settings.decider.model(),
        _ => None,
    };
    let parts = model.made.parts().iter().map(String::as_str);
    parts.chain(decider)
}

fn without_numbers(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Config, session::SessionOptions};

    fn gateway(toml: &str) -> Session {
        let options = SessionOptions {
            failover: true,
            ..SessionOptions::default()
        };
        let key = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-x".to_owned());
        let config = Config::from_toml(toml).unwrap();
        Session::new(config, options, &key, CancellationToken::new())
    }

    const FAST: &str = "[models.fast]\nuse = \"openai/gpt-4o-mini\"\n";

    #[test]
    fn a_configured_model_is_not_made_of_a_slip() {
        for made in [
            "use = \"fsat\"",
            "fallback = [\"openai/gpt-4o\", \"fsat\"]",
            "race = [\"fsat\", \"fast\"]",
            "ensemble = [\"fast\", \"fsat\"]",
            "ensemble = [\"fast\", \"fast\"]\njudge = \"fsat\"",
            "ensemble = [\"fast\", \"fast\"]\nsynthesize = \"fsat\"",
        ] {
            let error = gateway(&format!("{FAST}[models.safe]\n{made}\n")).check();
            assert_eq!(
                error.unwrap_err().message(),
                "models.safe: no model is configured as \"fsat\"; did you mean \"fast\"? \
                 (write \"openai/fsat\" for a model of the provider)",
                "{made}"
            );
        }
        for made in ["openai/fsat", "fast", "gpt-4o", "somewhere"] {
            let toml = format!("{FAST}[models.safe]\nfallback = [\"{made}\"]\n");
            assert_eq!(gateway(&toml).check().err().map(|e| e.to_string()), None);
        }
    }

    #[test]
    fn a_callers_slip_is_not_sent_to_a_provider() {
        let toml =
            format!("{FAST}[models.gpt-4o-fast]\nuse = \"fast\"\n[models.gpt-5]\nuse = \"fast\"\n");
        let session = gateway(&toml);
        for slip in ["fsat", "Fast", "gpt-4o-fats"] {
            let error = session.resolve(slip, Wire::OpenAi).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ModelNotFound, "{slip}");
            assert!(
                error.message().contains(&format!("\"openai/{slip}\"")),
                "{error}"
            );
        }
        // known ones, those of another number, and whatever is named in full
        for name in [
            "fast",
            "gpt-4o",
            "gpt-4o-2024-08-06",
            "gpt-9",
            "openai/fsat",
            "mine",
        ] {
            assert!(session.resolve(name, Wire::OpenAi).is_ok(), "{name}");
        }
    }
}
