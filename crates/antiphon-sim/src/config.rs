//! How the simulated provider behaves.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use crate::FaultKind;

/// A setting that cannot be used, in words for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting(pub String);

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidSetting {}

/// How limits are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// A token bucket that refills evenly and holds ten seconds' worth of the limit (at least one request).
    ///
    /// Evenly paced callers may use all of the limit and lose some beats without a 429; a caller twice as fast is
    /// stopped after ten seconds. A bucket of a whole minute's worth, as vendors describe theirs, would let twice the
    /// limit through in its first minute, which is useless for proving that a limit is kept.
    #[default]
    Bucket,
    /// No more than the limit in any sliding 60 seconds.
    Minute,
}

impl FromStr for Window {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        match text {
            "bucket" => Ok(Self::Bucket),
            "minute" => Ok(Self::Minute),
            _ => Err(InvalidSetting(format!(
                "no window is called `{text}`: use `bucket` or `minute`"
            ))),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bucket => "bucket",
            Self::Minute => "minute",
        })
    }
}

/// A fault and the share of attempts that meet it, written `KIND=P` or, for one model, `KIND@MODEL=P`: `429=0.1`,
/// `reset=2%`, `500@large=100%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The only model that it happens to; `None` for all.
    pub model: Option<String>,
    /// The share of attempts, 0 to 1.
    pub probability: f64,
}

impl FromStr for Fault {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let (kind, share) = text.rsplit_once('=').ok_or_else(|| {
            InvalidSetting(format!(
                "`{text}` lacks its share of attempts: write KIND=P, for instance 429=0.1"
            ))
        })?;
        let (kind, model) = match kind.split_once('@') {
            Some((kind, model)) => (kind, Some(model.trim().to_owned())),
            None => (kind, None),
        };
        let kind = kind.trim().parse()?;
        let share = share.trim();
        let number = match share.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
            None => share.parse::<f64>(),
        };
        match number {
            Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(Self {
                kind,
                model,
                probability,
            }),
            _ => Err(InvalidSetting(format!(
                "`{share}` is not a share of attempts: write a number from 0 to 1, or 0% to 100%"
            ))),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(model) = &self.model {
            write!(f, "@{model}")?;
        }
        write!(f, "={}", self.probability)
    }
}

impl Fault {
    /// Whether attempts at this model can meet it.
    pub(crate) fn concerns(&self, model: &str) -> bool {
        self.model.as_deref().is_none_or(|only| only == model)
    }
}

/// A provider that is down altogether.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// Connections are accepted and closed without an answer.
    Close,
    /// Every call gets a 503.
    Unavailable,
}

/// How the simulated provider behaves. The default answers at once, without faults or limits.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// Time from a request to the end of its answer; a stream begins after a quarter of it.
    pub latency: Duration,
    /// Latencies vary evenly by this fraction up and down (0 to 1).
    pub jitter: f64,
    /// The share of calls that take ten times as long.
    pub tail: f64,
    /// Requests per minute, for each key and model.
    pub rpm: Option<u64>,
    /// Tokens per minute, input and output together, for each key and model.
    pub tpm: Option<u64>,
    /// How limits are enforced.
    pub window: Window,
    /// What goes wrong, and how often. Shares are of all attempts and add up to at most 1.
    pub fail: Vec<Fault>,
    /// Same seed, same answers and same faults.
    pub seed: u64,
    /// The share of arithmetic questions that get the common answer; the others get a near miss.
    pub accuracy: f64,
    /// Tokens that a request may hold; longer ones are refused as providers do.
    pub context_window: u64,
    /// The keys that are let in; `None` lets everybody in. The key `wrong` never is.
    pub keys: Option<Vec<String>>,
    /// Streams that one HTTP/2 connection may have open at once.
    pub max_streams: u32,
    /// Serve TLS, and write the self-signed certificate to this path, for `SSL_CERT_FILE`.
    pub tls_certificate: Option<PathBuf>,
    /// Keep the beginning of each distinct prompt in the ledger. Off, a prompt costs the ledger about 50 bytes.
    pub keep_prompts: bool,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: 0.0,
            tail: 0.0,
            rpm: None,
            tpm: None,
            window: Window::default(),
            fail: Vec::new(),
            seed: 0,
            accuracy: 0.9,
            context_window: 128_000,
            keys: None,
            max_streams: 100,
            tls_certificate: None,
            keep_prompts: false,
        }
    }
}

