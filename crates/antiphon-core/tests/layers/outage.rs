use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    Clock, ErrorKind, Moment, SystemClock,
    layers::admit::{AccountConfig, EndpointState},
};

use crate::scripted::{Scripted, bench, error, ready};

/// Every call between these seconds fails.
const OUTAGE: std::ops::Range<u64> = 10..70;

/// What 2,000 rows of two seconds see of such an outage: calls made while it lasted, and attempts made in all.
async fn outage_of(kind: ErrorKind) {
    let (clock, during) = (SystemClock::new(), Arc::new(AtomicUsize::new(0)));
    let leaf = Scripted::new({
        let (clock, during) = (clock.clone(), Arc::clone(&during));
        move |_, _| {
            let (clock, during) = (clock.clone(), Arc::clone(&during));
            async move {
                let second = clock.now().since_start().as_secs();
                tokio::time::sleep(Duration::from_millis(200)).await;
                if OUTAGE.contains(&second) {
                    during.fetch_add(1, SeqCst);
                    return Err(error(kind));
                }
                tokio::time::sleep(Duration::from_millis(1800)).await;
                ready("x")
            }
        }
    });
    let bench = bench(leaf.clone(), AccountConfig::default(), 2);
    for call in bench.start(2000) {
        call.await.unwrap().unwrap();
    }
    // those that were out when it began, those that followed the first failures, then a probe every 5 s
    let most = 256 + 16 + 16;
    assert!(
        (10..=most).contains(&during.load(SeqCst)),
        "{during:?} calls during the outage"
    );
    assert_eq!(leaf.calls(), 2000 + during.load(SeqCst));
    assert!(bench.elapsed() < Duration::from_secs(120));
    assert_eq!(bench.account.snapshot().endpoint, EndpointState::Up);
}

#[tokio::test(start_paused = true)]
async fn no_row_fails_in_an_outage_of_the_network() {
    outage_of(ErrorKind::Connection).await;
}

#[tokio::test(start_paused = true)]
async fn no_row_fails_in_an_outage_of_the_server() {
    outage_of(ErrorKind::ServerError).await;
    outage_of(ErrorKind::Overloaded).await;
}

#[tokio::test(start_paused = true)]
async fn probes_are_not_counted_against_the_calls_that_make_them() {
    let clock = SystemClock::new();
    let leaf = Scripted::new(move |_, _| {
        let second = clock.now().since_start().as_secs();
        async move {
            match second {
                1..120 => Err(error(ErrorKind::Connection)),
                _ => ready("x"),
            }
        }
    });
    let retries = 5;
    let bench = bench(leaf.clone(), AccountConfig::default(), retries);
    for call in bench.start(1) {
        call.await.unwrap().unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    // so few calls that each of them is the probe again and again
    for call in bench.start(3) {
        let head = call.await.unwrap().unwrap().head;
        assert!(head.attempts > retries + 1, "{} attempts", head.attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn during_an_outage_probes_go_out_one_by_one() {
    let leaf = Scripted::new(|number, _| async move {
        match number {
            0 => ready("x"),
            _ => Err(error(ErrorKind::ServerError)),
        }
    });
    let bench = bench(leaf.clone(), AccountConfig::default(), 2);
    let calls = bench.start(500);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let EndpointState::Down { since } = bench.account.snapshot().endpoint else {
        panic!("down")
    };
    assert!(since < Moment::after_start(Duration::from_secs(5)));
    assert!(leaf.calls() < 60);
    let before = leaf.calls();
    tokio::time::sleep(Duration::from_secs(50)).await;
    // a probe each 4 to 6 seconds
    assert!((8..=13).contains(&(leaf.calls() - before)));
    for call in calls {
        // all but the first row and those whose attempts ran out before the outage was seen
        if let Err(error) = call.await.unwrap() {
            assert!(error.stops_the_run() || error.attempts() == 3, "{error:?}");
        }
    }
    let elapsed = bench.elapsed().as_secs();
    assert!((300..310).contains(&elapsed), "given up after {elapsed} s");
    assert_eq!(
        bench.account.given_up().unwrap().kind(),
        ErrorKind::ServerError
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_where_nobody_answers_is_given_up_within_ten_seconds() {
    for rows in [1, 10_000] {
        let leaf = Scripted::new(|_, _| async { Err(error(ErrorKind::Connection)) });
        let bench = bench(leaf.clone(), AccountConfig::default(), 1);
        for call in bench.start(rows) {
            let error = call.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connection);
            assert!(error.stops_the_run());
        }
        assert!((3..=10).contains(&leaf.calls()), "{} calls", leaf.calls());
        assert!(bench.elapsed() > Duration::from_secs(1));
        assert!(bench.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_of_all_calls_failing_is_no_outage() {
    for kind in [ErrorKind::ServerError, ErrorKind::Connection] {
        let dice = Arc::new(antiphon_core::Dice::seeded(3));
        let leaf = Scripted::new(move |_, _| {
            let fails = dice.unit() < 0.3;
            async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                if fails { Err(error(kind)) } else { ready("x") }
            }
        });
        let bench = bench(leaf.clone(), AccountConfig::default(), 10);
        let calls = bench.start(3000);
        tokio::time::sleep(Duration::from_secs(20)).await;
        let done = calls.iter().filter(|call| call.is_finished()).count();
        assert!(
            done > 2900,
            "{done} rows done: some wait out their back-off, the others were not held up"
        );
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let retries = bench.metrics.snapshot().retries[&kind];
        assert_eq!(leaf.calls() as u64, 3000 + retries);
    }
}
