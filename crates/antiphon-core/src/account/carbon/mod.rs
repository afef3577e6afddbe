//! Energy and environmental impacts of inference, estimated by the method of EcoLogits.
//!
//! Method: S. Rincé and A. Banse, *EcoLogits: Evaluating the Environmental Impacts of Generative AI*, Journal of Open Source
//! Software, DOI 10.21105/joss.07471. The constants are those of the Python package `ecologits` 0.11.3 (its code is under
//! MPL-2.0, its documentation under CC BY-SA 4.0); this is an implementation of our own from the published method, and no
//! code was taken over. What it needs to know of models, data centres and electricity is injected: [`ModelParameters`],
//! [`DataCentre`], [`ElectricityMix`].
//!
//! With `T` output tokens, `L` the latency in seconds, `P` parameters in billions:
//!
//! | step | formula |
//! |---|---|
//! | GPUs that hold the weights | `g`: the least power of two ≥ `ceil(1.2 · P_total · 2 / 80)` |
//! | energy of them, kWh | `g · T · (α · exp(β · 64) · P_active + γ) / 1000` |
//! | seconds per token | as measured, else `0.000679 · P_active + 0.000312 · 64 + 0.01947` |
//! | time of generation, s | `Δ = min(L, T · seconds per token + time to the first token)` |
//! | energy of the server around them, kWh | `Δ / 3600 · 1.2 · (g / 8) / 64` |
//! | energy of the request | `PUE ·` (that of the GPUs + that of the server) |
//! | impacts of use | energy · impact of a kWh in the zone |
//! | water | energy without PUE · (`WUE` on site + `PUE · WUE` of the zone's electricity) |
//! | embodied impacts | `Δ · (g / 8 · server + g · GPU) / (3 years · 64)` |
//!
//! All of it is reckoned twice, with the least and with the most of every range. Input tokens, training, networks and
//! clients are not part of it.

mod inputs;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use inputs::{DataCentre, ElectricityMix, ModelParameters, NotEstimable};

use super::{Impacts, Range};

/// Bytes of a parameter: 16-bit weights.
const BYTES_PER_PARAMETER: f64 = 16.0 / 8.0;
/// Memory for weights over their bare size: activations and the key-value cache.
const MEMORY_OVERHEAD: f64 = 1.2;
/// Memory of a GPU, GB.
const GPU_MEMORY_GB: f64 = 80.0;
/// GPUs of a server.
const GPUS_PER_SERVER: f64 = 8.0;
/// Power of a server without its GPUs, kW.
const SERVER_KW: f64 = 1.2;
/// Requests that are computed side by side and share the hardware.
const REQUESTS_AT_ONCE: f64 = 64.0;
/// Energy of a GPU for a token, in Wh: `ALPHA · exp(BETA · REQUESTS_AT_ONCE) · P_active + GAMMA`, a fit to measurements.
/// `ALPHA` in Wh per billion active parameters.
const GPU_ALPHA: f64 = 1.1665273170451914e-6;
/// By which the energy falls with each more request at once; no unit.
const GPU_BETA: f64 = -0.011205921025579175;
/// What a token takes at least, Wh.
const GPU_GAMMA: f64 = 4.052928146734005e-5;
/// Seconds per token of a model that was not measured, a fit to those that were: per billion active parameters, …
const TOKEN_SECONDS_PER_PARAMETER: f64 = 0.0006785088094353663;
/// … per request at once, …
const TOKEN_SECONDS_PER_REQUEST: f64 = 0.0003119310311688259;
/// … and in any case.
const TOKEN_SECONDS: f64 = 0.019473717579473387;
/// Life of the hardware in seconds: three years.
const LIFE_S: f64 = 3.0 * 365.0 * 24.0 * 3600.0;
/// Making a server without its GPUs.
const SERVER: Hardware = Hardware {
    gwp_kgco2eq: 5700.0,
    adpe_kgsbeq: 0.37,
    pe_mj: 70_000.0,
};
/// Making a GPU (H100).
const GPU: Hardware = Hardware {
    gwp_kgco2eq: 273.0,
    adpe_kgsbeq: 0.00895,
    pe_mj: 3721.0,
};

/// Impacts of making hardware, or the share of them that falls on a second of its life.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Hardware {
    gwp_kgco2eq: f64,
    adpe_kgsbeq: f64,
    pe_mj: f64,
}

/// What answers of one model in one place take. All that does not depend on the answer is reckoned beforehand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footprint {
    least: End,
    most: End,
}

/// Impacts by when they come about. Their sum is [`Footprint::impacts`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
    /// Of computing: all five.
    pub usage: Impacts,
    /// The share of making the hardware: neither energy nor water.
    pub embodied: Impacts,
}

impl Phases {
    /// Both.
    pub fn sum(self) -> Impacts {
        let mut sum = self.usage;
        sum += self.embodied;
        sum
    }
}

impl Footprint {
    /// That of a model in a data centre which runs on such electricity.
    pub fn new(model: &ModelParameters, place: &DataCentre, mix: &ElectricityMix) -> Self {
        let end = |pick: fn(Range) -> f64| End::new(pick, model, place, mix);
        Self {
            least: end(|range| range.min),
            most: end(|range| range.max),
        }
    }

