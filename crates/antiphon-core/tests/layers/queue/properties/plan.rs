//! What may happen to calls, at random.

use antiphon_core::layers::queue::OnFailure;
use proptest::prelude::*;

/// How a call ends at the client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Answer,
    Stream,
    /// A stream that breaks after its first piece.
    Break,
    Fail,
    /// The peer is gone.
    Gone,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) group: usize,
    /// Milliseconds until it is made.
    pub(super) after: u32,
    /// Milliseconds that each step of it takes.
    pub(super) takes: u32,
    pub(super) fate: Fate,
    /// Its caller gives it up after so many milliseconds.
    pub(super) patience: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) policy: OnFailure,
    pub(super) calls: Vec<Call>,
    /// Limits, one after the other with each event.
    pub(super) limits: Vec<u32>,
    /// Milliseconds after which calls are taken back, with the number of those that are.
    pub(super) taken_back: Vec<(u32, usize)>,
    pub(super) resets: Vec<u32>,
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let fate = prop_oneof![
        8 => Just(Fate::Answer),
        4 => Just(Fate::Stream),
        1 => Just(Fate::Break),
        1 => Just(Fate::Fail),
        1 => prop::bool::weighted(0.3).prop_map(|gone| if gone { Fate::Gone } else { Fate::Fail }),
    ];
    let patience = prop::option::weighted(0.3, 0..40_u32);
    (0..3_usize, 0..30_u32, 0..10_u32, fate, patience).prop_map(
        |(group, after, takes, fate, patience)| Call {
            group,
            after,
            takes,
            fate,
            patience,
        },
    )
}

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    let policy = prop_oneof![
        Just(OnFailure::Isolate),
        Just(OnFailure::Poison),
        Just(OnFailure::SkipGroup),
    ];
    let limits = prop::collection::vec(1..5_u32, 1..6);
    let taken_back = prop::collection::vec((1..60_u32, 1..4_usize), 0..4);
    let resets = prop::collection::vec(1..60_u32, 0..2);
    let calls = prop::collection::vec(call(), 1..25);
    (policy, calls, limits, taken_back, resets).prop_map(
        |(policy, calls, limits, mut taken_back, resets)| {
            taken_back.sort_unstable();
            Plan {
                policy,
                calls,
                limits,
                taken_back,
                resets,
            }
        },
    )
}
