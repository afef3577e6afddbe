//! From a provider and a model's name, or a user's own model, to what its answers take.

use std::{collections::BTreeSet, fmt, time::Duration};

use antiphon_core::account::{
    Impacts,
    carbon::{DataCentre, Footprint, ModelParameters, NotEstimable},
};
use serde::Deserialize;

use super::{
    data_centres,
    energy::{self, Span, Warning},
    zones::{self, Zone},
};

/// What answers of one model in one zone take. Made once, asked for every answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Where the electricity is thought to come from.
    pub zone: &'static Zone,
    /// What is to be said of the numbers, by code.
    pub warnings: BTreeSet<Warning>,
    footprint: Footprint,
}

/// Why nothing is estimated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unestimated {
    /// Nothing is known of where it computes.
    Provider(String),
    /// The model's size is not known: provider, name.
    Model(String, String),
}

impl fmt::Display for Unestimated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(provider) => {
                write!(f, "nothing is known of the energy of {provider}'s models")
            }
            Self::Model(provider, model) => {
                write!(f, "nothing is known of the energy of {provider}/{model}")
            }
        }
    }
}

impl std::error::Error for Unestimated {}

impl Estimate {
    /// That of a provider's model: of the first of these names that is known. Without a `zone` it is where the provider's
    /// data centres are known to be. Models of the simulated provider are computed where those are that they stand for.
    ///
    /// # Errors
    /// The provider or the model is not known. It is never taken for one that is spelt alike.
    pub fn of<'a>(
        provider: &str,
        names: impl IntoIterator<Item = &'a str>,
        zone: Option<&'static Zone>,
    ) -> Result<Self, Unestimated> {
        let mut names = names.into_iter().peekable();
        let first = names.peek().copied().unwrap_or_default().to_owned();
        let Some(model) = energy::model(provider, names) else {
            return Err(match data_centres::place(provider) {
                Some(_) => Unestimated::Model(provider.to_owned(), first),
                None => Unestimated::Provider(provider.to_owned()),
            });
        };
        let place = data_centres::place(&model.provider)
            .ok_or_else(|| Unestimated::Provider(model.provider.clone()))?;
        let zone = zone.unwrap_or(place.zone);
        let mut estimate = Self::with(&model.parameters, &place.data_centre, zone);
        estimate.warnings.extend(&model.warnings);
        Ok(estimate)
    }

    /// That of a user's own model. It is in the zone that is chosen, else in its own, else where its provider is known to
    /// compute, else anywhere in the world; its data centre is its own, else its provider's, else a usual one.
    pub fn of_own(own: &OwnModel, provider: &str, zone: Option<&'static Zone>) -> Self {
        let place = data_centres::place(provider);
        let zone = zone.or(own.zone).or(place.map(|place| place.zone));
        let data_centre = own.data_centre.or(place.map(|place| place.data_centre));
        Self::with(
            &own.parameters,
            &data_centre.unwrap_or_else(data_centres::usual),
            zone.unwrap_or_else(zones::world),
        )
    }

    fn with(model: &ModelParameters, data_centre: &DataCentre, zone: &'static Zone) -> Self {
        Self {
            zone,
            warnings: zone.warnings.clone(),
            footprint: Footprint::new(model, data_centre, &zone.mix),
        }
    }

    /// What an answer of so many output tokens took that was so long on the wire; see [`Footprint::impacts`].
    pub fn impacts(&self, output_tokens: u64, latency: Option<Duration>) -> Impacts {
        self.footprint.impacts(output_tokens, latency)
    }

    /// The arithmetic behind it, for use and hardware apart.
    pub fn footprint(&self) -> &Footprint {
        &self.footprint
    }
}

/// What a user says of a model that the catalogue does not know, or knows otherwise.
///
/// ```
/// use antiphon_providers::catalog::estimate::{Estimate, OwnModel, OwnModelTable};
/// use antiphon_providers::catalog::energy::Span;
///
/// let llama = OwnModel::try_from(OwnModelTable {
///     total_b: Some(Span::Exactly(70.6)),
///     pue: Some(Span::Between([1.2, 1.5])),
///     zone: Some("FRA".to_owned()),
///     ..OwnModelTable::default()
/// })?;
/// let of_500_tokens = Estimate::of_own(&llama, "local", None).impacts(500, None);
/// assert!(of_500_tokens.energy_kwh.min < of_500_tokens.energy_kwh.max);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "OwnModelTable")]
pub struct OwnModel {
    parameters: ModelParameters,
    data_centre: Option<DataCentre>,
    zone: Option<&'static Zone>,
}