    /// Impacts of an answer of so many output tokens, those of all its choices and of reasoning among them.
    ///
    /// `latency` is how long the answer was on the wire, without queueing and retries: nothing was computed for longer.
    /// `None` where it is not known, as for batch interfaces.
    pub fn impacts(&self, output_tokens: u64, latency: Option<Duration>) -> Impacts {
        self.phases(output_tokens, latency).sum()
    }

    /// The same, use and hardware apart.
    pub fn phases(&self, output_tokens: u64, latency: Option<Duration>) -> Phases {
        let tokens = output_tokens as f64;
        let latency = latency.map_or(f64::INFINITY, |latency| latency.as_secs_f64());
        let least = self.least.taken(tokens, latency);
        let most = self.most.taken(tokens, latency);
        let range = |of: fn(&Taken) -> f64| Range {
            min: of(&least),
            max: of(&most),
        };
        Phases {
            usage: Impacts {
                energy_kwh: range(|end| end.energy_kwh),
                gwp_kgco2eq: range(|end| end.usage.gwp_kgco2eq),
                adpe_kgsbeq: range(|end| end.usage.adpe_kgsbeq),
                pe_mj: range(|end| end.usage.pe_mj),
                wcf_l: range(|end| end.water_l),
            },
            embodied: Impacts {
                gwp_kgco2eq: range(|end| end.embodied.gwp_kgco2eq),
                adpe_kgsbeq: range(|end| end.embodied.adpe_kgsbeq),
                pe_mj: range(|end| end.embodied.pe_mj),
                ..Impacts::default()
            },
        }
    }
}

/// One end of all ranges.
#[derive(Clone, Copy, Debug, PartialEq)]
struct End {
    /// Of the GPUs.
    kwh_per_token: f64,
    /// Of the server around them.
    kwh_per_second: f64,
    seconds_per_token: f64,
    first_token_s: f64,
    pue: f64,
    /// For each kWh before PUE.
    water_l_per_kwh: f64,
    mix: ElectricityMix,
    embodied_per_second: Hardware,
}

/// What an answer takes at one end.
struct Taken {
    energy_kwh: f64,
    water_l: f64,
    usage: Hardware,
    embodied: Hardware,
}

impl End {
    fn new(
        pick: fn(Range) -> f64,
        model: &ModelParameters,
        place: &DataCentre,
        mix: &ElectricityMix,
    ) -> Self {
        let active = pick(model.active_b());
        let gpus = gpus(pick(model.total_b()));
        let wh_per_token = GPU_ALPHA * (GPU_BETA * REQUESTS_AT_ONCE).exp() * active + GPU_GAMMA;
        let fitted = || {
            TOKEN_SECONDS_PER_PARAMETER * active
                + TOKEN_SECONDS_PER_REQUEST * REQUESTS_AT_ONCE
                + TOKEN_SECONDS
        };
        let pue = pick(place.pue());
        let servers = gpus / GPUS_PER_SERVER;
        let embodied = |of: fn(Hardware) -> f64| {
            (servers * of(SERVER) + gpus * of(GPU)) / (LIFE_S * REQUESTS_AT_ONCE)
        };
        Self {
            kwh_per_token: gpus * wh_per_token / 1000.0,
            kwh_per_second: SERVER_KW * servers / REQUESTS_AT_ONCE / 3600.0,
            seconds_per_token: model.tokens_per_s().map_or_else(fitted, f64::recip),
            first_token_s: model.first_token_s().unwrap_or(0.0),
            pue,
            water_l_per_kwh: pick(place.wue_l_per_kwh()) + pue * mix.water_l(),
            mix: *mix,
            embodied_per_second: Hardware {
                gwp_kgco2eq: embodied(|hardware| hardware.gwp_kgco2eq),
                adpe_kgsbeq: embodied(|hardware| hardware.adpe_kgsbeq),
                pe_mj: embodied(|hardware| hardware.pe_mj),
            },
        }
    }

    fn taken(&self, tokens: f64, latency: f64) -> Taken {
        let computing = tokens * self.seconds_per_token + self.first_token_s;
        let seconds = computing.min(latency);
        let kwh = self.kwh_per_token * tokens + self.kwh_per_second * seconds;
        let energy_kwh = self.pue * kwh;
        Taken {
            energy_kwh,
            water_l: kwh * self.water_l_per_kwh,
            usage: Hardware {
                gwp_kgco2eq: energy_kwh * self.mix.gwp_kgco2eq(),
                adpe_kgsbeq: energy_kwh * self.mix.adpe_kgsbeq(),
                pe_mj: energy_kwh * self.mix.pe_mj(),
            },
            embodied: Hardware {
                gwp_kgco2eq: seconds * self.embodied_per_second.gwp_kgco2eq,
                adpe_kgsbeq: seconds * self.embodied_per_second.adpe_kgsbeq,
                pe_mj: seconds * self.embodied_per_second.pe_mj,
            },
        }
    }
}

/// GPUs that hold a model of so many billion parameters: a power of two.
fn gpus(total_b: f64) -> f64 {
    let needed = (MEMORY_OVERHEAD * total_b * BYTES_PER_PARAMETER / GPU_MEMORY_GB).ceil();
    // parameters are bounded, so that neither the cast nor the next power of two can overflow
    (needed as u64).next_power_of_two() as f64
}
