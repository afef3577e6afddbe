//! What single events lead to.

use super::*;

fn at(millis: u64) -> Moment {
    Moment::after_start(Duration::from_millis(millis))
}

fn crowded(waiting: u64) -> Admission<u64> {
    let mut admission = Admission::new(&AccountConfig::default());
    for call in 0..waiting {
        admission.join(demand(100, call), call);
    }
    admission
}

#[test]
fn the_gate_opens_by_one_for_each_success_and_halves_once_for_each_burst() {
    let mut admission = crowded(2000);
    let mut out = grants(&mut admission, at(0));
    assert_eq!(out.len(), 8);
    for successes in 1..=92 {
        succeed(&mut admission, out.remove(0), at(successes));
        out.extend(grants(&mut admission, at(successes)));
        assert_eq!(out.len() as u64, 8 + successes);
    }
    let told = Error::new(ErrorKind::RateLimited, "x").with_retry_after(Some(MINUTE));
    for grant in out {
        fail(&mut admission, grant, &told, at(100));
    }
    assert_eq!(admission.snapshot(at(100)).limit, 50);
    assert_eq!(admission.snapshot(at(100)).paused_until, Some(at(60_100)));
    assert!(grants(&mut admission, at(60_099)).is_empty());
    let mut out = grants(&mut admission, at(60_100));
    assert_eq!(out.len(), 50);
    // quickly back to nine tenths, slowly beyond
    for _ in 0..40 {
        succeed(&mut admission, out.remove(0), at(60_200));
    }
    assert_eq!(admission.snapshot(at(60_200)).limit, 90);
    out.extend(grants(&mut admission, at(60_200)));
    for _ in 0..45 {
        succeed(&mut admission, out.remove(0), at(60_300));
    }
    assert_eq!(admission.snapshot(at(60_300)).limit, 90);
}

#[test]
fn rate_limits_without_a_delay_pause_for_longer_and_longer() {
    let mut admission = crowded(100);
    let limited = Error::new(ErrorKind::RateLimited, "x");
    let mut now = at(0);
    for pause in [250, 500, 1000, 2000, 4000, 8000, 16_000, 16_000] {
        for grant in grants(&mut admission, now) {
            fail(&mut admission, grant, &limited, now);
        }
        let until = admission.snapshot(now).paused_until;
        assert_eq!(until, Some(now + Duration::from_millis(pause)));
        now = until.unwrap();
    }
    let mut out = grants(&mut admission, now);
    succeed(&mut admission, out.remove(0), now);
    let mut out = grants(&mut admission, now);
    fail(&mut admission, out.remove(0), &limited, now);
    let until = admission.snapshot(now).paused_until;
    assert_eq!(until, Some(now + Duration::from_millis(250)));
}

#[test]
fn a_refusal_teaches_the_limits_that_its_headers_tell() {
    let mut admission = crowded(100);
    let requests = LimitWindow {
        limit: Some(60.0),
        remaining: Some(0.0),
        reset: None,
    };
    let limited = Error::new(ErrorKind::RateLimited, "x").with_limits(RateLimits {
        requests,
        ..RateLimits::default()
    });
    for grant in grants(&mut admission, at(0)) {
        fail(&mut admission, grant, &limited, at(0));
    }
    // the pause of a burst without a delay ends after 250 ms; the limit allows the next call after a second
    assert!(grants(&mut admission, at(900)).is_empty());
    assert_eq!(grants(&mut admission, at(1_100)).len(), 1);
    assert!(grants(&mut admission, at(1_900)).is_empty());
}

#[test]
fn a_poisonous_row_is_no_outage_and_three_rows_are() {
    let down = |callers: u64| {
        let mut admission = Admission::new(&AccountConfig::default());
        let error = Error::new(ErrorKind::ServerError, "x").with_status(500);
        for attempt in 0..20 {
            let call = attempt % callers;
            admission.join(demand(100, call), call);
            let mut out = grants(&mut admission, at(attempt));
            let Some(grant) = out.pop() else { break };
            fail(&mut admission, grant, &error, at(attempt));
        }
        admission.snapshot(at(20)).endpoint
    };
    assert_eq!(down(1), EndpointState::Up);
    assert_eq!(down(2), EndpointState::Up);
    assert_eq!(down(3), EndpointState::Down { since: at(0) });
}

#[test]
fn an_endpoint_that_never_answers_is_given_up_after_three_tries() {
    let mut admission = crowded(100);
    let refused = Error::new(ErrorKind::Connection, "refused");
    let (mut now, mut calls, mut tries) = (at(0), 0, 0);
    while admission.given_up().is_none() {
        let mut decided = Vec::new();
        let next = admission.poll(now, &mut decided);
        tries += u32::from(!decided.is_empty());
        for (_, grant) in decided {
            calls += 1;
            fail(&mut admission, grant.unwrap(), &refused, now);
        }
        if admission.given_up().is_none() {
            now = admission.poll(now, &mut Vec::new()).or(next).unwrap();
        }
    }
    assert_eq!((tries, calls), (3, 8 + 1 + 1));
    assert!(now >= at(1000) && now <= at(10_000), "{now:?}");
    let error = admission.given_up().unwrap();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.stops_the_run());
}

#[test]
fn estimates_follow_real_usage() {
    let mut admission = Admission::new(&AccountConfig {
        quota: QuotaConfig {
            otpm: Some(60_000),
            ..QuotaConfig::default()
        },
        ..AccountConfig::default()
    });
    // the bucket holds 1,000 tokens: 8 calls fit only if their outputs are known to be small
    let roomy = |call| Demand {
        output_cap: None,
        ..demand(100, call)
    };
    for call in 0..8 {
        admission.join(roomy(call), call);
    }
    let out = grants(&mut admission, at(0));
    assert_eq!(out.len(), 3);
    for grant in out {
        let usage = Usage {
            input_tokens: 25,
            output_tokens: 10,
            ..Usage::default()
        };
        admission.succeeded(&grant);
        admission.ended(grant, Some(usage), at(1));
        admission.free();
    }
    assert_eq!(grants(&mut admission, at(1)).len(), 5);
}
