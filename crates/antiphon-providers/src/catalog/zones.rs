//! Zones of electricity, from `catalog/zones.json`.

use std::{collections::BTreeSet, fmt, sync::LazyLock};

use antiphon_core::account::carbon::ElectricityMix;
use serde::{Deserialize, Deserializer, de::Error};

use super::energy::{Source, Warning};

/// Nearest names that an error tells.
const HINTS: usize = 3;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../catalog/zones.json"))
        .expect("the table is part of the program, and tests read it")
});

#[derive(Deserialize)]
struct Table {
    #[serde(flatten)]
    source: Source,
    zones: Vec<Zone>,
}

/// A country, or a larger area, with its electricity.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "Row")]
pub struct Zone {
    /// ISO 3166-1 alpha-3, `WOR` for the world, `EEE` for Europe.
    pub code: String,
    /// ISO 3166-1 alpha-2, where there is one.
    pub alpha2: Option<String>,
    /// Its name in English.
    pub name: String,
    /// What a kWh takes.
    pub mix: ElectricityMix,
    /// Values that are not its own but the world's.
    pub warnings: BTreeSet<Warning>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    zone: String,
    alpha2: Option<String>,
    name: String,
    gwp_kgco2eq: f64,
    adpe_kgsbeq: f64,
    pe_mj: f64,
    water_l: f64,
    #[serde(default)]
    warnings: BTreeSet<Warning>,
}

impl TryFrom<Row> for Zone {
    type Error = String;

    fn try_from(row: Row) -> Result<Self, String> {
        let mix = ElectricityMix::new(row.gwp_kgco2eq, row.adpe_kgsbeq, row.pe_mj, row.water_l);
        Ok(Self {
            mix: mix.map_err(|error| error.to_string())?,
            code: row.zone,
            alpha2: row.alpha2,
            name: row.name,
            warnings: row.warnings,
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

/// Where the zones' values come from.
pub fn source() -> &'static Source {
    &TABLE.source
}

/// All zones: the world, Europe, then by code.
pub fn zones() -> &'static [Zone] {
    &TABLE.zones
}

/// The zone of what has no place.
pub fn world() -> &'static Zone {
    // the first row; a test says so
    &TABLE.zones[0]
}

/// No zone is called so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownZone(String);

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownZone {}

/// The zone of an ISO 3166-1 code of three letters or two, in either case: `FRA`, `fr`; or `WOR`, `EEE`.
///
/// # Errors
/// There is none, or nothing is known of its electricity; the message has the nearest ones.
pub fn zone(text: &str) -> Result<&'static Zone, UnknownZone> {
    let text = text.trim();
    let is_called = |zone: &&Zone| {
        let alpha2 = zone.alpha2.as_deref();
        zone.code.eq_ignore_ascii_case(text)
            || alpha2.is_some_and(|code| code.eq_ignore_ascii_case(text))
    };
    zones().iter().find(is_called).ok_or_else(|| {
        let near: Vec<String> = nearest(text)
            .iter()
            .map(|zone| format!("{} ({})", zone.code, zone.name))
            .collect();
        UnknownZone(match near.as_slice() {
            [] => format!("no zone is called {text:?}; write FRA, USA or WOR, the codes of ISO 3166-1 and the world"),
            near => format!("no zone is called {text:?}; nearest are {}", near.join(", ")),
        })
    })
}

/// Reads a [`zone`] of a configuration.
///
/// # Errors
/// It is not a text, or no zone.
pub fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<Option<&'static Zone>, D::Error> {
    let text = Option::<String>::deserialize(text)?;
    text.map(|text| zone(&text).map_err(D::Error::custom))
        .transpose()
}

/// Zones whose code or name is spelt most like it.
fn nearest(text: &str) -> Vec<&'static Zone> {
    let distance = |zone: &Zone| {
        let code = strsim::damerau_levenshtein(&text.to_ascii_uppercase(), &zone.code);
        let name = strsim::damerau_levenshtein(&text.to_lowercase(), &zone.name.to_lowercase());
        // two of three letters wrong is another code; of a name a third may be
        let is_near = code <= 1 || name <= zone.name.len() / 3;
        is_near.then_some(code.min(name))
    };
    let mut near: Vec<(usize, &Zone)> = zones()
        .iter()
        .filter_map(|zone| Some((distance(zone)?, zone)))
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().take(HINTS).map(|(_, zone)| zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_either_code_in_either_case() {
        for text in ["FRA", "fra", "FR", "fr", " Fra "] {
            assert_eq!(zone(text).unwrap().code, "FRA", "{text}");
        }
        assert_eq!(zone("eee").unwrap().name, "Europe");
        assert_eq!(world().code, "WOR");
        assert_eq!(world().mix.gwp_kgco2eq(), 0.45829);
    }

    #[test]
    fn codes_are_unique_and_of_their_length() {
        let mut codes = BTreeSet::new();
        for zone in zones() {
            assert_eq!(zone.code.len(), 3, "{zone}");
            assert!(codes.insert(zone.code.as_str()), "{zone}");
            if let Some(alpha2) = &zone.alpha2 {
                assert_eq!(alpha2.len(), 2, "{zone}");
                assert!(codes.insert(alpha2), "{zone}");
            }
            // what is said to be the world's is, and nothing else is by accident
            let is_worlds = zone.mix.water_l() == world().mix.water_l();
            let is_said = zone.warnings.contains(&Warning::ElectricityMixWueWorld);
            assert_eq!(is_worlds && zone.code != "WOR", is_said, "{zone}");
        }
        assert_eq!(zones().len(), 45);
    }

    #[test]
    fn an_unknown_zone_is_told_with_the_nearest() {
        let says = |text: &str| zone(text).unwrap_err().to_string();
        assert_eq!(
            says("FRX"),
            "no zone is called \"FRX\"; nearest are FRA (France)"
        );
        assert!(says("Germany").ends_with("nearest are DEU (Germany)"));
        assert!(
            says("GRB").contains("GBR (United Kingdom)"),
            "{}",
            says("GRB")
        );
        assert!(says("").contains("write FRA, USA or WOR"));
        assert!(says("Atlantis").contains("write FRA, USA or WOR"));
    }
}
