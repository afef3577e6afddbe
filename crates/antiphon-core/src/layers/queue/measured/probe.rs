//! [`Probe`]: more calls at once than were shown to work, and what came of them.

use std::collections::VecDeque;

use super::{super::bearing::Turn, company::Was, sample::Took};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Out,
    /// It was answered.
    Took(Took, Crowd),
    /// It says nothing of times: it failed or was given up.
    Void,
}

/// How long calls were out, and how long a client that handles fewer at once would have handled them; seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Crowd {
    out: f64,
    handled: f64,
}

/// A width that is tried.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) width: u32,
    /// What forbids this width has been seen so often.
    pub(super) strikes: u32,
    /// Calls that ended in a way that says something of the client, and how many of them failed; also before a rest.
    pub(super) ended: usize,
    pub(super) failed: usize,
    /// Calls in the order of their start, from the first that is out on.
    calls: VecDeque<(Turn, Fate)>,
    /// What those before it took.
    times: Vec<Took>,
    crowd: Crowd,
}

impl Probe {
    pub(super) fn of(width: u32) -> Self {
        Self {
            width,
            strikes: 0,
            ended: 0,
            failed: 0,
            calls: VecDeque::new(),
            times: Vec::new(),
            crowd: Crowd::default(),
        }
    }

    /// The most calls that a client handles at once for which this width is too much: the last good width, or three
    /// quarters of this one where that is more. With so many the client is the worse for it by a third at least.
    pub(super) fn too_few(&self, good: u32) -> u32 {
        good.max((3 * self.width).div_ceil(4)).min(self.width - 1)
    }

    /// The same once more. Of times nothing is kept.
    pub(super) fn again(mut self) -> Self {
        self.calls.clear();
        self.times.clear();
        self.crowd = Crowd::default();
        self
    }

    pub(super) fn started(&mut self, turn: Turn) {
        self.calls.push_back((turn, Fate::Out));
    }

    pub(super) fn answered(&mut self, turn: Turn, was: &Was) {
        self.ended += 1;
        let crowd = Crowd {
            out: was.took.as_secs_f64(),
            handled: was.handled,
        };
        self.end(turn, Fate::Took(Took::of(was.took), crowd));
    }

    pub(super) fn failed(&mut self, turn: Turn) {
        self.ended += 1;
        self.failed += 1;
        self.end(turn, Fate::Void);
    }

    /// The call says nothing.
    pub(super) fn void(&mut self, turn: Turn) {
        self.end(turn, Fate::Void);
    }

    fn end(&mut self, turn: Turn, fate: Fate) {
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.0 == turn) {
            call.1 = fate;
        }
        while let Some((_, fate)) = self.calls.front()
            && *fate != Fate::Out
        {
            if let Fate::Took(took, crowd) = fate {
                self.times.push(*took);
                self.crowd.out += crowd.out;
                self.crowd.handled += crowd.handled;
            }
            self.calls.pop_front();
        }
    }

    /// How long its calls took. Those that started after the first that is out still are left out: of calls that started
    /// together the quick ones end first, and they alone would say too much good of the client.
    pub(super) fn times(&self) -> &[Took] {
        &self.times
    }

    /// How many times as long as alone that would be for a client that handles too few at once.
    pub(super) fn longer(&self) -> f64 {
        match self.crowd.handled > 0.0 {
            true => self.crowd.out / self.crowd.handled,
            false => 1.0,
        }
    }
}
