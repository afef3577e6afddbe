//! The rules of budgets, one by one.

use super::{
    desk::{Decided, Desk, Held, Lane, Payers, PurseId, Refused},
    purse::{Purse, Room, Settled},
};
use crate::Usd;

fn picos(amount: u64) -> Usd {
    Usd::from_picos(amount)
}

fn purse(cap: u64) -> Purse {
    Purse::new(Some(picos(cap)), Usd::ZERO, false)
}

/// A desk of a whole and two keys.
fn desk(caps: [u64; 3]) -> Desk<&'static str> {
    let mut desk = Desk::new(32);
    for cap in caps {
        desk.open(purse(cap));
    }
    desk
}

fn answers(desk: &mut Desk<&'static str>) -> Vec<(&'static str, Result<Held, Refused>)> {
    let mut decided = Decided::default();
    desk.poll(&mut decided);
    decided.answers
}

fn granted(desk: &mut Desk<&'static str>) -> Vec<&'static str> {
    let granted = |(who, verdict): (_, Result<Held, Refused>)| verdict.map(|_| who).unwrap();
    answers(desk).into_iter().map(granted).collect()
}

const WHOLE: PurseId = PurseId(0);

fn by_key(amount: u64, key: usize) -> Held {
    Held {
        payers: Payers::new(Some(PurseId(key)), Some(WHOLE)),
        ..by_whole(amount)
    }
}

fn by_whole(amount: u64) -> Held {
    Held {
        amount: picos(amount),
        payers: Payers::new(None, Some(WHOLE)),
        lane: Lane(0),
    }
}

#[test]
fn a_key_that_is_full_holds_up_nobody_else() {
    let mut desk = desk([100, 10, 10]);
    for who in ["a1", "a2"] {
        desk.ask(by_key(7, 1), who);
    }
    desk.ask(by_key(7, 2), "b1");
    assert_eq!(granted(&mut desk), ["a1", "b1"]);
    // small enough, but not its turn
    desk.ask(by_key(1, 1), "a3");
    desk.ask(by_key(1, 2), "b2");
    assert_eq!(granted(&mut desk), ["b2"]);
    desk.settle(by_key(7, 1), Settled::Cost(picos(1)));
    assert_eq!(granted(&mut desk), ["a2", "a3"]);
}

#[test]
fn whoever_can_never_be_served_is_told_at_once() {
    let mut desk = desk([100, 100, 100]);
    desk.ask(by_whole(60), "first");
    assert_eq!(granted(&mut desk), ["first"]);
    desk.ask(by_whole(50), "waits");
    desk.ask(by_whole(101), "never");
    let exhausted = |amount| {
        Err(Refused::Exhausted {
            purse: WHOLE,
            amount: picos(amount),
        })
    };
    assert_eq!(answers(&mut desk), [("never", exhausted(101))]);
    // its end is not known: what waits can never be served either, and what is free always is
    desk.settle(by_whole(60), Settled::Keep);
    desk.ask(by_whole(0), "free");
    let told = answers(&mut desk);
    assert_eq!(told[0], ("waits", exhausted(50)));
    assert!(told[1].0 == "free" && told[1].1.is_ok());
    desk.ask(by_whole(40), "fits");
    assert_eq!(granted(&mut desk), ["fits"]);
}

#[test]
fn only_some_of_a_lane_hold_money_before_they_are_sent() {
    let mut desk = Desk::new(2);
    desk.open(purse(100));
    let other = Held {
        lane: Lane(1),
        ..by_whole(10)
    };
    for who in ["a", "b", "c", "d"] {
        desk.ask(by_whole(10), who);
    }
    desk.ask(other, "other lane");
    assert_eq!(granted(&mut desk), ["a", "b", "other lane"]);
    desk.sent(by_whole(10));
    assert_eq!(granted(&mut desk), ["c"]);
    // one that ends unsent makes room too
    desk.sent(by_whole(10));
    desk.settle(by_whole(10), Settled::Refund);
    assert_eq!(granted(&mut desk), ["d"]);
}

#[test]
fn a_surprise_of_the_provider_is_taken_as_the_truth() {
    let mut purse = Purse::new(Some(picos(100)), Usd::ZERO, true);
    assert_eq!(purse.raise(picos(60)), Some(picos(60)));
    assert_eq!(purse.room(picos(60)), Room::NotYet);
    purse.raised(true);
    assert_eq!(purse.room(picos(60)), Room::Yes);
    purse.hold(picos(60));
    purse.settle(picos(60), Settled::Cost(picos(130)));
    assert_eq!(purse.room(picos(1)), Room::Exhausted);
    assert_eq!(purse.snapshot().left(), Some(Usd::ZERO));
    // it is written down although it is beyond the cap
    assert_eq!(purse.raise(Usd::ZERO), Some(picos(130)));
}

#[test]
fn a_budget_without_a_cap_only_counts() {
    let mut purse = Purse::new(None, Usd::ZERO, true);
    assert_eq!(purse.room(Usd::MAX), Room::Yes);
    assert_eq!(purse.raise(Usd::MAX), None);
    purse.hold(picos(5));
    purse.settle(picos(5), Settled::Cost(picos(3)));
    assert_eq!(purse.snapshot().spent, picos(3));
    assert_eq!(purse.snapshot().left(), None);
}

#[test]
fn a_budget_that_is_closed_grants_nothing_beyond_what_was_written_last() {
    let mut purse = Purse::new(Some(picos(100)), Usd::ZERO, true);
    assert_eq!(purse.raise(picos(60)), Some(picos(60)));
    purse.raised(true);
    purse.hold(picos(20));
    purse.settle(picos(20), Settled::Cost(picos(5)));
    purse.hold(picos(10));
    assert_eq!(purse.room(picos(40)), Room::Yes);
    assert_eq!(purse.close(), picos(15));
    assert_eq!(purse.room(picos(1)), Room::NotYet);
}
