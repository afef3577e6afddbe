//! Clients of all kinds, and what is found out about them. `PROPTEST_CASES` raises the number of sessions of each.

mod blameless;

use std::{num::NonZeroU32, ops::Range, sync::Arc};

use super::{
    ClientName, Reason, Refused, Verdict, Verdicts,
    simulated::{Conduct, Flaw, Memory, Seen, Session, name},
};

/// More than any client is asked to handle.
const UNLIMITED: usize = 1000;
/// Calls after which everything is known.
const ENOUGH: u64 = 1500;

fn sessions(few: u64) -> Range<u64> {
    let named = std::env::var("PROPTEST_CASES").ok();
    let named = named.and_then(|cases| cases.parse().ok());
    0..named.unwrap_or(few)
}

fn flawed(flaw: Flaw) -> Conduct {
    Conduct {
        flaw,
        ..Conduct::of(UNLIMITED)
    }
}

/// Width, the width that is refused, and why.
type Said = (u32, Option<(u32, Reason)>);

fn said(verdict: Verdict) -> Said {
    let refused = verdict.refused;
    let refused = refused.map(|refused| (refused.width.get(), refused.reason));
    (verdict.width.get(), refused)
}

/// What is found out in one session.
fn found(conduct: Conduct, seed: u64, calls: u64) -> (Said, Seen) {
    let mut session = Session::new(conduct, seed, &Arc::default(), "1");
    let seen = session.calls(calls);
    assert_eq!(seen.answered + seen.failed, calls as usize);
    // fewer than the queue would allow: nobody is kept from being asked again who needs it
    assert!(seen.most_again <= 2, "{conduct:?}: {seen:?}, seed {seed}");
    (said(session.measured.verdict()), seen)
}

/// So many sessions in a hundred may be misjudged, by chance. That costs time and no answers: the width is too narrow, or
/// more calls wait at the client than need to.
fn misjudged(percent: u64, seeds: Range<u64>, expected: Said, found: impl Fn(u64) -> Said) {
    let allowed = (seeds.end * percent / 100) as usize;
    let wrong: Vec<_> = seeds
        .map(|seed| (seed, found(seed)))
        .filter(|(_, said)| *said != expected)
        .collect();
    assert!(wrong.len() <= allowed, "not {expected:?}: {wrong:?}");
}

fn all_are(conduct: Conduct, expected: Said) {
    let found = |seed| found(conduct, seed, ENOUGH).0;
    misjudged(1, sessions(5), expected, found);
}

#[test]
fn a_serial_client_is_given_one_call() {
    all_are(Conduct::of(1), (1, Some((2, Reason::NoGain))));
}

#[test]
fn a_client_of_capacity_three_is_given_three() {
    all_are(Conduct::of(2), (2, Some((3, Reason::NoGain))));
    all_are(Conduct::of(3), (3, Some((4, Reason::NoGain))));
    all_are(Conduct::of(5), (5, Some((6, Reason::NoGain))));
}

#[test]
fn a_client_without_limit_is_given_as_many_as_there_may_be() {
    all_are(Conduct::of(UNLIMITED), (64, None));
}

#[test]
fn a_client_that_breaks_at_two_is_given_one() {
    let conduct = flawed(Flaw::Breaks(2));
    all_are(conduct, (1, Some((2, Reason::Breaks))));
    for seed in sessions(4) {
        let (_, seen) = found(conduct, seed, ENOUGH);
        assert_eq!((seen.failed, seen.asked_again), (0, 2));
        assert_eq!(seen.peak, 2);
    }
}

#[test]
fn a_client_that_falls_silent_costs_time_and_no_call() {
    for (flaw, width) in [
        (Flaw::Deadlocks(2), 1),
        (Flaw::Deadlocks(4), 2),
        (Flaw::Loses(4), 2),
    ] {
        all_are(flawed(flaw), (width, Some((2 * width, Reason::Deadlock))));
        for seed in sessions(2) {
            let (_, seen) = found(flawed(flaw), seed, ENOUGH);
            assert_eq!(seen.failed, 0);
            assert!((1..=4).contains(&seen.asked_again), "{seen:?}");
            assert_eq!(seen.peak, 2 * width as usize);
        }
    }
}

#[test]
fn a_client_that_mixes_answers_up_is_not_tried_again() {
    for from in [2, 4] {
        let conduct = flawed(Flaw::Crosses(from));
        all_are(
            conduct,
            (from as u32 / 2, Some((from as u32, Reason::CrossTalk))),
        );
        for seed in sessions(4) {
            let (_, seen) = found(conduct, seed, ENOUGH);
            assert!(seen.wrong <= 2 * from, "{seen:?}");
        }
    }
}

/// 300 ms for each of five calls, as with the clients of the test command.
#[test]
fn of_five_calls_some_go_at_once() {
    let conduct = Conduct {
        seconds: 0.3,
        scatter: 1.0,
        ..Conduct::of(UNLIMITED)
    };
    let (_, seen) = found(conduct, 1, 5);
    assert_eq!(seen.peak, 2);
}

