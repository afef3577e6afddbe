//! What the method needs to know, checked once.

use std::fmt;

use super::Range;

/// Beyond this number of billions, parameters were not given in billions.
const MOST_BILLIONS: f64 = 1e6;

/// Why values cannot be reckoned with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotEstimable(String);

impl fmt::Display for NotEstimable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotEstimable {}

/// A model: its size, and its pace where that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelParameters {
    total_b: Range,
    active_b: Range,
    tokens_per_s: Option<f64>,
    first_token_s: Option<f64>,
}

impl ModelParameters {
    /// A model of so many parameters, in billions, of which so many compute each token (all of them in a dense model).
    ///
    /// # Errors
    /// Values are not finite, not above 0, in the wrong order, not in billions, or more are active than there are.
    pub fn new(total_b: Range, active_b: Range) -> Result<Self, NotEstimable> {
        for (what, range) in [
            ("total parameters", total_b),
            ("active parameters", active_b),
        ] {
            is_ordered(what, range)?;
            if range.min <= 0.0 || range.max > MOST_BILLIONS {
                return Err(NotEstimable(format!(
                    "{what}: {} is no number of billions, such as 70 or 0.5",
                    if range.min <= 0.0 {
                        range.min
                    } else {
                        range.max
                    }
                )));
            }
        }
        if active_b.min > total_b.min || active_b.max > total_b.max {
            return Err(NotEstimable(
                "more parameters are active than there are".to_owned(),
            ));
        }
        Ok(Self {
            total_b,
            active_b,
            tokens_per_s: None,
            first_token_s: None,
        })
    }

    /// With its measured pace: output tokens per second, and seconds until the first. `None` stays unknown.
    ///
    /// # Errors
    /// Values are not finite, or negative, or there are no tokens per second.
    pub fn with_pace(
        mut self,
        tokens_per_s: Option<f64>,
        first_token_s: Option<f64>,
    ) -> Result<Self, NotEstimable> {
        if let Some(pace) = tokens_per_s.filter(|pace| !(pace.is_finite() && *pace > 0.0)) {
            return Err(NotEstimable(format!(
                "{pace} is no number of tokens per second"
            )));
        }
        if let Some(wait) = first_token_s {
            is_at_least("seconds to the first token", Range::exactly(wait), 0.0)?;
        }
        self.tokens_per_s = tokens_per_s;
        self.first_token_s = first_token_s;
        Ok(self)
    }

    /// Parameters, billions.
    pub fn total_b(&self) -> Range {
        self.total_b
    }

    /// Parameters that compute each token, billions.
    pub fn active_b(&self) -> Range {
        self.active_b
    }

    /// Output tokens per second, where measured.
    pub fn tokens_per_s(&self) -> Option<f64> {
        self.tokens_per_s
    }

    /// Seconds until the first token, where measured.
    pub fn first_token_s(&self) -> Option<f64> {
        self.first_token_s
    }
}

/// A data centre: what it needs beside the energy of its computers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataCentre {
    pue: Range,
    wue_l_per_kwh: Range,
}

impl DataCentre {
    /// With such a power usage effectiveness (energy of all over that of the computers, 1 or more) and water usage
    /// effectiveness (litres on site for each kWh of the computers).
    ///
    /// # Errors
    /// Values are not finite, too small, or in the wrong order.
    pub fn new(pue: Range, wue_l_per_kwh: Range) -> Result<Self, NotEstimable> {
        is_at_least("PUE", pue, 1.0)?;
        is_at_least("WUE", wue_l_per_kwh, 0.0)?;
        Ok(Self { pue, wue_l_per_kwh })
    }

    /// Power usage effectiveness.
    pub fn pue(&self) -> Range {
        self.pue
    }

    /// Water usage effectiveness, litres per kWh.
    pub fn wue_l_per_kwh(&self) -> Range {
        self.wue_l_per_kwh
    }
}

/// What a kWh of a zone's electricity takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElectricityMix {
    gwp_kgco2eq: f64,
    adpe_kgsbeq: f64,
    pe_mj: f64,
    water_l: f64,
}

impl ElectricityMix {
    /// Impacts of a kWh, as [`Impacts`](super::Impacts) has them: kg of CO2 equivalent, kg of antimony equivalent, MJ of
    /// primary energy, litres of water.
    ///
    /// # Errors
    /// Values are not finite, or negative.
    pub fn new(
        gwp_kgco2eq: f64,
        adpe_kgsbeq: f64,
        pe_mj: f64,
        water_l: f64,
    ) -> Result<Self, NotEstimable> {
        for (what, value) in [
            ("GWP of a kWh", gwp_kgco2eq),
            ("ADPe of a kWh", adpe_kgsbeq),
            ("primary energy of a kWh", pe_mj),
            ("water of a kWh", water_l),
        ] {
            is_at_least(what, Range::exactly(value), 0.0)?;
        }
        Ok(Self {
            gwp_kgco2eq,
            adpe_kgsbeq,
            pe_mj,
            water_l,
        })
    }

    /// Global warming potential of a kWh, kg of CO2 equivalent.
    pub fn gwp_kgco2eq(&self) -> f64 {
        self.gwp_kgco2eq
    }

    /// Abiotic resource depletion of a kWh, kg of antimony equivalent.
    pub fn adpe_kgsbeq(&self) -> f64 {
        self.adpe_kgsbeq
    }

    /// Primary energy of a kWh, MJ.
    pub fn pe_mj(&self) -> f64 {
        self.pe_mj
    }

    /// Water of a kWh, litres.
    pub fn water_l(&self) -> f64 {
        self.water_l
    }
}

fn is_ordered(what: &str, range: Range) -> Result<(), NotEstimable> {
    let Range { min, max } = range;
    if !min.is_finite() || !max.is_finite() {
        return Err(NotEstimable(format!("{what} must be a finite number")));
    }
    if min > max {
        return Err(NotEstimable(format!(
            "{what}: the least, {min}, is more than the most, {max}"
        )));
    }
    Ok(())
}

fn is_at_least(what: &str, range: Range, least: f64) -> Result<(), NotEstimable> {
    is_ordered(what, range)?;
    match range.min < least {
        true => Err(NotEstimable(format!(
            "{what} is {}; it is {least} at least",
            range.min
        ))),
        false => Ok(()),
    }
}
