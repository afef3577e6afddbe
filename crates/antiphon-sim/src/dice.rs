//! Chance that is a function of its circumstances: the same attempt meets the same fate on every run.

use antiphon_core::Fingerprint;
use fastrand::Rng;

/// What a draw is for. Draws of different purposes are independent of each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// What is said.
    Answer = 1,
    /// Whether an attempt fails, how long it takes and where it breaks.
    Attempt = 2,
}

/// The dice for this seed, prompt and number (of the choice within an answer, or of the attempt).
pub(crate) fn dice(seed: u64, purpose: Purpose, prompt: &Fingerprint, number: u64) -> Rng {
    let mut circumstances = [0; 33];
    circumstances[..8].copy_from_slice(&seed.to_le_bytes());
    circumstances[8] = purpose as u8;
    circumstances[9..25].copy_from_slice(prompt.as_bytes());
    circumstances[25..].copy_from_slice(&number.to_le_bytes());
    let hash = blake3::hash(&circumstances);
    let mut start = [0; 8];
    start.copy_from_slice(&hash.as_bytes()[..8]);
    Rng::with_seed(u64::from_le_bytes(start))
}

/// One of several; `None` of none.
pub(crate) fn pick<'a, T>(rng: &mut Rng, items: &'a [T]) -> Option<&'a T> {
    match items {
        [] => None,
        _ => items.get(rng.usize(..items.len())),
    }
}
