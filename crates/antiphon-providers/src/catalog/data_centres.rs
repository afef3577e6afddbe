//! Where providers compute, from `catalog/data_centres.json`.

use std::sync::LazyLock;

use antiphon_core::account::carbon::DataCentre;
use serde::Deserialize;

use super::{
    energy::{Source, Span},
    zones::{self, Zone},
};

/// The provider whose data centre stands for one that nobody described.
const USUAL: &str = "huggingface";

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../catalog/data_centres.json"))
        .expect("the table is part of the program, and tests read it")
});

#[derive(Deserialize)]
struct Table {
    #[serde(flatten)]
    source: Source,
    providers: Vec<Place>,
}

/// Where a provider computes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Row")]
pub struct Place {
    /// Antiphon's name of the provider.
    pub provider: String,
    /// The source's name of it.
    pub source_name: String,
    /// Where its electricity comes from, unless the user knows better.
    pub zone: &'static Zone,
    /// What its data centres need.
    pub data_centre: DataCentre,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    provider: String,
    source_name: String,
    zone: String,
    pue: Span,
    wue_l_per_kwh: Span,
}

impl TryFrom<Row> for Place {
    type Error = String;

    fn try_from(row: Row) -> Result<Self, String> {
        let data_centre = DataCentre::new(row.pue.into(), row.wue_l_per_kwh.into());
        Ok(Self {
            zone: zones::zone(&row.zone).map_err(|error| error.to_string())?,
            data_centre: data_centre.map_err(|error| error.to_string())?,
            provider: row.provider,
            source_name: row.source_name,
        })
    }
}

/// Where the values come from.
pub fn source() -> &'static Source {
    &TABLE.source
}

/// All providers of which something is known.
pub fn places() -> &'static [Place] {
    &TABLE.providers
}

/// Where a provider computes; `None` where nothing is known of it.
pub fn place(provider: &str) -> Option<&'static Place> {
    places().iter().find(|place| place.provider == provider)
}

/// A data centre of which nothing is known: that of the widest ranges in the table.
pub fn usual() -> DataCentre {
    place(USUAL)
        .expect("the table is part of the program, and a test looks for it")
        .data_centre
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::energy;

    #[test]
    fn every_provider_of_a_known_model_has_a_place() {
        for model in energy::models() {
            assert!(place(&model.provider).is_some(), "{}", model.provider);
        }
        assert_eq!(place("mistral").unwrap().zone.code, "SWE");
        assert!(place("xai").is_none());
        assert!(usual().pue().min < usual().pue().max);
    }
}
