//! One configuration file.

use std::{
    collections::BTreeMap,
    fmt,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use antiphon_providers::catalog::zones::{self, Zone};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use toml::de::{DeTable, DeValue};

use super::{
    Origin,
    callers::{self, KeySettings},
    keys,
    mcp::McpSettings,
    model::ModelConfig,
    prices::{self, PriceSettings},
    sim::{SimSettings, SimTable},
};

/// The values of a configuration.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Settings {
    /// The model of rows that name none.
    pub default_model: Option<String>,
    /// Providers by name.
    #[serde(default, deserialize_with = "providers")]
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Models by name.
    #[serde(default)]
    pub models: BTreeMap<String, ModelConfig>,
    /// A file of prices in place of the built-in ones.
    pub catalog: Option<PathBuf>,
    /// Prices of models, provider/model, over those of the catalogue.
    #[serde(default)]
    pub prices: BTreeMap<String, PriceSettings>,
    /// Callers of the gateway.
    #[serde(default)]
    pub keys: Vec<KeySettings>,
    /// Clients of `antiphon mcp`.
    #[serde(default)]
    pub mcp: McpSettings,
}

/// A provider.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ProviderConfig {
    /// The wire format; defaults to the provider's name.
    pub dialect: Option<String>,
    /// Where it is.
    pub base_url: Option<String>,
    /// The variable that holds its key. Keys themselves never stand in files.
    pub api_key_env: Option<String>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Requests per minute.
    #[serde(default, deserialize_with = "limit")]
    pub rpm: Option<u64>,
    /// Tokens per minute.
    #[serde(default, deserialize_with = "limit")]
    pub tpm: Option<u64>,
    /// Input tokens per minute.
    #[serde(default, deserialize_with = "limit")]
    pub itpm: Option<u64>,
    /// Output tokens per minute.
    #[serde(default, deserialize_with = "limit")]
    pub otpm: Option<u64>,
    /// Upper bound of calls in flight.
    pub concurrency: Option<NonZeroU32>,
    /// Where its models are computed, for estimates of energy and carbon.
    #[serde(default, deserialize_with = "zones::deserialize")]
    pub zone: Option<&'static Zone>,
    /// Version of the wire format (`anthropic-version`).
    pub version: Option<String>,
    /// Settings of the simulated provider.
    #[serde(skip)]
    pub sim: SimSettings,
}

/// What is wrong with a configuration, with its place and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Settings {
    /// Lays another file's values over these: providers and prices value by value, models and keys whole.
    pub(super) fn merge(&mut self, over: Self) {
        self.default_model = over.default_model.or(self.default_model.take());
        for (name, over) in over.providers {
            self.providers.entry(name).or_default().merge(over);
        }
        self.models.extend(over.models);
        self.catalog = over.catalog.or(self.catalog.take());
        for (name, over) in over.prices {
            self.prices.entry(name).or_default().merge(over);
        }
        callers::merge(&mut self.keys, over.keys);
        self.mcp.merge(over.mcp);
    }
}

impl ProviderConfig {
    fn merge(&mut self, over: Self) {
        fn lay<T>(under: &mut Option<T>, over: Option<T>) {
            if over.is_some() {
                *under = over;
            }
        }
        lay(&mut self.dialect, over.dialect);
        lay(&mut self.base_url, over.base_url);
        lay(&mut self.api_key_env, over.api_key_env);
        self.headers.extend(over.headers);
        lay(&mut self.rpm, over.rpm);
        lay(&mut self.tpm, over.tpm);
        lay(&mut self.itpm, over.itpm);
        lay(&mut self.otpm, over.otpm);
        lay(&mut self.concurrency, over.concurrency);
        lay(&mut self.zone, over.zone);
        lay(&mut self.version, over.version);
        self.sim.merge(over.sim);
    }
}

