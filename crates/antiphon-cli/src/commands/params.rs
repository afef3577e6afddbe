//! `--param`.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// `temperature=0`, `stop=["a"]`; a bare word is text.
pub(crate) fn parse(given: &[String]) -> Result<Map<String, Value>> {
    let mut params = Map::new();
    for param in given {
        let Some((name, text)) = param.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            bail!("--param {param}: write KEY=JSON, for instance temperature=0");
        };
        let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) if is_word => Value::from(text),
            Err(error) => bail!(
                "--param {name}: {text} is not JSON ({error}); text needs quotes: '{name}=\"…\"'"
            ),
        };
        params.insert(name.to_owned(), value);
    }
    Ok(params)
}