impl SimConfig {
    /// Says what cannot be meant.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let shares = [
            ("jitter", self.jitter),
            ("tail", self.tail),
            ("accuracy", self.accuracy),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(InvalidSetting(format!(
                    "{name} is {share}: it goes from 0 to 1"
                )));
            }
        }
        let failing = self.failing();
        // a sum of decimal shares misses 1 by rounding
        if failing.is_nan() || failing > 1.0 + 1e-9 {
            return Err(InvalidSetting(format!(
                "the shares of all faults add up to {failing}: together they cannot exceed 1"
            )));
        }
        for (name, limit) in [("rpm", self.rpm), ("tpm", self.tpm)] {
            if limit == Some(0) {
                return Err(InvalidSetting(format!(
                    "{name} is 0: no call would ever be let in"
                )));
            }
        }
        Ok(())
    }

    /// The share of attempts that meet a fault, at the model that meets the most.
    fn failing(&self) -> f64 {
        let at = |model: &str| {
            let faults = self.fail.iter().filter(|fault| fault.concerns(model));
            faults.map(|fault| fault.probability).sum::<f64>()
        };
        let models = self.fail.iter().filter_map(|fault| fault.model.as_deref());
        // no model is called by the empty name: it meets what all do
        models.chain([""]).map(at).fold(0.0, |most, share| {
            if share.is_nan() {
                share
            } else {
                share.max(most)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_as_kind_and_share() {
        let fault: Fault = "429=0.25".parse().unwrap();
        assert_eq!(
            (fault.kind, fault.probability),
            (FaultKind::Status(429), 0.25)
        );
        assert_eq!("reset=2%".parse::<Fault>().unwrap().probability, 0.02);
        assert_eq!(fault.to_string(), "429=0.25");
        let fault: Fault = "500@a/large=100%".parse().unwrap();
        assert!(fault.concerns("a/large") && !fault.concerns("large"));
        assert_eq!(fault.to_string(), "500@a/large=1");
        for (wrong, hint) in [
            ("reset", "KIND=P"),
            ("reset=2", "0 to 1"),
            ("reset=often", "0 to 1"),
            ("rezet=0.1", "`reset`"),
        ] {
            let said = wrong.parse::<Fault>().unwrap_err().to_string();
            assert!(said.contains(hint), "{said}");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let said = |config: SimConfig| config.check().unwrap_err().0;
        let fault: Fault = "reset=0.6".parse().unwrap();
        assert!(
            said(SimConfig {
                fail: vec![fault.clone(), fault.clone()],
                ..SimConfig::default()
            })
            .contains("1.2")
        );
        let of_one = |name: &str| format!("500@{name}=0.5").parse().unwrap();
        let config = SimConfig {
            fail: vec![fault, of_one("a")],
            ..SimConfig::default()
        };
        assert!(said(config).contains("1.1"));
        let apart = SimConfig {
            fail: vec![of_one("a"), of_one("b"), of_one("c")],
            ..SimConfig::default()
        };
        assert_eq!(apart.check(), Ok(()));
        assert!(
            said(SimConfig {
                jitter: 2.0,
                ..SimConfig::default()
            })
            .contains("jitter")
        );
        assert!(
            said(SimConfig {
                rpm: Some(0),
                ..SimConfig::default()
            })
            .contains("rpm")
        );
        assert_eq!(SimConfig::default().check(), Ok(()));
    }
}
