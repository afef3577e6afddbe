//! The 200 cases of the method's own package, reproduced to 1e-9.

use std::time::Duration;

use antiphon_core::account::Range;
use antiphon_providers::catalog::{data_centres, estimate::Estimate, zones::zone};
use serde::Deserialize;

/// Relative.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    provider: String,
    model: String,
    output_tokens: u64,
    latency_s: Option<f64>,
    zone: Option<String>,
    zone_used: String,
    energy_kwh: [f64; 2],
    gwp_kgco2eq: [f64; 2],
    adpe: [f64; 2],
    pe: [f64; 2],
    wcf: [f64; 2],
    usage: Phase,
    embodied: Phase,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Phase {
    gwp_kgco2eq: [f64; 2],
    adpe: [f64; 2],
    pe: [f64; 2],
}

fn is_near(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= TOLERANCE * theirs.abs()
}

impl Case {
    fn estimate(&self) -> Estimate {
        let mut places = data_centres::places().iter();
        let place = places.find(|place| place.source_name == self.provider);
        let chosen = self.zone.as_deref().map(|code| zone(code).unwrap());
        Estimate::of(&place.unwrap().provider, [self.model.as_str()], chosen).unwrap()
    }

    /// Compares all numbers, and says how many.
    fn compare(&self, estimate: &Estimate) -> usize {
        let latency = self.latency_s.map(Duration::from_secs_f64);
        let all = estimate.impacts(self.output_tokens, latency);
        let phases = estimate.footprint().phases(self.output_tokens, latency);
        let (usage, embodied) = (phases.usage, phases.embodied);
        let compared = [
            ("energy", all.energy_kwh, self.energy_kwh),
            ("gwp", all.gwp_kgco2eq, self.gwp_kgco2eq),
            ("adpe", all.adpe_kgsbeq, self.adpe),
            ("pe", all.pe_mj, self.pe),
            ("wcf", all.wcf_l, self.wcf),
            ("usage gwp", usage.gwp_kgco2eq, self.usage.gwp_kgco2eq),
            ("usage adpe", usage.adpe_kgsbeq, self.usage.adpe),
            ("usage pe", usage.pe_mj, self.usage.pe),
            (
                "embodied gwp",
                embodied.gwp_kgco2eq,
                self.embodied.gwp_kgco2eq,
            ),
            ("embodied adpe", embodied.adpe_kgsbeq, self.embodied.adpe),
            ("embodied pe", embodied.pe_mj, self.embodied.pe),
        ];
        for (what, Range { min, max }, theirs) in compared {
            assert!(
                is_near(min, theirs[0]) && is_near(max, theirs[1]),
                "{}: {what} is {min} to {max}, not {theirs:?}",
                self.id
            );
        }
        assert_eq!(usage.energy_kwh, all.energy_kwh, "{}", self.id);
        assert_eq!(usage.wcf_l, all.wcf_l, "{}", self.id);
        2 * compared.len()
    }
}

#[test]
fn all_200_cases_of_the_package_come_out() {
    let file: File = serde_json::from_str(include_str!("fixtures/ecologits-cases.json")).unwrap();
    assert_eq!(file.cases.len(), 200);
    let mut numbers = 0;
    for case in &file.cases {
        let estimate = case.estimate();
        assert_eq!(estimate.zone.code, case.zone_used, "{}", case.id);
        let warnings: Vec<&str> = estimate.warnings.iter().map(|w| w.code()).collect();
        assert_eq!(warnings, case.warnings, "{}", case.id);
        numbers += case.compare(&estimate);
    }
    assert_eq!(numbers, 200 * 22);
}

#[test]
fn the_comparison_sees_two_billionths() {
    assert!(is_near(0.3 * (1.0 + 5e-10), 0.3) && is_near(0.0, 0.0));
    assert!(!is_near(0.3 * (1.0 + 2e-9), 0.3) && !is_near(0.3 * (1.0 - 2e-9), 0.3));
    assert!(!is_near(1e-300, 0.0) && !is_near(f64::NAN, 0.3));
}
