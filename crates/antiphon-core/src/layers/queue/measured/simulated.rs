//! Clients that are simulated, with calls enough for them, moment by moment.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{ClientName, Measured, Verdict, Verdicts, WIDEST};
use crate::{
    Dice, ErrorKind, Moment,
    layers::queue::bearing::{Bearing, Ending, Turn},
};

/// What goes wrong with so many calls at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// A call that comes when so many are there fails.
    Breaks(usize),
    /// Nothing is answered any more until all of them are taken back.
    Deadlocks(usize),
    /// When a call comes to others, the one before it is never answered.
    Loses(usize),
    /// A call is answered as the one before it.
    Crosses(usize),
}

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conduct {
    /// Calls that it handles at once; more wait.
    pub(super) capacity: usize,
    /// Seconds that it takes for a call at least, and by what factor it may take longer.
    pub(super) seconds: f64,
    pub(super) scatter: f64,
    pub(super) flaw: Flaw,
    /// One call in so many fails whatever else is there.
    pub(super) fails: Option<u64>,
    /// One answer in so many is an apology, the same each time.
    pub(super) apologises: Option<u64>,
    /// From this second on it does nothing, for so many seconds.
    pub(super) absent: Option<(f64, f64)>,
}

impl Conduct {
    pub(super) fn of(capacity: usize) -> Self {
        Self {
            capacity,
            seconds: 1.0,
            scatter: 3.0,
            flaw: Flaw::None,
            fails: None,
            apologises: None,
            absent: None,
        }
    }
}

/// Verdicts in memory.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<ClientName, Verdict>>);

impl Verdicts for Memory {
    fn known(&self, client: &ClientName) -> Option<Verdict> {
        self.0.lock().unwrap().get(client).copied()
    }

    fn learned(&self, client: &ClientName, verdict: Verdict) {
        self.0.lock().unwrap().insert(client.clone(), verdict);
    }
}

pub(super) fn name(version: &str) -> ClientName {
    ClientName {
        name: "simulated".to_owned(),
        version: version.to_owned(),
    }
}

#[derive(Clone, Copy, Debug)]
struct Inside {
    turn: Turn,
    asked: u64,
    /// What it will be answered, if anything.
    answer: Option<u64>,
    fails: bool,
    /// When the client is ready with it, once it has begun.
    ready: Option<Moment>,
}

/// What was seen of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) answered: usize,
    /// Answers to other questions than were asked.
    pub(super) wrong: usize,
    pub(super) failed: usize,
    pub(super) asked_again: usize,
    /// The most often that one of them was.
    pub(super) most_again: u32,
    /// The most that were out at once.
    pub(super) peak: usize,
    pub(super) took: Duration,
}

/// A client with a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) measured: Measured,
    conduct: Conduct,
    dice: Dice,
    now: Moment,
    turn: Turn,
    /// Questions that wait.
    waiting: VecDeque<u64>,
    inside: Vec<Inside>,
    is_stuck: bool,
    /// How often questions were asked again.
    again: HashMap<u64, u32>,
    /// Widths that were shown to work.
    worked: HashSet<u32>,
    pub(super) seen: Seen,
}

impl Session {
    pub(super) fn new(conduct: Conduct, seed: u64, memory: &Arc<Memory>, version: &str) -> Self {
        let measured = Measured::new(name(version), memory.clone());
        Self {
            worked: HashSet::from([measured.verdict().width.get()]),
            measured,
            conduct,
            dice: Dice::seeded(seed),
            now: Moment::ZERO,
            turn: 0,
            waiting: VecDeque::new(),
            inside: Vec::new(),
            is_stuck: false,
            again: HashMap::new(),
            seen: Seen::default(),
        }
    }

    /// So many calls, made at once, to the end of the last.
    pub(super) fn calls(&mut self, count: u64) -> Seen {
        let begin = self.now;
        self.seen = Seen::default();
        let first = (self.dice.unit() * 1e15) as u64;
        self.waiting.extend(first..first + count);
        while !self.waiting.is_empty() || !self.inside.is_empty() {
            self.let_out();
            self.step();
        }
        self.seen.took = self.now.since(begin);
        self.seen
    }

    /// From now on every call takes so many times as long.
    pub(super) fn slow_down(&mut self, times: f64) {
        self.conduct.seconds *= times;
    }

    fn one_in(&self, many: Option<u64>) -> bool {
        many.is_some_and(|many| self.dice.unit() * (many as f64) < 1.0)
    }