/// The same as it is written: each number may be a pair, `[least, most]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnModelTable {
    /// Parameters, billions.
    pub total_b: Option<Span>,
    /// Parameters that compute each token, billions; all of them where it is not said.
    pub active_b: Option<Span>,
    /// Output tokens per second, where measured.
    pub tokens_per_s: Option<f64>,
    /// Seconds to the first token, where measured.
    pub first_token_s: Option<f64>,
    /// Power usage effectiveness of the data centre.
    pub pue: Option<Span>,
    /// Its water usage effectiveness, litres per kWh.
    pub wue_l_per_kwh: Option<Span>,
    /// Its zone.
    pub zone: Option<String>,
}

impl TryFrom<OwnModelTable> for OwnModel {
    type Error = String;

    fn try_from(table: OwnModelTable) -> Result<Self, String> {
        let words = |error: NotEstimable| error.to_string();
        let total_b = table
            .total_b
            .ok_or("`total_b` is missing: the model's parameters in billions")?;
        let active_b = table.active_b.unwrap_or(total_b);
        let size = ModelParameters::new(total_b.into(), active_b.into()).map_err(words)?;
        let data_centre = match (table.pue, table.wue_l_per_kwh) {
            (None, None) => None,
            (pue, wue) => {
                let usual = data_centres::usual();
                let pue = pue.map_or(usual.pue(), Into::into);
                let wue = wue.map_or(usual.wue_l_per_kwh(), Into::into);
                Some(DataCentre::new(pue, wue).map_err(words)?)
            }
        };
        let zone = table.zone.as_deref().map(zones::zone).transpose();
        Ok(Self {
            parameters: size
                .with_pace(table.tokens_per_s, table.first_token_s)
                .map_err(words)?,
            data_centre,
            zone: zone.map_err(|error| error.to_string())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(json: &str) -> Result<OwnModel, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_known_is_said() {
        let says = |provider: &str, name: &str| {
            Estimate::of(provider, [name], None)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            says("openai", "gpt-7"),
            "nothing is known of the energy of openai/gpt-7"
        );
        assert_eq!(
            says("xai", "grok-4"),
            "nothing is known of the energy of xai's models"
        );
    }

    #[test]
    fn the_chosen_zone_stands_over_that_of_the_provider() {
        let zone =
            |provider: &str, name: &str, zone| Estimate::of(provider, [name], zone).unwrap().zone;
        let france = zones::zone("fr").unwrap();
        assert_eq!(zone("openai", "gpt-4o", None).code, "USA");
        assert_eq!(zone("openai", "gpt-4o", Some(france)).code, "FRA");
        assert_eq!(zone("sim", "mistral-large-2512", None).code, "SWE");
    }

    #[test]
    fn a_model_of_ones_own_is_estimated_like_a_known_one() {
        let llama = own(r#"{"total_b": 8.03}"#).unwrap();
        let known = Estimate::of(
            "huggingface",
            ["meta-llama/Meta-Llama-3.1-8B-Instruct"],
            None,
        );
        let ours = Estimate::of_own(&llama, "huggingface", None);
        assert_eq!(ours, known.unwrap());
        // on a provider that nobody knows it is anywhere, in a usual data centre
        let anywhere = Estimate::of_own(&llama, "local", None);
        assert_eq!(anywhere.zone.code, "WOR");
        let at_home = own(
            r#"{"total_b": 8.03, "pue": [1.09, 1.14], "wue_l_per_kwh": [0.13, 0.99], "zone": "us"}"#,
        );
        assert_eq!(
            Estimate::of_own(&at_home.clone().unwrap(), "local", None),
            ours
        );
        let france = zones::zone("FRA").unwrap();
        let moved = Estimate::of_own(&at_home.unwrap(), "local", Some(france));
        assert_eq!(moved.zone.code, "FRA");
    }

    #[test]
    fn a_model_of_ones_own_that_cannot_be_is_refused() {
        for (json, words) in [
            ("{}", "`total_b` is missing"),
            (r#"{"total_b": -8}"#, "-8 is no number of billions"),
            (r#"{"total_b": 8000000000}"#, "no number of billions"),
            (r#"{"total_b": [9, 8]}"#, "the least, 9, is more"),
            (r#"{"total_b": "8B"}"#, "expected a number or a pair"),
            (
                r#"{"total_b": 8, "active_b": 9}"#,
                "more parameters are active",
            ),
            (
                r#"{"total_b": 8, "pue": 0.5}"#,
                "PUE is 0.5; it is 1 at least",
            ),
            (
                r#"{"total_b": 8, "tokens_per_s": 0}"#,
                "0 is no number of tokens",
            ),
            (r#"{"total_b": 8, "zone": "FRX"}"#, "FRA (France)"),
            (r#"{"total_b": 8, "active": 8}"#, "unknown field"),
        ] {
            let error = own(json).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }
}
