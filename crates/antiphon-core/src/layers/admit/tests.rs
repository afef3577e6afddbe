//! Properties of the rules of admission, driven by moments. `PROPTEST_CASES` raises the number of cases.

use std::{cmp::Ordering, collections::BTreeMap, num::NonZeroU32, time::Duration};

use proptest::prelude::*;

use super::{
    admission::{Admission, Grant},
    config::{AccountConfig, EndpointState},
    estimate::Demand,
    quota::{Quota, QuotaConfig, Settled, Ticket, Tokens},
};
use crate::{
    Error, ErrorKind, Moment, Usage,
    chat::{LimitWindow, RateLimits},
};

mod states;

const MINUTE: Duration = Duration::from_secs(60);

fn cases(default: u32) -> ProptestConfig {
    let named = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: named
            .and_then(|cases| cases.parse().ok())
            .unwrap_or(default),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A request of a simulated minute: when it arrives after the one before, what it reserves, what it really uses.
#[derive(Clone, Debug)]
struct Asked {
    gap: Duration,
    reserved: Tokens,
    real: Tokens,
    latency: Duration,
}

fn asked(most: u64, overrun: f64) -> impl Strategy<Value = Asked> {
    let size = prop_oneof![8 => 1..=most / 40 + 1, 2 => 1..=most / 4 + 1, 1 => 1..=most + most / 2];
    (size, 0..400_u64, 0..=100_u64, 0..20_000_u64).prop_map(move |(size, gap, part, latency)| {
        let reserved = Tokens {
            input: size,
            output: size / 2,
        };
        let factor = overrun * part as f64 / 100.0;
        Asked {
            gap: Duration::from_millis(gap),
            reserved,
            real: Tokens {
                input: size,
                output: (reserved.output as f64 * factor) as u64,
            },
            latency: Duration::from_millis(latency),
        }
    })
}

/// One admission: when, what was counted at that moment, and what it really cost.
struct Admitted {
    at: Moment,
    reserved: u64,
    real: u64,
    settled: Moment,
}

/// Sends the requests one after the other as early as the quota allows; each is settled after its latency.
fn send(quota: &mut Quota, requests: &[Asked]) -> Vec<Admitted> {
    let mut now = Moment::ZERO;
    let mut arrives = Moment::ZERO;
    let mut out: BTreeMap<(Moment, usize), (Ticket, Tokens)> = BTreeMap::new();
    let mut admitted = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        arrives = arrives + request.gap;
        now = now.max(arrives);
        loop {
            while let Some(((at, _), _)) = out.first_key_value()
                && *at <= now
            {
                let ((at, _), (ticket, real)) = out.pop_first().unwrap();
                quota.settle(ticket, Settled::Real(real), at.max(now));
            }
            let Some(ready) = quota.wait(request.reserved, now) else {
                break;
            };
            assert!(ready > now, "a wait that ends now would spin");
            let next_end = out.first_key_value().map_or(ready, |((at, _), _)| *at);
            now = ready.min(next_end);
        }
        let ticket = quota.take(request.reserved, now);
        let settled = now + request.latency;
        out.insert((settled, index), (ticket, request.real));
        admitted.push(Admitted {
            at: now,
            reserved: request.reserved.input + request.reserved.output,
            real: request.real.input + request.real.output,
            settled,
        });
    }
    admitted
}