/// Whoever asks for two things at a time, again and again, never has a full queue.
#[test]
fn bursts_are_enough_to_know() {
    for (capacity, burst, percent, expected) in [
        (1, 2, 1, (1, Some((2, Reason::NoGain)))),
        (1, 5, 1, (1, Some((2, Reason::NoGain)))),
        (UNLIMITED, 2, 1, (2, None)),
        // one of five waits for a moment: hardly to be told from one that does not
        (3, 5, 5, (3, Some((4, Reason::NoGain)))),
        (UNLIMITED, 5, 1, (5, None)),
    ] {
        misjudged(percent, sessions(2), expected, |seed| {
            let mut session = Session::new(Conduct::of(capacity), seed, &Arc::default(), "1");
            for _ in 0..2000 / burst {
                session.calls(burst);
            }
            said(session.measured.verdict())
        });
    }
}

#[test]
fn what_is_known_holds_for_the_name_and_the_version() {
    let memory: Arc<Memory> = Arc::default();
    let serial = Conduct::of(1);
    Session::new(serial, 1, &memory, "1").calls(ENOUGH);
    let mut again = Session::new(serial, 2, &memory, "1");
    assert_eq!(again.calls(ENOUGH).peak, 1, "never tried again");

    // 64 at once from the first call on, where that is known
    let parallel = Conduct::of(UNLIMITED);
    let mut newer = Session::new(parallel, 3, &memory, "2");
    assert_eq!(
        newer.measured.verdict().width,
        NonZeroU32::MIN,
        "measured anew"
    );
    newer.calls(ENOUGH);
    let mut again = Session::new(parallel, 4, &memory, "2");
    assert_eq!(again.calls(64).peak, 64);
    assert_eq!(
        said(memory.known(&name("1")).unwrap()),
        (1, Some((2, Reason::NoGain)))
    );
}

/// A client that was good and is so no more, under the same version.
#[test]
fn what_was_remembered_can_turn_out_wrong() {
    for (flaw, reason) in [
        (Flaw::Deadlocks(5), Reason::Deadlock),
        (Flaw::Crosses(5), Reason::CrossTalk),
    ] {
        let memory: Arc<Memory> = Arc::default();
        let known = Verdict {
            width: NonZeroU32::new(8).unwrap(),
            refused: None,
        };
        memory.learned(&name("1"), known);
        let mut session = Session::new(flawed(flaw), 1, &memory, "1");
        // what is out before anything has ever been answered may be silent for any reason
        session.calls(3);
        let seen = session.calls(100);
        assert!(seen.wrong <= 32, "{seen:?}");
        assert_eq!(said(session.measured.verdict()), (1, Some((8, reason))));
        assert_eq!(session.calls(100).peak, 1);
    }
}

#[test]
fn what_cannot_have_been_found_is_not_believed() {
    #[derive(Debug)]
    struct Always(Verdict);
    impl Verdicts for Always {
        fn known(&self, _: &ClientName) -> Option<Verdict> {
            Some(self.0)
        }
        fn learned(&self, _: &ClientName, _: Verdict) {}
    }
    let number = |number| NonZeroU32::new(number).unwrap();
    let refused = |width| {
        Some(Refused {
            width: number(width),
            reason: Reason::NoGain,
        })
    };
    for (width, refused, expected) in [(1000, None, 1), (4, refused(4), 1), (4, refused(5), 4)] {
        let verdict = Verdict {
            width: number(width),
            refused,
        };
        let measured = super::Measured::new(name("1"), Arc::new(Always(verdict)));
        assert_eq!(measured.verdict().width.get(), expected);
    }
}

#[test]
fn verdicts_are_told_in_words() {
    let verdict = |width, refused: Option<(u32, Reason)>| Verdict {
        width: NonZeroU32::new(width).unwrap(),
        refused: refused.map(|(width, reason)| Refused {
            width: NonZeroU32::new(width).unwrap(),
            reason,
        }),
    };
    for (verdict, words) in [
        (
            verdict(1, Some((2, Reason::NoGain))),
            "handles calls one after the other",
        ),
        (
            verdict(3, Some((4, Reason::NoGain))),
            "handles 3 calls at once; 4 gain nothing",
        ),
        (
            verdict(1, Some((2, Reason::Deadlock))),
            "handles one call; with 2 it falls silent",
        ),
        (
            verdict(2, Some((4, Reason::CrossTalk))),
            "handles 2 calls at once; with 4 it mixes answers up",
        ),
        (verdict(64, None), "handles 64 calls at once"),
    ] {
        assert_eq!(verdict.to_string(), words);
    }
    for reason in [
        Reason::NoGain,
        Reason::CrossTalk,
        Reason::Deadlock,
        Reason::Breaks,
    ] {
        assert_eq!(Reason::from_name(reason.name()), Some(reason));
    }
}
