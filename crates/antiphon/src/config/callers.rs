//! `[[keys]]`: who may call the gateway, and what they may.

use std::{collections::BTreeMap, fmt};

use antiphon_core::Usd;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{file::ConfigError, file::limit};
use crate::env::Lookup;

/// The longest name of a key, in bytes: it becomes part of a file's name.
const LONGEST_NAME: usize = 64;
/// Fewer characters can be guessed.
const SHORTEST_KEY: usize = 16;

/// A key of the gateway: whose it is, and what it may. The key itself never stands in a file.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct KeySettings {
    /// Whose it is.
    pub name: String,
    /// The variable that holds the key.
    pub key_env: Option<String>,
    /// SHA-256 of the key, in place of a variable.
    #[serde(default)]
    pub key_sha256: Option<KeyHash>,
    /// Models that it may ask, names or beginnings that end in `*`; `None`: all.
    #[serde(default, deserialize_with = "models")]
    pub models: Option<Vec<String>>,
    /// Requests per minute.
    #[serde(default, deserialize_with = "limit")]
    pub rpm: Option<u64>,
    /// Tokens per minute.
    #[serde(default, deserialize_with = "limit")]
    pub tpm: Option<u64>,
    /// The most that its calls of a day (UTC) may cost.
    #[serde(default, deserialize_with = "budget")]
    pub budget_usd_per_day: Option<Usd>,
    /// Whether it may see the dashboard and the metrics.
    #[serde(default)]
    pub admin: bool,
    /// File and line where it begins.
    #[serde(skip)]
    pub place: String,
}

/// SHA-256 of a key. It is shown nowhere: a short key could be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let text = String::deserialize(text)?;
        // the text is not shown: somebody may have put the key itself here
        let wrong = || {
            D::Error::custom(
                "invalid hash: SHA-256 has 64 hexadecimal digits; `antiphon keys new` prints it",
            )
        };
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| Some(digit.to_digit(16)? as u8))
            .collect();
        let digits = digits.filter(|digits| digits.len() == 64);
        let pairs = digits.ok_or_else(wrong)?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(pairs.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(hash))
    }
}

fn models<'de, D: Deserializer<'de>>(list: D) -> Result<Option<Vec<String>>, D::Error> {
    let models = Vec::<String>::deserialize(list)?;
    match models.is_empty() {
        true => Err(D::Error::custom(
            "invalid list: it names no model, so the key could ask nothing; leave it out for all",
        )),
        false => Ok(Some(models)),
    }
}

fn budget<'de, D: Deserializer<'de>>(dollars: D) -> Result<Option<Usd>, D::Error> {
    let dollars = f64::deserialize(dollars)?;
    let amount = Usd::from_f64(dollars).filter(|amount| *amount > Usd::ZERO);
    let wrong = || {
        let message = format!(
            "invalid budget: {dollars} is no amount that something can be bought for; leave it out for none"
        );
        D::Error::custom(message)
    };
    amount.map(Some).ok_or_else(wrong)
}

