use proptest::prelude::*;

use super::*;

fn prices(text: &str) -> Prices {
    serde_json::from_str(text).unwrap()
}

fn table(base: &str, tiers: &[(u64, &str)]) -> PriceTable {
    let tiers = tiers.iter().map(|(above, told)| (*above, prices(told)));
    PriceTable::new(prices(base), tiers).unwrap()
}

fn always(standard: PriceTable) -> Timed {
    Timed {
        when: When::default(),
        standard,
        batch: None,
    }
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
    Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        cache_write_tokens: written,
        output_tokens: output,
        ..Usage::default()
    }
}

#[test]
fn prices_are_read_exactly_or_refused() {
    for (dollars, picos) in [
        (2.5, 2_500_000),
        (0.003625, 3_625),
        (0.0, 0),
        (3.125, 3_125_000),
    ] {
        let price = UnitPrice::per_million(dollars).unwrap();
        assert_eq!(price.of(1).picos(), picos);
        assert_eq!(price.dollars_per_million(), dollars);
    }
    for bad in [
        -0.1,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e-7,
        1e9,
        1e300,
    ] {
        assert!(UnitPrice::per_million(bad).is_err(), "{bad}");
    }
    assert_eq!("0.30".parse::<UnitPrice>().unwrap().to_string(), "0.3");
    assert!("".parse::<UnitPrice>().is_err());
}

