//! What is made of a probe: [`Measured::weigh`] its times, [`Measured::strike`] when it fails, [`Measured::doubt`] when
//! answers are missing or mixed up.

use std::num::NonZeroU32;

use super::{
    AFTER_SILENCE, LONG_REST, Measured, REST,
    probe::Probe,
    sample::{Finding, compare},
    stage::{Alone, Rest, Stage, Suspicion},
    verdict::{ClientName, Reason, Refused, Verdict},
};

impl Measured {
    /// Compares the probe with the calls at the last good width, or ends a rest.
    pub(super) fn weigh(&mut self) {
        let good = self.good();
        let stage = std::mem::replace(&mut self.stage, Stage::Steady);
        self.stage = match stage {
            Stage::Probe(probe) => {
                let finding = compare(
                    &self.alone.times,
                    probe.times(),
                    probe.longer(),
                    probe.width,
                );
                match finding {
                    Finding::Starved => Stage::Steady,
                    Finding::Open => Stage::Probe(probe),
                    Finding::Unknown => Stage::Rest(Rest {
                        width: good,
                        left: self.alone.times.len(),
                        probe,
                        suspicion: None,
                    }),
                    Finding::Parallel => {
                        self.accept(&probe);
                        Stage::Steady
                    }
                    Finding::Waiting => {
                        self.stage = Stage::Probe(probe);
                        return self.strike(Reason::NoGain);
                    }
                }
            }
            Stage::Rest(rest) if rest.left == 0 => {
                let reason = rest.suspicion.as_ref().map(|suspicion| suspicion.reason);
                self.stage = Stage::Rest(rest);
                match reason {
                    Some(Reason::Breaks) if self.fails_alone() => return self.acquit(),
                    Some(_) => Stage::Steady,
                    None => return self.go_on(),
                }
            }
            stage => stage,
        };
    }

    fn accept(&mut self, probe: &Probe) {
        let times = probe.times().iter();
        times.for_each(|took| self.alone.times.push(*took));
        let width = NonZeroU32::new(probe.width).unwrap_or(NonZeroU32::MIN);
        let refused = self.verdict.refused;
        self.tell(Verdict { width, refused });
    }

    /// Lets so many calls out from now on.
    pub(super) fn begin(&mut self, probe: Probe) {
        self.company.suppose(probe.too_few(self.good()));
        self.stage = Stage::Probe(probe);
    }

    /// Something speaks against the width of the probe: twice forbids it.
    pub(super) fn strike(&mut self, reason: Reason) {
        let good = self.good();
        let Stage::Probe(mut probe) = std::mem::replace(&mut self.stage, Stage::Steady) else {
            return;
        };
        if probe.strikes > 0 {
            return match reason {
                Reason::Breaks => self.suspect(reason, probe),
                _ => self.refuse(good, probe.width, reason),
            };
        }
        probe.strikes += 1;
        if reason == Reason::NoGain {
            // the client, its model or the questions may have become slower meanwhile
            self.alone.times.clear();
        }
        self.stage = Stage::Rest(Rest {
            width: good,
            left: REST,
            probe: probe.again(),
            suspicion: None,
        });
    }

    fn refuse(&mut self, good: u32, width: u32, reason: Reason) {
        let refused = NonZeroU32::new(width).map(|width| Refused { width, reason });
        let width = NonZeroU32::new(good).unwrap_or(NonZeroU32::MIN);
        self.tell(Verdict { width, refused });
    }

    /// Answers are missing or mixed up. Nothing is tried before it is known whether that happens alone too.
    pub(super) fn doubt(&mut self, reason: Reason) {
        match std::mem::replace(&mut self.stage, Stage::Steady) {
            Stage::Rest(mut rest) if rest.suspicion.is_some() => {
                if reason == Reason::Deadlock {
                    // it may be silent for long: whoever is out alone is not taken back again and again
                    rest.width = 1;
                }
                self.stage = Stage::Rest(rest);
            }
            Stage::Probe(probe) | Stage::Rest(Rest { probe, .. }) if probe.strikes > 0 => {
                self.refuse(self.good(), probe.width, reason);
            }
            Stage::Probe(probe) | Stage::Rest(Rest { probe, .. }) => self.suspect(reason, probe),
            // what was good is so no more
            Stage::Steady if self.good() > 1 => self.suspect(reason, Probe::of(self.good())),
            Stage::Steady => {}
        }
    }

    /// Forbids the width of the probe, unless the same happens at the last good one.
    fn suspect(&mut self, reason: Reason, mut probe: Probe) {
        let before = self.verdict;
        let good = match probe.width > self.good() {
            true => self.good(),
            false => 1,
        };
        let telling = (3 * probe.ended).clamp(*LONG_REST.start(), *LONG_REST.end());
        let (width, left) = match reason {
            Reason::CrossTalk => (1, telling),
            Reason::Breaks => (good, telling),
            _ => (good, AFTER_SILENCE),
        };
        let suspicion = Suspicion {
            reason,
            before,
            slow: self.patience() / 2,
        };
        self.refuse(good, probe.width, reason);
        probe.strikes += 1;
        self.stage = Stage::Rest(Rest {
            width,
            left,
            probe: probe.again(),
            suspicion: Some(suspicion),
        });
    }

    /// What was suspected happens at the last good width too: the verdict is taken back and the probe goes on.
    pub(super) fn acquit(&mut self) {
        let Stage::Rest(rest) = std::mem::replace(&mut self.stage, Stage::Steady) else {
            return;
        };
        let Some(suspicion) = rest.suspicion else {
            return;
        };
        self.tell(suspicion.before);
        let mut probe = rest.probe;
        if suspicion.reason == Reason::Breaks {
            probe.strikes = 0;
        }
        if probe.width > self.good() {
            self.begin(probe);
        }
    }

    /// The probe goes on after a rest.
    fn go_on(&mut self) {
        if let Stage::Rest(rest) = std::mem::replace(&mut self.stage, Stage::Steady) {
            self.begin(rest.probe);
        }
    }

    /// Whether calls fail at the last good width too: a fourth as often is enough.
    pub(super) fn fails_alone(&mut self) -> bool {
        let Alone { ended, failed, .. } = self.alone;
        let probe = self.stage.probe();
        probe.is_some_and(|probe| 4 * failed * probe.ended >= probe.failed * ended.max(1))
    }

    fn tell(&mut self, verdict: Verdict) {
        self.verdict = verdict;
        let ClientName { name, version } = &self.client;
        tracing::info!(name, version, "this client {verdict}");
        self.verdicts.learned(&self.client, verdict);
    }
}
