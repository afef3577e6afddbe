//! Kills a run again and again, at moments drawn from a seed.

use std::time::{Duration, Instant};

use crate::{Antiphon, Ended, Running, Sim};

/// When a run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillAt {
    /// This long after its start.
    Elapsed(Duration),
    /// When the provider has handed over this many answers since the start.
    Answers(u64),
}

/// Draws the moments. The same seed draws the same ones.
#[derive(Debug)]
pub struct CrashDriver {
    dice: fastrand::Rng,
    /// The longest time from start to kill.
    longest: Duration,
    /// The most answers from start to kill.
    most_answers: u64,
    kills: u64,
}

impl CrashDriver {
    /// Kills within `longest` of a start, or within `most_answers`: half of the times each.
    pub fn new(seed: u64, longest: Duration, most_answers: u64) -> Self {
        Self {
            dice: fastrand::Rng::with_seed(seed),
            longest,
            most_answers: most_answers.max(1),
            kills: 0,
        }
    }

    /// Kills that hit a living process so far.
    pub fn kills(&self) -> u64 {
        self.kills
    }

    /// The moment of the next kill.
    pub fn draw(&mut self) -> KillAt {
        if self.dice.bool() {
            let longest = u64::try_from(self.longest.as_micros()).unwrap_or(u64::MAX);
            KillAt::Elapsed(Duration::from_micros(self.dice.u64(0..=longest)))
        } else {
            KillAt::Answers(self.dice.u64(1..=self.most_answers))
        }
    }

    /// Starts the command and kills it at the next moment. `None` where the kill hit; how it ended where it was faster.
    pub fn crash(&mut self, command: Antiphon, sim: &Sim) -> Option<Ended> {
        let moment = self.draw();
        let before = sim.books().answered();
        let started = Instant::now();
        let mut running = command.start();
        running.until(|_| match moment {
            KillAt::Elapsed(longest) => started.elapsed() >= longest,
            KillAt::Answers(answers) => sim.books().answered() >= before + answers,
        });
        self.end(running)
    }

    fn end(&mut self, mut running: Running) -> Option<Ended> {
        if running.kill() {
            self.kills += 1;
            return None;
        }
        Some(running.wait())
    }
}

/// The seed of this test run, printed so that a failure can be repeated: `ANTIPHON_SEED`, a new one for
/// `ANTIPHON_SEED=random`, else always the same, so that a change is judged by the change.
#[allow(
    clippy::print_stderr,
    reason = "a test runner shows it for a failing test"
)]
pub fn seed() -> u64 {
    let random = std::env::var("ANTIPHON_SEED").is_ok_and(|seed| seed == "random");
    let seed = if random {
        fastrand::u64(..)
    } else {
        number("ANTIPHON_SEED").unwrap_or(1)
    };
    eprintln!("ANTIPHON_SEED={seed}");
    seed
}

/// `ANTIPHON_KILLS`, else the short form's number.
pub fn kills(short: u64) -> u64 {
    number("ANTIPHON_KILLS").unwrap_or(short)
}

/// `ANTIPHON_ROWS`, else the short form's number.
pub fn rows(short: u64) -> u64 {
    number("ANTIPHON_ROWS").unwrap_or(short)
}

/// `ANTIPHON_WRITES`, else the short form's number.
pub fn writes(short: u64) -> u64 {
    number("ANTIPHON_WRITES").unwrap_or(short)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}
