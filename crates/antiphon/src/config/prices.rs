//! The user's prices: a catalogue in place of the built-in one, and single values laid over it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use antiphon_core::account::price::{Prices, UnitPrice};
use antiphon_providers::catalog::{Catalog, Override};
use serde::Deserialize;

use super::{Config, ConfigError, Origin};

/// What `[prices."provider/model"]` says, in dollars per million tokens.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PriceSettings {
    /// Another model, provider/model, whose values hold where nothing else is told.
    pub like: Option<String>,
    /// Price of input.
    pub input: Option<UnitPrice>,
    /// Price of input that the provider's cache had.
    pub cached_input: Option<UnitPrice>,
    /// Price of input that is written to its cache.
    pub cache_write: Option<UnitPrice>,
    /// Price of input that is written to its cache for an hour.
    pub cache_write_1h: Option<UnitPrice>,
    /// Price of output.
    pub output: Option<UnitPrice>,
    /// Tokens that fit into the model.
    pub context_window: Option<u64>,
    /// Other names of the model.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// File and line of the first of these.
    #[serde(skip)]
    pub place: String,
}

/// Keys of [`PriceSettings`].
const KEYS: [&str; 8] = [
    "like",
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "output",
    "context_window",
    "aliases",
];

impl PriceSettings {
    /// Keeps where they stand: their first line, or where their table begins.
    ///
    /// # Errors
    /// The name they stand under is not provider/model, or nothing is told.
    pub(super) fn placed(
        &mut self,
        name: &str,
        origins: &[Origin],
        begin: &str,
    ) -> Result<(), ConfigError> {
        let is_own = |origin: &&Origin| {
            KEYS.iter()
                .any(|key| origin.key == format!("prices.{name}.{key}"))
        };
        let line = |origin: &&Origin| {
            let line = origin.from.rsplit_once(':');
            line.and_then(|(_, line)| line.parse::<u64>().ok())
        };
        let own = origins.iter().filter(is_own).min_by_key(line);
        self.place = own.map_or_else(|| begin.to_owned(), |own| own.from.clone());
        if own.is_none() {
            return Err(ConfigError(format!(
                "{begin}: prices.{name:?} says nothing: give it input and output in dollars per million tokens"
            )));
        }
        match name.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => Ok(()),
            _ => Err(ConfigError(format!(
                "{}: prices.{name:?}: write the name as provider/model",
                self.place
            ))),
        }
    }

    /// Lays another file's values over these.
    pub(super) fn merge(&mut self, over: Self) {
        let prices = over.prices().over(self.prices());
        *self = Self {
            like: over.like.or(self.like.take()),
            input: prices.input,
            cached_input: prices.cached_input,
            cache_write: prices.cache_write,
            cache_write_1h: prices.cache_write_1h,
            output: prices.output,
            context_window: over.context_window.or(self.context_window),
            aliases: [std::mem::take(&mut self.aliases), over.aliases].concat(),
            place: over.place,
        };
    }

    fn prices(&self) -> Prices {
        Prices {
            input: self.input,
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            output: self.output,
        }
    }
}

impl Config {
    /// The catalogue in effect: `named` (from `--catalog`), else the one that `catalog` names, else the built-in one; with
    /// the values of `[prices]` over it.
    ///
    /// # Errors
    /// The file cannot be read or is no catalogue; a price is missing. The message says where.
    pub fn catalog(&self, named: Option<&Path>) -> Result<Arc<Catalog>, ConfigError> {
        let settings = &self.settings;
        let catalog = match named.or(settings.catalog.as_deref()) {
            Some(path) => Arc::new(read(path)?),
            None => Catalog::built_in(),
        };
        if settings.prices.is_empty() {
            return Ok(catalog);
        }
        let overrides = settings.prices.iter().map(|(name, told)| {
            let (provider, model) = name.split_once('/').unwrap_or(("", name));
            Override {
                provider: provider.to_owned(),
                model: model.to_owned(),
                place: told.place.clone(),
                like: told.like.clone(),
                prices: told.prices(),
                aliases: told.aliases.clone(),
                context_window: told.context_window,
            }
        });
        let catalog = catalog.with_overrides(overrides);
        let catalog = catalog.map_err(|error| ConfigError(error.to_string()))?;
        Ok(Arc::new(catalog))
    }
}

fn read(path: &Path) -> Result<Catalog, ConfigError> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("cannot read the catalogue {place}: {error}")))?;
    Catalog::parse(&text, &place).map_err(|error| ConfigError(error.to_string()))
}

