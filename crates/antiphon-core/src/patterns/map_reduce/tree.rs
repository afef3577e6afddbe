//! [`Tree`]: which texts are reduced together.

use std::ops::Range;

/// A tree over texts in their order: each node takes the next `fan_in` texts of the level below.
///
/// Its shape depends on the number of leaves alone, so a run that is resumed asks the same, whichever answer comes first;
/// and a node may begin when its own children are there, whatever the others do.
#[derive(Debug)]
pub(super) struct Tree<T> {
    levels: Vec<Vec<Option<T>>>,
    leaves: usize,
    fan_in: usize,
}

/// What a text that has come makes possible.
#[derive(Debug, PartialEq)]
pub(super) enum Step<T> {
    /// Its neighbours are missing.
    Wait,
    /// A node has all its children.
    Reduce(Node<T>),
    /// It is the root.
    Done(T),
}

/// A node whose children are there.
#[derive(Debug, PartialEq)]
pub(super) struct Node<T> {
    /// From 1; leaves are at 0.
    pub(super) level: usize,
    /// Its place in its level.
    pub(super) index: usize,
    /// Whether it is the last.
    pub(super) is_root: bool,
    /// The leaves below it.
    pub(super) leaves: Range<usize>,
    /// In order.
    pub(super) children: Vec<T>,
}

impl<T> Tree<T> {
    /// There is always a level above the leaves. `fan_in` is 2 at least.
    pub(super) fn new(leaves: usize, fan_in: usize) -> Self {
        let mut levels = Vec::new();
        let mut nodes = leaves;
        loop {
            levels.push((0..nodes).map(|_| None).collect());
            if nodes <= 1 && levels.len() > 1 {
                break;
            }
            nodes = nodes.div_ceil(fan_in);
        }
        Self {
            levels,
            leaves,
            fan_in,
        }
    }

    /// Puts a text in its place.
    pub(super) fn put(&mut self, level: usize, index: usize, text: T) -> Step<T> {
        if level + 1 == self.levels.len() {
            return Step::Done(text);
        }
        let places = &mut self.levels[level];
        places[index] = Some(text);
        let parent = index / self.fan_in;
        let end = places.len().min((parent + 1) * self.fan_in);
        let family = &mut places[parent * self.fan_in..end];
        if family.iter().any(Option::is_none) {
            return Step::Wait;
        }
        let children = family.iter_mut().filter_map(Option::take).collect();
        let power = u32::try_from(level + 1).unwrap_or(u32::MAX);
        let width = self.fan_in.saturating_pow(power);
        let leaves = parent * width..self.leaves.min((parent + 1).saturating_mul(width));
        Step::Reduce(Node {
            level: level + 1,
            index: parent,
            is_root: level + 2 == self.levels.len(),
            leaves,
            children,
        })
    }
}