#[test]
fn a_class_without_a_price_costs_what_other_input_does() {
    let told = table(r#"{"input": 2, "output": 10}"#, &[]);
    assert_eq!(told.cost(&usage(1_000, 400, 300, 0)).to_string(), "0.002");
    let told = table(r#"{"input": 2, "cache_write": 2.5, "output": 10}"#, &[]);
    let mut used = usage(1_000, 0, 1_000, 0);
    used.cache_write_1h_tokens = 1_000;
    assert_eq!(told.cost(&used).to_string(), "0.0025");
    assert!(PriceTable::new(prices(r#"{"input": 2}"#), []).is_err());
    assert!(PriceTable::new(prices(r#"{"output": 2}"#), []).is_err());
}

#[test]
fn writing_for_an_hour_has_its_own_price() {
    let told = table(
        r#"{"input": 3, "cached_input": 0.3, "cache_write": 3.75, "cache_write_1h": 6, "output": 15}"#,
        &[],
    );
    let mut used = usage(13_000, 10_000, 2_000, 500);
    assert_eq!(told.cost(&used).to_string(), "0.021");
    used.cache_write_1h_tokens = 1_000;
    assert_eq!(told.cost(&used).to_string(), "0.02325");
    // counts that do not fit into each other are cut to what can be
    used.cache_write_1h_tokens = u64::MAX;
    used.cache_write_tokens = u64::MAX;
    used.cached_input_tokens = 12_000;
    assert_eq!(told.cost(&used).to_string(), "0.0171");
}

#[test]
fn a_tier_is_a_cliff_and_keeps_what_it_does_not_tell() {
    let told = table(
        r#"{"input": 2, "cached_input": 1, "output": 10}"#,
        &[(300, r#"{"output": 20}"#), (200, r#"{"input": 4}"#)],
    );
    assert_eq!(told.cost(&usage(200, 100, 0, 1)).picos(), 310_000_000);
    assert_eq!(told.cost(&usage(201, 100, 0, 1)).picos(), 514_000_000);
    assert_eq!(told.cost(&usage(301, 100, 0, 1)).picos(), 522_000_000);
    assert_eq!(told.last_limit(), Some(300));
    let twice = [(5, prices("{}")), (5, prices("{}"))];
    assert!(PriceTable::new(prices(r#"{"input": 1, "output": 1}"#), twice).is_err());
}

#[test]
fn the_last_condition_that_holds_decides() {
    let dated = |from: Option<u64>, minutes, dollars: u32| Timed {
        when: When {
            from: from.map(at),
            minutes,
        },
        ..always(table(
            &format!(r#"{{"input": {dollars}, "output": 0}}"#),
            &[],
        ))
    };
    let list = PriceList(vec![
        dated(None, None, 1),
        dated(Some(10 * DAY), None, 2),
        dated(None, Some((60, 240)), 5),
        dated(None, Some((23 * 60, 30)), 7),
    ]);
    let dollars = |second| {
        list.cost(&usage(1_000_000, 0, 0, 0), at(second))
            .unwrap()
            .to_string()
    };
    assert_eq!(dollars(10 * DAY - 2 * 3600), "1");
    assert_eq!(dollars(10 * DAY - 1), "7");
    assert_eq!(dollars(10 * DAY), "7");
    assert_eq!(dollars(10 * DAY + 30 * 60), "2");
    assert_eq!(dollars(10 * DAY + 3600), "5");
    assert_eq!(dollars(10 * DAY + 4 * 3600), "2");
    assert_eq!(dollars(3600), "5");
    let later = PriceList(vec![dated(Some(DAY), None, 1)]);
    assert_eq!(later.cost(&usage(1, 0, 0, 0), at(0)), None);
    let worst = Worst {
        input_tokens: Some(1),
        output_tokens: 0,
        now: at(DAY),
        within: Duration::ZERO,
    };
    assert_eq!(later.most(&worst), None);
}

#[test]
fn the_worst_case_knows_the_prices_to_come() {
    let list = PriceList(vec![
        always(table(
            r#"{"input": 1, "output": 1}"#,
            &[(100, r#"{"input": 3}"#)],
        )),
        Timed {
            when: When {
                from: Some(at(10 * DAY)),
                minutes: None,
            },
            ..always(table(r#"{"input": 2, "output": 2}"#, &[]))
        },
    ]);
    let most = |now, within, input_tokens| {
        let worst = Worst {
            input_tokens,
            output_tokens: 10,
            now: at(now),
            within: Duration::from_secs(within),
        };
        list.most(&worst).map(Usd::picos)
    };
    assert_eq!(most(9 * DAY, 60, Some(100)), Some(110_000_000));
    assert_eq!(most(9 * DAY, 60, Some(101)), Some(313_000_000));
    assert_eq!(most(9 * DAY, DAY, Some(100)), Some(220_000_000));
    // a clock that is a minute late
    assert_eq!(most(10 * DAY - 60, 0, Some(100)), Some(220_000_000));
    assert_eq!(most(11 * DAY, u64::MAX, Some(101)), Some(222_000_000));
    assert_eq!(most(9 * DAY, 60, None), None);
}

fn unit() -> impl Strategy<Value = Option<UnitPrice>> {
    prop::option::of(
        (0..50_000_000u32)
            .prop_map(|picos| UnitPrice::per_million(f64::from(picos) / 1e6).unwrap()),
    )
}

fn some_prices() -> impl Strategy<Value = Prices> {
    [unit(), unit(), unit(), unit(), unit()].prop_map(
        |[input, cached_input, cache_write, cache_write_1h, output]| Prices {
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
        },
    )
}

fn tables() -> impl Strategy<Value = PriceTable> {
    let told = (
        some_prices(),
        prop::collection::btree_map(0..1_000u64, some_prices(), 0..3),
    );
    told.prop_map(|(mut base, tiers)| {
        base.input = base.input.or(Some(UnitPrice::default()));
        base.output = base.output.or(Some(UnitPrice::default()));
        PriceTable::new(base, tiers).unwrap()
    })
}

fn lists() -> impl Strategy<Value = PriceList> {
    let when = (
        prop::option::of(0..4 * DAY),
        prop::option::of((0..1440u32, 0..1440u32)),
    );
    let timed = (when, tables()).prop_map(|((from, minutes), table)| Timed {
        when: When {
            from: from.map(at),
            minutes,
        },
        ..always(table)
    });
    prop::collection::vec(timed, 0..5).prop_flat_map(|timed| {
        tables().prop_map(move |first| {
            PriceList(iter::once(always(first)).chain(timed.clone()).collect())
        })
    })
}

proptest! {
    #[test]
    fn no_call_within_the_bounds_costs_more_than_the_worst_case(
        list in lists(),
        (input, output) in (0..2_000u64, 0..2_000u64),
        shares in [0.0..=1.0f64, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0],
        now in 0..4 * DAY,
        within in 0..3 * DAY,
        drift in 0..1_200u64,
    ) {
        let worst = Worst {
            input_tokens: Some(input),
            output_tokens: output,
            now: at(now),
            within: Duration::from_secs(within),
        };
        let share = |of: u64, share: f64| (of as f64 * share) as u64;
        let total = share(input, shares[0]);
        let cached = share(total, shares[1]);
        let written = share(total - cached, shares[2]);
        let used = Usage {
            cache_write_1h_tokens: share(written, shares[3]),
            ..usage(total, cached, written, share(output, shares[4]))
        };
        // the clock may be set by up to ten minutes on the way
        let sent = (now + share(within, shares[5]) + drift).saturating_sub(600);
        let most = list.most(&worst).unwrap();
        let cost = list.cost(&used, at(sent)).unwrap();
        prop_assert!(most >= cost, "{} < {}", most, cost);
    }
}