    fn let_out(&mut self) {
        while self.inside.len() < self.measured.limit().get() as usize {
            let Some(asked) = self.waiting.pop_front() else {
                break;
            };
            self.turn += 1;
            let before = self.inside.len();
            let apology = self.one_in(self.conduct.apologises);
            let fails = self.one_in(self.conduct.fails);
            let mut call = Inside {
                turn: self.turn,
                asked,
                answer: Some(if apology { 7 } else { asked }),
                fails,
                ready: None,
            };
            match self.conduct.flaw {
                Flaw::Breaks(from) if before + 1 >= from => call.fails = true,
                Flaw::Deadlocks(from) if before + 1 >= from => self.is_stuck = true,
                Flaw::Loses(from) if before + 1 >= from => self.inside[before - 1].answer = None,
                Flaw::Crosses(from) if before + 1 >= from => {
                    call.answer = self.inside[before - 1].answer;
                }
                _ => {}
            }
            self.inside.push(call);
            self.seen.peak = self.seen.peak.max(before + 1);
            let wanted = self.inside.len() + self.waiting.len();
            self.measured.started(self.turn, wanted, self.now);
            self.check();
        }
    }

    /// Until the next call is ready, or silence has to be looked at.
    fn step(&mut self) {
        self.begin();
        let ready = self.inside.iter().filter_map(|call| call.ready).min();
        let look = self.measured.look_at();
        let next = ready.into_iter().chain(look).min();
        self.now = next
            .expect("calls are out and nobody will ever hear of them")
            .max(self.now);
        if look.is_some_and(|look| look <= self.now) {
            let taken = self.measured.withdrawn(self.now);
            self.take_back(&taken);
            return self.check();
        }
        let is_ready = |call: &Inside| call.ready.is_some_and(|ready| ready <= self.now);
        let Some(index) = self.inside.iter().position(is_ready) else {
            return;
        };
        let call = self.inside.remove(index);
        self.end(&call);
        self.check();
    }

    /// The client begins with what it can.
    fn begin(&mut self) {
        if self.is_stuck {
            self.inside.iter_mut().for_each(|call| call.ready = None);
            return;
        }
        let mut handled = 0;
        for index in 0..self.inside.len() {
            if self.inside[index].answer.is_none() {
                self.inside[index].ready = None;
                continue;
            }
            handled += 1;
            if handled > self.conduct.capacity {
                break;
            }
            if self.inside[index].ready.is_none() {
                let mut seconds =
                    self.conduct.seconds * self.conduct.scatter.powf(self.dice.unit());
                if self.inside[index].fails {
                    seconds *= 0.1;
                }
                let ready = self.now.since_start().as_secs_f64() + seconds;
                let away = self.conduct.absent.filter(|(from, _)| ready >= *from);
                let until = away.map_or(0.0, |(from, long)| from + long);
                self.inside[index].ready = Some(Moment::after_start(Duration::from_secs_f64(
                    ready.max(until),
                )));
            }
        }
    }

    fn end(&mut self, call: &Inside) {
        let kind = ErrorKind::ServerError;
        let ending = match call.answer {
            Some(answer) if !call.fails => {
                self.seen.answered += 1;
                self.seen.wrong += usize::from(answer != call.asked && answer != 7);
                Ending::Answered {
                    asked: call.asked,
                    answer,
                    bytes: 400,
                }
            }
            _ if self.measured.excuses(call.turn, kind, self.now) => {
                return self.ask_again(call.asked);
            }
            _ => {
                self.seen.failed += 1;
                Ending::Failed(kind)
            }
        };
        self.measured.ended(call.turn, ending, self.now);
    }

    fn ask_again(&mut self, asked: u64) {
        let again = self.again.entry(asked).or_default();
        *again += 1;
        self.seen.most_again = self.seen.most_again.max(*again);
        self.seen.asked_again += 1;
        self.waiting.push_front(asked);
    }

    fn take_back(&mut self, taken: &[Turn]) {
        let (back, rest) = self
            .inside
            .iter()
            .copied()
            .partition(|call| taken.contains(&call.turn));
        self.inside = rest;
        let back: Vec<Inside> = back;
        assert_eq!(
            back.len(),
            taken.len(),
            "calls are taken back that are not out"
        );
        back.iter()
            .rev()
            .for_each(|call| self.ask_again(call.asked));
        if self.inside.is_empty() {
            self.is_stuck = false;
        }
    }

    /// Holds whatever happens: no width that was refused, and none beyond twice what worked.
    fn check(&mut self) {
        let (limit, verdict) = (self.measured.limit().get(), self.measured.verdict());
        self.worked.insert(verdict.width.get());
        let widest = self.worked.iter().max().copied().unwrap_or(1);
        assert!(limit <= (2 * widest).min(WIDEST), "{limit} after {widest}");
        if let Some(refused) = verdict.refused {
            assert!(limit < refused.width.get(), "{limit} out, {refused:?}");
        }
    }
}