impl KeySettings {
    /// Refuses what is wrong with it by itself.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |words: String| Err(ConfigError(format!("{}: {words}", self.place)));
        let name = &self.name;
        if name.trim() != name || name.is_empty() || name.len() > LONGEST_NAME {
            return refuse(format!(
                "the name of a key has 1 to {LONGEST_NAME} bytes and no blanks around it"
            ));
        }
        if name.chars().any(char::is_control) {
            return refuse("the name of a key has no control characters".to_owned());
        }
        match (&self.key_env, &self.key_sha256) {
            (None, None) => refuse(format!(
                "the key {name:?} has neither `key_env` nor `key_sha256`; `antiphon keys new` makes one"
            )),
            (Some(_), Some(_)) => refuse(format!(
                "the key {name:?} has both `key_env` and `key_sha256`: leave one out"
            )),
            _ => Ok(()),
        }
    }

    /// The key that its variable holds, where it has one.
    ///
    /// # Errors
    /// The variable is not set, or what it holds is no key that a client could send, or one that could be guessed.
    pub fn key(&self, env: Lookup<'_>) -> Result<Option<String>, ConfigError> {
        let Some(variable) = &self.key_env else {
            return Ok(None);
        };
        let (place, name) = (&self.place, &self.name);
        let refuse = |words: &str| {
            let message = format!("{place}: the key {name:?}: {variable} {words}");
            Err(ConfigError(message))
        };
        let Some(key) = env(variable) else {
            return refuse("is not set; set it, or take the key out of the configuration");
        };
        let key = key.trim();
        if !key.chars().all(|char| char.is_ascii_graphic()) {
            return refuse("holds characters that no client can send in a header");
        }
        if key.len() < SHORTEST_KEY {
            return refuse(&format!(
                "holds fewer than {SHORTEST_KEY} characters, which can be guessed; `antiphon keys new` makes a key"
            ));
        }
        Ok(Some(key.to_owned()))
    }
}

/// Refuses keys of one file that cannot stand beside each other.
pub(super) fn check_all(keys: &[KeySettings]) -> Result<(), ConfigError> {
    let mut names: BTreeMap<&str, &KeySettings> = BTreeMap::new();
    for key in keys {
        key.check()?;
        if let Some(first) = names.insert(&key.name, key) {
            let (place, name, first) = (&key.place, &key.name, &first.place);
            let message = format!("{place}: the key {name:?} stands at {first} already");
            return Err(ConfigError(message));
        }
    }
    Ok(())
}

/// Lays keys over others: one of the same name takes the place of the other.
pub(super) fn merge(under: &mut Vec<KeySettings>, over: Vec<KeySettings>) {
    under.retain(|key| !over.iter().any(|other| other.name == key.name));
    under.extend(over);
}

#[cfg(test)]
mod tests {
    use crate::Config;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn fails(text: &str) -> String {
        Config::from_toml(text).unwrap_err().0
    }

