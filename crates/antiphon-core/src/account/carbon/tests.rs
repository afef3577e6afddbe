//! What holds for all models and places. That the numbers are those of the method is tested with the catalogue.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn range(min: f64, max: f64) -> Range {
    Range { min, max }
}

fn of(impacts: &Impacts) -> [Range; 5] {
    [
        impacts.energy_kwh,
        impacts.gwp_kgco2eq,
        impacts.adpe_kgsbeq,
        impacts.pe_mj,
        impacts.wcf_l,
    ]
}

fn world() -> ElectricityMix {
    ElectricityMix::new(0.45829, 1.349e-8, 2.5871, 3.908).unwrap()
}

#[test]
fn weights_take_a_power_of_two_of_gpus() {
    let needed = [
        (0.001, 1.0),
        (33.3, 1.0),
        (33.4, 2.0),
        (70.0, 4.0),
        (440.0, 16.0),
        (1e6, 32_768.0),
    ];
    for (total_b, number) in needed {
        assert_eq!(gpus(total_b), number, "{total_b}");
    }
}

#[test]
fn values_that_cannot_be_are_refused() {
    let size = |total, active| ModelParameters::new(total, active).map_err(|e| e.to_string());
    let billions = Range::exactly;
    for (total, active, words) in [
        (billions(0.0), billions(0.0), "0 is no number of billions"),
        (billions(-7.0), billions(1.0), "-7 is no number of billions"),
        (
            billions(7e9),
            billions(7e9),
            "7000000000 is no number of billions",
        ),
        (billions(f64::NAN), billions(1.0), "finite"),
        (billions(f64::INFINITY), billions(1.0), "finite"),
        (range(9.0, 8.0), billions(1.0), "the least, 9, is more"),
        (billions(8.0), billions(9.0), "more parameters are active"),
        (
            range(8.0, 20.0),
            range(9.0, 20.0),
            "more parameters are active",
        ),
    ] {
        let error = size(total, active).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let model = size(billions(8.0), billions(8.0)).unwrap();
    for (pace, wait) in [
        (Some(0.0), None),
        (Some(f64::INFINITY), None),
        (None, Some(-0.1)),
        (None, Some(f64::NAN)),
    ] {
        assert!(model.with_pace(pace, wait).is_err(), "{pace:?} {wait:?}");
    }
    assert!(DataCentre::new(billions(0.9), billions(0.0)).is_err());
    assert!(DataCentre::new(billions(1.1), billions(-0.1)).is_err());
    assert!(DataCentre::new(range(1.2, 1.1), billions(0.0)).is_err());
    assert!(ElectricityMix::new(-0.1, 0.0, 0.0, 0.0).is_err());
    assert!(ElectricityMix::new(0.1, f64::NAN, 0.0, 0.0).is_err());
}

prop_compose! {
    fn some_range(least: f64, most: f64)(a in least..most, b in least..most) -> Range {
        range(a.min(b), a.max(b))
    }
}

prop_compose! {
    fn footprints()(
        total_b in some_range(0.1, 10_000.0),
        share in 0.01..1.0,
        pace in proptest::option::of(1.0..500.0),
        wait in proptest::option::of(0.0..60.0),
        pue in some_range(1.0, 3.0),
        wue in some_range(0.0, 5.0),
    ) -> Footprint {
        let active_b = range(total_b.min * share, total_b.max * share);
        let model = ModelParameters::new(total_b, active_b).and_then(|model| model.with_pace(pace, wait));
        Footprint::new(&model.unwrap(), &DataCentre::new(pue, wue).unwrap(), &world())
    }
}

fn latencies() -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of((0..10_000_000_000_000_u64).prop_map(Duration::from_nanos))
}

proptest! {
    #[test]
    fn ranges_are_ordered_and_finite(footprint in footprints(), tokens: u64, latency in latencies()) {
        for value in of(&footprint.impacts(tokens, latency)) {
            prop_assert!(0.0 <= value.min && value.min <= value.max && value.max.is_finite());
        }
    }

    #[test]
    fn more_tokens_never_take_less(
        footprint in footprints(), tokens in 0..1_000_000_u64, more in 0..1_000_000_u64, latency in latencies()
    ) {
        let fewer = footprint.impacts(tokens, latency);
        let more = footprint.impacts(tokens + more, latency);
        for (fewer, more) in of(&fewer).iter().zip(of(&more)) {
            prop_assert!(fewer.min <= more.min && fewer.max <= more.max);
        }
    }

    #[test]
    fn a_longer_answer_never_takes_less(
        footprint in footprints(), tokens in 0..1_000_000_u64, short in latencies(), long in latencies()
    ) {
        let nanos = |latency: Option<Duration>| latency.unwrap_or(Duration::MAX);
        let (short, long) = if nanos(short) <= nanos(long) { (short, long) } else { (long, short) };
        let short = footprint.impacts(tokens, short);
        for (short, long) in of(&short).iter().zip(of(&footprint.impacts(tokens, long))) {
            prop_assert!(short.min <= long.min && short.max <= long.max);
        }
    }

    #[test]
    fn an_answer_in_no_time_occupies_no_server(footprint in footprints(), tokens in 1..1_000_000_u64) {
        let at_once = footprint.phases(tokens, Some(Duration::ZERO));
        prop_assert_eq!(at_once.embodied, Impacts::default());
        prop_assert!(at_once.usage.energy_kwh.min > 0.0);
        prop_assert_eq!(footprint.impacts(0, Some(Duration::ZERO)), Impacts::default());
        // without tokens only the time to the first one counts, where it is known
        let waited = footprint.impacts(0, None).energy_kwh.max > 0.0;
        prop_assert_eq!(waited, footprint.most.first_token_s > 0.0);
    }
}
