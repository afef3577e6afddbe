//! What is not the client's fault: failures without company, people, requests.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        Bearing, Ending, ErrorKind, Measured, Moment,
        simulated::{Conduct, Session, name},
    },
    ENOUGH, UNLIMITED, found, said, sessions,
};

/// What a model or its provider does without any company is not the client's fault.
#[test]
fn faults_that_happen_alone_too_forbid_nothing() {
    let fails = Conduct {
        fails: Some(5),
        ..Conduct::of(UNLIMITED)
    };
    let apologises = Conduct {
        apologises: Some(5),
        ..Conduct::of(UNLIMITED)
    };
    for conduct in [fails, apologises] {
        let wide = sessions(4).filter(|seed| found(conduct, *seed, ENOUGH).0 == (64, None));
        let share = wide.count() as f64 / sessions(4).count() as f64;
        assert!(share > 0.9, "{share} of {conduct:?}");
    }
}

/// A person who is away while calls wait for their consent is no deadlock.
#[test]
fn a_person_may_take_their_time() {
    for seed in sessions(4) {
        let approved = Conduct {
            seconds: 8.0,
            scatter: 9.0,
            ..Conduct::of(1)
        };
        let (said, seen) = found(approved, seed, 300);
        assert_eq!(seen.asked_again, 0, "{said:?}, seed {seed}");
        // an hour away, which begins while two calls are out
        let away = Conduct {
            absent: Some((4.5, 3600.0)),
            ..Conduct::of(UNLIMITED)
        };
        let mut session = Session::new(away, seed, &Arc::default(), "1");
        let seen = session.calls(ENOUGH);
        assert_eq!(
            session.measured.verdict().refused,
            None,
            "{seen:?}, seed {seed}"
        );
    }
}

/// They come back to each question once or twice, not to one more for each minute that they were away.
#[test]
fn whoever_is_away_from_a_wide_client_is_not_asked_again_and_again() {
    for from in [10.0, 15.0, 20.0, 25.0, 30.0, 40.0] {
        let away = Conduct {
            absent: Some((from, 3600.0)),
            ..Conduct::of(UNLIMITED)
        };
        let (_, seen) = found(away, 1, 400);
        assert_eq!(seen.answered, 400);
        assert!(
            seen.asked_again <= 2 * seen.peak,
            "away from {from} s on: {seen:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_request_says_nothing_of_the_client() {
    let mut measured = Measured::new(name("1"), Arc::new(()));
    let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
    for turn in 0..10 {
        measured.started(turn, 10, at(2 * turn));
        let ending = Ending::Answered {
            asked: turn,
            answer: turn,
            bytes: 1,
        };
        measured.ended(turn, ending, at(2 * turn + 1));
    }
    measured.started(10, 10, at(30));
    assert_eq!(measured.limit().get(), 2);
    measured.started(11, 10, at(30));
    for turn in [10, 11] {
        let kind = ErrorKind::BadRequest;
        assert!(!measured.excuses(turn, kind, at(31)));
        measured.ended(turn, Ending::Failed(kind), at(31));
    }
    assert_eq!(measured.limit().get(), 2, "it goes on trying");
}

/// A model that becomes three times as slow in the middle is as parallel as before.
#[test]
fn slower_questions_are_not_taken_for_a_queue() {
    for seed in sessions(4) {
        let mut session = Session::new(Conduct::of(UNLIMITED), seed, &Arc::default(), "1");
        session.calls(30);
        session.slow_down(3.0);
        session.calls(ENOUGH);
        assert_eq!(said(session.measured.verdict()), (64, None), "seed {seed}");
    }
}