/// Parses one file: its values, and the place of each.
pub(super) fn parse(text: &str, path: &Path) -> Result<(Settings, Vec<Origin>), ConfigError> {
    let place = |at: usize| {
        let line = text[..at.min(text.len())].matches('\n').count() + 1;
        format!("{}:{line}", path.display())
    };
    let broken = |error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        ConfigError(format!("{}: {}", place(at), error.message()))
    };
    let table = DeTable::parse(text).map_err(broken)?;
    let mut origins = Vec::new();
    let mut found = |key: String, at: usize, value: &DeValue<'_>| {
        let value = match keys::is_hash(&key) {
            true => "\"(hidden)\"".to_owned(),
            false => show(value),
        };
        origins.push(Origin {
            key,
            value,
            from: place(at),
        });
    };
    keys::walk(table.get_ref(), &keys::FILE, "", &mut found).map_err(|unknown| {
        let hint = match unknown.nearest {
            _ if unknown.key.starts_with("keys") && unknown.key.ends_with(".key") => {
                "; a key itself is never in this file: name its variable with `key_env`, or give its `key_sha256`, \
                 which `antiphon keys new` prints"
                    .to_owned()
            }
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        ConfigError(format!(
            "{}: unknown key `{}`{hint}",
            place(unknown.at),
            unknown.key
        ))
    })?;
    if let Some(keys) = table.get_ref().get("keys")
        && keys.get_ref().as_table().is_some()
    {
        let place = place(keys.span().start);
        let message = format!("{place}: there may be several keys: write [[keys]], not [keys]");
        return Err(ConfigError(message));
    }
    let mut settings: Settings = toml::from_str(text).map_err(|error| {
        let at = place(error.span().map_or(0, |span| span.start));
        let mut there = origins.iter().filter(|origin| origin.from == at);
        let key = match (there.next(), there.next()) {
            // words of our own name what they are about, but for those of prices
            (Some(only), None)
                if error.message().starts_with("invalid ") || only.key.starts_with("prices.") =>
            {
                format!("`{}`: ", only.key)
            }
            _ => String::new(),
        };
        ConfigError(format!("{at}: {key}{}", in_plain_words(error.message())))
    })?;
    for provider in settings.providers.values() {
        let checked = provider.sim.config();
        checked.map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
    }
    for (name, told) in &mut settings.prices {
        let table = table.get_ref().get("prices");
        let tables = table.and_then(|prices| prices.get_ref().as_table());
        let mut tables = tables.into_iter().flatten();
        let own = tables.find(|(key, _)| key.get_ref() == name);
        let begin = own.map_or(0, |(key, _)| key.span().start);
        told.placed(name, &origins, &place(begin))?;
    }
    let tables = table.get_ref().get("keys");
    let tables = tables.and_then(|keys| keys.get_ref().as_array());
    for (key, table) in settings.keys.iter_mut().zip(tables.into_iter().flatten()) {
        key.place = place(table.span().start);
    }
    callers::check_all(&settings.keys)?;
    let catalog = settings.catalog.take();
    settings.catalog = catalog.map(|named| prices::beside(path, named));
    Ok((settings, origins))
}

/// Types as who writes the file calls them.
fn in_plain_words(message: &str) -> String {
    [
        ("expected a sequence", "expected a list"),
        ("expected a nonzero u32", "expected a number from 1 on"),
        ("expected a nonzero usize", "expected a number from 1 on"),
        ("expected a nonzero u64", "expected a number from 1 on"),
        ("expected u32", "expected a number from 0 on"),
        ("expected u64", "expected a number from 0 on"),
        ("expected f64", "expected a number"),
    ]
    .into_iter()
    .fold(message.to_owned(), |message, (from, to)| {
        message.replace(from, to)
    })
}

fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| show(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{} = {}", key.get_ref(), show(value.get_ref())))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

/// The table of providers. `sim` has settings of its own; the two are told apart here and not by `flatten`, with which
/// an error would lose its place in the file.
fn providers<'de, D: Deserializer<'de>>(
    table: D,
) -> Result<BTreeMap<String, ProviderConfig>, D::Error> {
    struct Providers;

    impl<'de> Visitor<'de> for Providers {
        type Value = BTreeMap<String, ProviderConfig>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of providers")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
            let mut providers = BTreeMap::new();
            while let Some(name) = table.next_key::<String>()? {
                let provider = if name == "sim" {
                    table.next_value::<SimTable>()?.into()
                } else {
                    table.next_value()?
                };
                providers.insert(name, provider);
            }
            Ok(providers)
        }
    }

    table.deserialize_map(Providers)
}

pub(super) fn limit<'de, D: Deserializer<'de>>(number: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<NonZeroU64>::deserialize(number)?.map(u64::from))
}