    fn with(lines: &str) -> String {
        format!("\n[[keys]]\nname = \"a\"\nkey_env = \"A\"\n{lines}\n")
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, told) in [
            (
                with("budget_usd = 3"),
                "configuration:5: unknown key `keys.a.budget_usd`",
            ),
            (
                with(&format!("key_sha256 = \"{HASH}\"")),
                "configuration:2: the key \"a\" has both",
            ),
            (
                with("model = []"),
                "unknown key `keys.a.model`; did you mean `models`?",
            ),
            (
                "[[keys]]\nname = \"a\"".to_owned(),
                "configuration:1: the key \"a\" has neither",
            ),
            (
                "[[keys]]\nkey_env = \"A\"".to_owned(),
                "configuration:1: missing field `name`",
            ),
            (
                with("[[keys]]\nname = \"a\"\nkey_env = \"B\""),
                "configuration:5: the key \"a\" stands at configuration:2 already",
            ),
            (
                with("budget_usd_per_day = -1"),
                "configuration:5: `keys.a.budget_usd_per_day`: invalid budget: -1",
            ),
            (
                with("budget_usd_per_day = 0"),
                "configuration:5: `keys.a.budget_usd_per_day`: invalid budget: 0",
            ),
            (with("budget_usd_per_day = nan"), "invalid budget"),
            (with("rpm = 0"), "configuration:5: "),
            (with("rpm = -4"), "configuration:5: "),
            (
                with("models = []"),
                "configuration:5: `keys.a.models`: invalid list",
            ),
            (with("models = \"x\""), "configuration:5: "),
            (with("admin = 1"), "configuration:5: "),
            ("[keys]\nname = \"a\"".to_owned(), "configuration:1: "),
            ("keys = 3".to_owned(), "configuration:1: "),
            ("keys = [3]".to_owned(), "configuration:1: "),
            (
                "[[keys]]\nname = \"\"\nkey_env = \"A\"".to_owned(),
                "configuration:1: the name of a key",
            ),
        ] {
            let error = fails(&text);
            assert!(error.contains(told), "{text}\n{error}");
        }
    }

    #[test]
    fn a_bad_hash_is_told_and_never_shown() {
        for bad in [
            "secret-key-of-somebody",
            &HASH[1..],
            &HASH.replace('9', "g"),
            "",
        ] {
            let error = fails(&format!("[[keys]]\nname = \"a\"\nkey_sha256 = \"{bad}\"\n"));
            assert!(
                error.starts_with("configuration:3: `keys.a.key_sha256`: invalid hash"),
                "{error}"
            );
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
        let text = format!(
            "[[keys]]\nname = \"a\"\nkey_sha256 = \"{}\"\n",
            HASH.to_uppercase()
        );
        let config = Config::from_toml(&text).unwrap();
        let hash = config.settings.keys[0].key_sha256.unwrap();
        assert_eq!((hash.0[0], hash.0[31]), (0x9f, 0x08));
        let shown = format!("{config:?} {:?}", config.effective(&|_| None));
        let has = |needle: &str| shown.to_lowercase().contains(needle);
        assert!(!has("9f86d0") && !has("159, 134"), "{shown}");
    }

    #[test]
    fn variables_hold_keys_that_can_be_sent_and_not_be_guessed() {
        let config = Config::from_toml(&with("")).unwrap();
        let key = |value: Option<&str>| {
            let env = |name: &str| value.filter(|_| name == "A").map(str::to_owned);
            config.settings.keys[0].key(&env).map_err(|error| error.0)
        };
        assert_eq!(
            key(Some(" 0123456789abcdef\n")),
            Ok(Some("0123456789abcdef".to_owned()))
        );
        for (value, told) in [
            (None, "configuration:2: the key \"a\": A is not set"),
            (Some("0123456789abcde"), "A holds fewer than 16 characters"),
            (Some("0123456789 bcdefgh"), "A holds characters"),
            (Some("0123456789äbcdefgh"), "A holds characters"),
        ] {
            let error = key(value).unwrap_err();
            assert!(error.contains(told), "{error}");
            assert!(!error.contains("0123456789"), "{error}");
        }
    }

    #[test]
    fn the_local_file_replaces_keys_of_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let user = folder.path().join("antiphon");
        std::fs::create_dir(&user).unwrap();
        let lower = "[[keys]]\nname = \"a\"\nkey_env = \"A\"\nrpm = 5\n[[keys]]\nname = \"a.b\"\nkey_env = \"B\"\n";
        std::fs::write(user.join("antiphon.toml"), lower).unwrap();
        let upper = "[[keys]]\nname = \"a\"\nkey_env = \"OTHER\"\n";
        std::fs::write(folder.path().join("antiphon.toml"), upper).unwrap();
        let config_home = folder.path().to_str().unwrap().to_owned();
        let env = |name: &str| (name == "XDG_CONFIG_HOME").then(|| config_home.clone());
        let config = Config::load(folder.path(), None, &env).unwrap();
        let names: Vec<_> = config
            .settings
            .keys
            .iter()
            .map(|key| (key.name.as_str(), key.rpm))
            .collect();
        assert_eq!(names, [("a.b", None), ("a", None)]);
        let shown: Vec<_> = config
            .effective(&env)
            .into_iter()
            .map(|origin| (origin.key, origin.value))
            .collect();
        let has = |key: &str, value: &str| shown.contains(&(key.to_owned(), value.to_owned()));
        assert!(
            has("keys.a.key_env", "\"OTHER\"") && has("keys.a.key", "\"(not set)\""),
            "{shown:?}"
        );
        assert!(has("keys.\"a.b\".key_env", "\"B\""), "{shown:?}");
        assert!(
            !shown.iter().any(|(key, _)| key == "keys.a.rpm"),
            "{shown:?}"
        );
    }
}