proptest! {
    #![proptest_config(cases(96))]

    /// With estimates that are upper bounds, no window of 60 s is above the limit, for requests and for tokens; a
    /// request that is larger than the limit by itself goes through an empty window.
    #[test]
    fn no_window_exceeds_the_limit(
        rpm in 1..400_u64,
        tpm in 100..40_000_u64,
        requests in prop::collection::vec(asked(40_000, 1.0), 1..300),
    ) {
        let config = QuotaConfig { rpm: Some(rpm), tpm: Some(tpm), ..QuotaConfig::default() };
        let admitted = send(&mut Quota::new(config), &requests);
        for (last, end) in admitted.iter().enumerate() {
            let in_window = |a: &&Admitted| a.at + MINUTE > end.at;
            let window: Vec<_> = admitted[..=last].iter().rev().take_while(in_window).collect();
            prop_assert!(window.len() as u64 <= rpm);
            let real: u64 = window.iter().map(|a| a.real).sum();
            prop_assert!(real <= tpm || window.len() == 1, "{real} tokens in a window of {tpm}");
        }
    }

    /// Where estimates were too low, nothing is let out while what is known to be used fills the window.
    #[test]
    fn nothing_passes_beside_what_is_known(
        tpm in 100..40_000_u64,
        requests in prop::collection::vec(asked(40_000, 3.0), 1..200),
    ) {
        let config = QuotaConfig { tpm: Some(tpm), ..QuotaConfig::default() };
        let admitted = send(&mut Quota::new(config), &requests);
        for (last, end) in admitted.iter().enumerate() {
            let known = admitted[..last].iter().map(|a| {
                let reserved = if a.at + MINUTE > end.at { a.reserved } else { 0 };
                let settled = a.settled <= end.at;
                match a.real.cmp(&a.reserved) {
                    Ordering::Less if settled && reserved > 0 => a.real,
                    Ordering::Greater if settled && a.settled + MINUTE > end.at => {
                        reserved + a.real - a.reserved
                    }
                    _ => reserved,
                }
            });
            let known = known.sum::<u64>() + end.reserved;
            prop_assert!(known <= tpm || known == end.reserved, "{known} of {tpm}");
        }
    }

    /// Under saturation at least 97 % of the limit is used, whatever the mix of small sizes.
    #[test]
    fn the_limit_is_used(
        tpm in 30_000..10_000_000_u64,
        parts in prop::collection::vec(1..100_u64, 20),
    ) {
        let config = QuotaConfig { tpm: Some(tpm), ..QuotaConfig::default() };
        let mut quota = Quota::new(config);
        let minutes = 10;
        let (mut used, mut now) = (0, Moment::ZERO);
        for part in parts.iter().cycle() {
            let tokens = Tokens { input: tpm * part / 20_000, output: 1 };
            while let Some(ready) = quota.wait(tokens, now) {
                // timers tick in milliseconds
                let millis = ready.since_start().as_nanos().div_ceil(1_000_000) as u64;
                now = Moment::after_start(Duration::from_millis(millis));
            }
            if now > Moment::after_start(MINUTE * minutes) {
                break;
            }
            quota.take(tokens, now);
            used += tokens.input + 1;
        }
        let whole = tpm * u64::from(minutes);
        prop_assert!(used as f64 >= 0.97 * whole as f64, "{used} of {whole}");
    }

    /// Everybody is served, in the order of the line, however large; nobody overtakes and nobody starves. Jumps of the
    /// clock by years do no harm.
    #[test]
    fn the_line_is_served_in_order(
        tpm in 100..100_000_u64,
        sizes in prop::collection::vec(0..400_000_usize, 1..150),
        leavers in prop::collection::vec(any::<bool>(), 150),
        jumps in prop::collection::vec(prop_oneof![4 => Just(0_u64), 1 => 1..100_000_000_u64], 20),
    ) {
        let quota = QuotaConfig { tpm: Some(tpm), ..QuotaConfig::default() };
        let config = AccountConfig { quota, ..AccountConfig::default() };
        let mut admission = Admission::new(&config);
        let places: Vec<_> = (0..sizes.len())
            .map(|index| admission.join(demand(sizes[index], index as u64), index))
            .collect();
        let mut expected: Vec<usize> = (0..sizes.len()).collect();
        for (index, place) in places.into_iter().enumerate() {
            if leavers[index] {
                prop_assert_eq!(admission.leave(place), Some(index));
                expected.retain(|waiting| *waiting != index);
            }
        }
        prop_assert_eq!(admission.snapshot(Moment::ZERO).waiting, expected.len());
        let (mut served, mut now, mut jumps) = (Vec::new(), Moment::ZERO, jumps.into_iter());
        while served.len() < expected.len() {
            let mut decided = Vec::new();
            let next = admission.poll(now, &mut decided);
            let stuck = decided.is_empty() && next.is_none();
            prop_assert!(!stuck, "nobody is served and no alarm is set");
            for (who, grant) in decided {
                served.push(who);
                let grant = grant.unwrap();
                admission.succeeded(&grant);
                admission.ended(grant, None, now);
                admission.free();
            }
            if let Some(next) = next {
                prop_assert!(next > now);
                now = next + Duration::from_secs(jumps.next().unwrap_or(0));
            }
        }
        prop_assert_eq!(served, expected);
    }

    /// Permits in flight never exceed the limit when one is given out, and all come back, whatever happens to a call.
    #[test]
    fn permits_are_bounded_and_come_back(
        most in prop::option::of(1..40_u32),
        fates in prop::collection::vec((0..9_u8, 0..3_000_u64), 1..400),
    ) {
        let config = AccountConfig {
            concurrency: most.and_then(NonZeroU32::new),
            give_up_after: None,
            ..AccountConfig::default()
        };
        let mut admission = Admission::new(&config);
        for (index, _) in fates.iter().enumerate() {
            admission.join(demand(100, index as u64), index);
        }
        let (mut now, mut out, mut met) = (Moment::ZERO, Vec::new(), 0);
        while met < fates.len() {
            let mut decided = Vec::new();
            let next = admission.poll(now, &mut decided);
            let state = admission.snapshot(now);
            if !decided.is_empty() {
                prop_assert!(state.in_flight <= state.limit);
            }
            prop_assert!(state.limit >= 1 && state.limit <= state.most);
            out.extend(decided.into_iter().map(|(who, grant)| (who, grant.unwrap())));
            prop_assert_eq!(state.in_flight as usize, out.len());
            if let Some((who, grant)) = out.pop() {
                let (fate, millis) = fates[who];
                now = now + Duration::from_millis(millis);
                meet(&mut admission, grant, fate, now);
                met += 1;
            } else {
                now = next.expect("an alarm, as nothing is out");
            }
        }
        prop_assert_eq!(admission.snapshot(now).in_flight, 0);
    }
}