pub(super) fn duration<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration in quotes, as \"30s\"")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
            crate::parse_duration(text).map_err(E::custom)
        }
    }

    text.deserialize_str(Text).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Made;

    #[test]
    fn slips_of_the_pen_are_told_with_what_to_write() {
        let told = fails("[models.a]\nuse = \"openai/a\"\nheaders_timeout = 0\n");
        assert!(told.contains("a duration in quotes, as \"30s\""), "{told}");
        let told = fails("[keys]\nname = \"a\"\nkey_env = \"A\"\n");
        assert!(
            told.contains("antiphon.toml:1: ") && told.contains("write [[keys]]"),
            "{told}"
        );
        let told = fails("[[keys]]\nname = \"a\"\nkey = \"sk-secret\"\n");
        assert!(
            told.contains("`antiphon keys new`") && !told.contains("sk-secret"),
            "{told}"
        );
    }

    fn fails(text: &str) -> String {
        parse(text, Path::new("antiphon.toml")).unwrap_err().0
    }

    #[test]
    fn an_unknown_key_is_told_with_its_place_and_the_nearest() {
        assert_eq!(
            fails("default_model = \"a\"\n\n[providers.openai]\nrmp = 5\n"),
            "antiphon.toml:4: unknown key `providers.openai.rmp`; did you mean `rpm`?"
        );
        assert!(fails("[providers.sim]\nbase_url = \"x\"\n").contains("providers.sim.base_url"));
        assert!(fails("[models.a]\nuse = 3\n").contains("antiphon.toml:2"));
        assert!(fails("[models.a\n").contains("antiphon.toml:1"));
        let number = fails("[providers.sim]\nseed = 1\nlatency = 5\n");
        assert!(number.starts_with("antiphon.toml:3: "), "{number}");
        let fault = fails("[providers.sim]\nfail = [\"boom=1\"]\n");
        assert!(
            fault.starts_with("antiphon.toml:2: no fault is called `boom`"),
            "{fault}"
        );
        assert!(fails("[providers.sim]\njitter = 7.0\n").contains("jitter is 7"));
        let two = fails("[models.a]\nrace = [\"b\"]\nfallback = [\"c\"]\n");
        assert!(
            two.starts_with("antiphon.toml:1: a model is made in one way"),
            "{two}"
        );
        let quorum = fails("[models.a]\nensemble = [\"b\", \"c\"]\nquorum = 3\n");
        assert!(quorum.contains("only 2 answers"), "{quorum}");
        assert!(fails("[models.a]\nuse = \"b\"\njudge = \"c\"\n").contains("`judge` belongs"));
        assert!(fails("[models.a]\nensemble = []\n").contains("names no model"));
        assert!(fails("[models.a]\nensemble = [\"b\"]\nvote = 3\n").contains("\"all\""));
        assert!(fails("[providers.openai]\nrpm = 0\n").starts_with("antiphon.toml:2: "));
        for provider in ["openai", "sim"] {
            let zone = fails(&format!(
                "[providers.{provider}]\nrpm = 5\nzone = \"FRX\"\n"
            ));
            assert_eq!(
                zone,
                "antiphon.toml:3: no zone is called \"FRX\"; nearest are FRA (France)"
            );
        }
    }

    #[test]
    fn a_zone_stands_until_another_file_says_otherwise() {
        let read = |text: &str| parse(text, Path::new("f")).unwrap().0;
        let mut settings = read("[providers.a]\nzone = \"fr\"\n[providers.b]\nzone = \"SWE\"\n");
        settings.merge(read(
            "[providers.a]\nrpm = 1\n[providers.b]\nzone = \"de\"\n",
        ));
        let zone = |name: &str| settings.providers[name].zone.unwrap().code.as_str();
        assert_eq!((zone("a"), zone("b")), ("FRA", "DEU"));
    }

    #[test]
    fn values_are_typed_and_their_origin_is_kept() {
        let text = "[providers.sim]\nlatency = \"250ms\"\nfail = [\"429=0.1\"]\n[models.fast]\nuse = \"sim/m\"\n";
        let (settings, origins) = parse(text, Path::new("f")).unwrap();
        let sim = &settings.providers["sim"].sim;
        assert_eq!(sim.latency, Some(Duration::from_millis(250)));
        assert_eq!(sim.fail.len(), 1);
        assert_eq!(settings.models["fast"].made, Made::Of("sim/m".to_owned()));
        assert_eq!(origins[1].key, "providers.sim.fail");
        assert_eq!(origins[1].value, "[\"429=0.1\"]");
        assert_eq!(origins[1].from, "f:3");
    }
}
