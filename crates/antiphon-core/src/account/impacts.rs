//! What computing an answer takes from the world.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// From the least to the most it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// At least.
    pub min: f64,
    /// At most.
    pub max: f64,
}

impl Range {
    /// A value that is known.
    pub const fn exactly(value: f64) -> Self {
        Self {
            min: value,
            max: value,
        }
    }
}

impl Add for Range {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            min: self.min + other.min,
            max: self.max + other.max,
        }
    }
}

/// Energy and environmental impacts of answers, use and embodied share of the hardware together. Estimates, never measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impacts {
    /// Energy, kWh.
    pub energy_kwh: Range,
    /// Global warming potential, kg of CO2 equivalent.
    pub gwp_kgco2eq: Range,
    /// Abiotic resource depletion, kg of antimony equivalent.
    pub adpe_kgsbeq: Range,
    /// Primary energy, MJ.
    pub pe_mj: Range,
    /// Water consumed in use, litres.
    pub wcf_l: Range,
}

impl AddAssign for Impacts {
    fn add_assign(&mut self, other: Self) {
        self.energy_kwh = self.energy_kwh + other.energy_kwh;
        self.gwp_kgco2eq = self.gwp_kgco2eq + other.gwp_kgco2eq;
        self.adpe_kgsbeq = self.adpe_kgsbeq + other.adpe_kgsbeq;
        self.pe_mj = self.pe_mj + other.pe_mj;
        self.wcf_l = self.wcf_l + other.wcf_l;
    }
}

impl Impacts {
    /// The impacts beside these, which are part of them.
    pub(super) fn beyond(self, part: Self) -> Self {
        let less = |all: Range, part: Range| Range {
            min: (all.min - part.min).max(0.0),
            max: (all.max - part.max).max(0.0),
        };
        Self {
            energy_kwh: less(self.energy_kwh, part.energy_kwh),
            gwp_kgco2eq: less(self.gwp_kgco2eq, part.gwp_kgco2eq),
            adpe_kgsbeq: less(self.adpe_kgsbeq, part.adpe_kgsbeq),
            pe_mj: less(self.pe_mj, part.pe_mj),
            wcf_l: less(self.wcf_l, part.wcf_l),
        }
    }
}