fn demand(bytes: usize, call: u64) -> Demand {
    Demand {
        bytes,
        counted: None,
        output_cap: Some(10),
        call,
    }
}

/// Lets a call end in one of the ways in which calls end.
fn meet<T>(admission: &mut Admission<T>, grant: Grant, fate: u8, now: Moment) {
    let kind = match fate {
        0 => return withdraw(admission, grant, now),
        1 => {
            admission.abandoned(grant, now);
            return admission.free();
        }
        2 => ErrorKind::RateLimited,
        3 => ErrorKind::ServerError,
        4 => ErrorKind::Connection,
        5 => ErrorKind::BadRequest,
        _ => return succeed(admission, grant, now),
    };
    fail(admission, grant, &Error::new(kind, "x"), now);
}

fn withdraw<T>(admission: &mut Admission<T>, grant: Grant, now: Moment) {
    admission.withdrawn(grant, now);
    admission.free();
}

fn succeed<T>(admission: &mut Admission<T>, grant: Grant, now: Moment) {
    admission.succeeded(&grant);
    admission.ended(grant, Some(Usage::default()), now);
    admission.free();
}

fn fail<T>(admission: &mut Admission<T>, grant: Grant, error: &Error, now: Moment) {
    admission.free();
    admission.failed(grant, error, now, 0.5);
}

/// The grants that are given at this moment.
fn grants(admission: &mut Admission<u64>, now: Moment) -> Vec<Grant> {
    let mut decided = Vec::new();
    admission.poll(now, &mut decided);
    decided
        .into_iter()
        .map(|(_, grant)| grant.unwrap())
        .collect()
}