/// A path of a configuration file, as seen from where the command runs.
pub(super) fn beside(config: &Path, named: PathBuf) -> PathBuf {
    config
        .parent()
        .map_or(named.clone(), |folder| folder.join(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(toml: &str) -> Result<Arc<Catalog>, ConfigError> {
        Config::from_toml(toml)?.catalog(None)
    }

    fn fails(toml: &str) -> String {
        catalog(toml).map(drop).unwrap_err().0
    }

    #[test]
    fn single_values_stand_over_the_catalogue() {
        let catalog = catalog(
            "[prices.\"local/qwen\"]\ninput = 0\noutput = 0\naliases = [\"qwen-7b\"]\n\
             [prices.\"openai/gpt-4.1\"]\ninput = 1.5\n[prices.\"openai/gpt-4\"]\noutput = 1\n\
             [prices.\"azure/ours\"]\nlike = \"openai/gpt-4o\"\ncontext_window = 9\n",
        );
        let catalog = catalog.unwrap();
        let price = |provider, model| {
            let entry = catalog.find(provider, model).unwrap();
            let prices = entry.prices.last().unwrap().usd_per_mtok;
            let told = [prices.input, prices.output].map(|price| price.unwrap().to_string());
            (told.join(" "), entry.source.clone())
        };
        let is = |told: (String, String), prices: &str, place: &str| {
            assert_eq!((told.0.as_str(), told.1.as_str()), (prices, place));
        };
        is(price("local", "qwen-7b"), "0 0", "configuration:2");
        is(
            price("openai", "gpt-4.1-2025-04-14"),
            "1.5 8",
            "configuration:6",
        );
        is(price("openai", "gpt-4"), "30 1", "configuration:8");
        is(price("azure", "ours"), "2.5 10", "configuration:10");
        is(price("openai", "gpt-4o"), "2.5 10", "genai-prices");
    }

    #[test]
    fn bad_prices_are_refused_with_their_place() {
        for (value, why) in [
            ("-0.1", "-0.1 is no price: it is negative"),
            ("nan", "NaN is no price"),
            ("inf", "inf is no price"),
            ("-inf", "-inf is no price"),
            ("0.0000001", "0.0000001 has more than 6 decimal places"),
            ("1e12", "18 million dollars"),
            ("\"1\"", "invalid type: string"),
        ] {
            let told = fails(&format!(
                "\n[prices.\"a/b\"]\noutput = 1\ninput = {value}\n"
            ));
            assert!(
                told.starts_with("configuration:4: `prices.a/b.input`: "),
                "{told}"
            );
            assert!(told.contains(why), "{told}");
        }
        assert_eq!(
            fails("[prices.\"a/b\"]\nimput = 1\n"),
            "configuration:2: unknown key `prices.a/b.imput`; did you mean `input`?"
        );
        assert_eq!(
            fails("[prices.gpt-4o]\ninput = 1\n"),
            "configuration:2: prices.\"gpt-4o\": write the name as provider/model"
        );
        assert_eq!(
            fails("[prices.\"a/b\"]\ninput = 1\n"),
            "configuration:2: a/b: the price of output is missing"
        );
        assert_eq!(
            fails("\n[prices.\"a/b\"]\n"),
            "configuration:2: prices.\"a/b\" says nothing: give it input and output in dollars per million tokens"
        );
        assert!(fails("[prices.\"a/b\"]\nlike = \"openai/gtp\"\n").contains("openai/gtp"));
        assert!(
            fails("catalog = \"missing.json\"\n")
                .contains("cannot read the catalogue missing.json")
        );
    }

    #[test]
    fn a_file_is_found_beside_its_configuration_and_later_values_win() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "mine.json",
            r#"{"schema": 1, "as_of": "2020-01-01", "models": [{"provider": "p", "model": "m",
               "prices": [{"usd_per_mtok": {"input": 1, "output": 2}}]}]}"#,
        );
        write("antiphon.toml", "[prices.\"p/m\"]\noutput = 5\n");
        let home = folder.path().join("antiphon");
        std::fs::create_dir(&home).unwrap();
        let user = "catalog = \"../mine.json\"\n[prices.\"p/m\"]\noutput = 4\ninput = 3\n";
        std::fs::write(home.join("antiphon.toml"), user).unwrap();
        let env =
            |name: &str| (name == "XDG_CONFIG_HOME").then(|| folder.path().display().to_string());
        let config = Config::load(folder.path(), None, &env).unwrap();
        let catalog = config.catalog(None).unwrap();
        assert_eq!(catalog.models().len(), 1);
        let entry = catalog.find("p", "m").unwrap();
        let prices = entry.prices[0].usd_per_mtok;
        assert_eq!(prices.input.unwrap().to_string(), "3");
        assert_eq!(prices.output.unwrap().to_string(), "5");
        let named = folder.path().join("mine.json");
        let config = Config::default().catalog(Some(&named)).unwrap();
        assert_eq!(config.as_of().to_string(), "2020-01-01");
    }
}
