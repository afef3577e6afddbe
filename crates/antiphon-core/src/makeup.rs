//! [`Makeup`]: which plain models answer for a model, so that no two of them give each other's samples.

use std::collections::BTreeSet;

use crate::SharedModel;

/// The plain models behind a model, and how many samples of each a call may take.
///
/// A call with the sample number `s` takes samples of its plain models from `s * samples` up to, not including,
/// `(s + 1) * samples`. So calls with different numbers never take the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Makeup {
    models: BTreeSet<String>,
    samples: u32,
}

impl Makeup {
    /// A plain model, which gives the very sample that it is asked for.
    pub fn plain(name: &str) -> Self {
        Self {
            models: BTreeSet::from([name.to_owned()]),
            samples: 1,
        }
    }

    /// A model made of several, each asked with samples of its own.
    pub fn of<'a>(models: impl IntoIterator<Item = &'a SharedModel>) -> Self {
        let (shares, models) = Shares::with_models(models);
        let samples = shares.slots.saturating_mul(shares.block);
        Self { models, samples }
    }
}

/// The sample numbers of several models that are asked the same. Where some share a plain model they take turns in blocks
/// of numbers; else each sees the number of the request, so that its cached answers are found. The first model always does
/// for a request of number 0.
#[derive(Debug)]
pub(crate) struct Shares {
    /// For each model its slot and the numbers it takes of a block.
    each: Vec<(u32, u32)>,
    slots: u32,
    block: u32,
}

impl Shares {
    pub(crate) fn of<'a>(models: impl IntoIterator<Item = &'a SharedModel>) -> Self {
        Self::with_models(models).0
    }

    fn with_models<'a>(
        models: impl IntoIterator<Item = &'a SharedModel>,
    ) -> (Self, BTreeSet<String>) {
        // the plain models of each slot
        let mut slots: Vec<BTreeSet<String>> = Vec::new();
        let (mut each, mut block) = (Vec::new(), 1);
        for model in models {
            let makeup = model.makeup();
            let samples = makeup.samples.max(1);
            let is_free = |taken: &BTreeSet<String>| taken.is_disjoint(&makeup.models);
            let slot = slots.iter().position(is_free).unwrap_or(slots.len());
            match slots.get_mut(slot) {
                Some(taken) => taken.extend(makeup.models),
                None => slots.push(makeup.models),
            }
            each.push((u32::try_from(slot).unwrap_or(u32::MAX), samples));
            block = least_common_multiple(block, samples);
        }
        let shares = Self {
            each,
            slots: u32::try_from(slots.len()).unwrap_or(u32::MAX).max(1),
            block,
        };
        (shares, slots.into_iter().flatten().collect())
    }

    /// The number for the model at `index` of a request with this one.
    pub(crate) fn sample(&self, request: u32, index: usize) -> u32 {
        let (slot, samples) = self.each[index];
        let block = request.wrapping_mul(self.slots).wrapping_add(slot);
        block.wrapping_mul(self.block / samples)
    }
}

fn least_common_multiple(one: u32, other: u32) -> u32 {
    let (mut divisor, mut rest) = (one, other);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (one / divisor.max(1)).saturating_mul(other)
}
