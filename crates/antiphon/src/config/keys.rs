//! The keys that exist. A key that does not is an error with the nearest one, its file and its line.

use toml::de::{DeArray, DeTable, DeValue};

/// What may stand under a key.
pub(super) enum Shape {
    /// A value of any kind; serde checks it.
    Value,
    /// A table with these keys.
    Table(&'static [(&'static str, Shape)]),
    /// A table whose keys are the user's names.
    Named(&'static Shape),
    /// As `Named`, but the table of one name has keys of its own.
    NamedBut(&'static Shape, &'static str, &'static Shape),
    /// A list of such tables, told apart by their `name`.
    Listed(&'static Shape),
}

use Shape::{Listed, Named, NamedBut, Table, Value};

const PROVIDER: Shape = Table(&[
    ("dialect", Value),
    ("base_url", Value),
    ("api_key_env", Value),
    ("headers", Named(&Value)),
    ("rpm", Value),
    ("tpm", Value),
    ("itpm", Value),
    ("otpm", Value),
    ("concurrency", Value),
    ("zone", Value),
    ("version", Value),
]);

const SIM: Shape = Table(&[
    ("fail", Value),
    ("latency", Value),
    ("jitter", Value),
    ("tail", Value),
    ("seed", Value),
    ("accuracy", Value),
    ("rpm", Value),
    ("tpm", Value),
    ("concurrency", Value),
    ("zone", Value),
]);

const MODEL: Shape = Table(&[
    ("use", Value),
    ("params", Value),
    ("timeout", Value),
    ("connect_timeout", Value),
    ("headers_timeout", Value),
    ("first_token_timeout", Value),
    ("idle_timeout", Value),
    ("max_retries", Value),
    ("rescue", Value),
    ("fallback", Value),
    ("race", Value),
    ("ensemble", Value),
    ("samples", Value),
    ("judge", Value),
    ("synthesize", Value),
    ("decide", Value),
    ("vote", Value),
    ("quorum", Value),
    ("deadline", Value),
    ("pass_reasoning", Value),
    ("decision_maker_temperature", Value),
    ("decision_maker_prompt", Value),
]);

const PRICE: Shape = Table(&[
    ("like", Value),
    ("input", Value),
    ("cached_input", Value),
    ("cache_write", Value),
    ("cache_write_1h", Value),
    ("output", Value),
    ("context_window", Value),
    ("aliases", Value),
]);

const KEY: Shape = Table(&[
    ("name", Value),
    ("key_env", Value),
    ("key_sha256", Value),
    ("models", Value),
    ("rpm", Value),
    ("tpm", Value),
    ("budget_usd_per_day", Value),
    ("admin", Value),
]);

const MCP: Shape = Table(&[
    ("limit", Value),
    ("call_timeout", Value),
    ("on_failure", Value),
    ("max_waiting", Value),
]);

/// The whole file.
pub(super) const FILE: Shape = Table(&[
    ("default_model", Value),
    ("providers", NamedBut(&PROVIDER, "sim", &SIM)),
    ("models", Named(&MODEL)),
    ("catalog", Value),
    ("prices", Named(&PRICE)),
    ("keys", Listed(&KEY)),
    ("mcp", MCP),
]);

/// The beginning of the dotted names of a key's values. Its name may hold dots.
pub(super) fn prefix_of(name: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    match !name.is_empty() && name.chars().all(is_plain) {
        true => format!("keys.{name}."),
        false => format!("keys.{name:?}."),
    }
}

/// Whether the value under a dotted key is the hash of a caller's key, which is kept nowhere else.
pub(super) fn is_hash(key: &str) -> bool {
    key.starts_with("keys") && key.ends_with(".key_sha256")
}

/// Whether the value under a dotted key may carry a secret: a header of such a name, a URL with a user in it.
pub(super) fn may_hold_secret(key: &str, value: &str) -> bool {
    const WORDS: [&str; 6] = ["auth", "key", "token", "secret", "cookie", "password"];
    if key.ends_with(".base_url") {
        return value.contains('@');
    }
    let header = key.split_once(".headers.").map(|(_, header)| header);
    header.is_some_and(|header| {
        let header = header.to_ascii_lowercase();
        WORDS.iter().any(|word| header.contains(word))
    })
}

/// The first key that does not exist: its dotted name, its place in the text and the nearest key that does.
pub(super) struct Unknown {
    pub(super) key: String,
    pub(super) at: usize,
    pub(super) nearest: Option<&'static str>,
}

/// Walks a table against its shape and hands every value to `found`.
pub(super) fn walk(
    table: &DeTable<'_>,
    shape: &Shape,
    prefix: &str,
    found: &mut dyn FnMut(String, usize, &DeValue<'_>),
) -> Result<(), Unknown> {
    for (key, value) in table {
        let name: &str = key.get_ref();
        let dotted = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}.{name}")
        };
        let unknown = |nearest| Unknown {
            key: dotted.clone(),
            at: key.span().start,
            nearest,
        };
        let inner = match shape {
            // the elements of a list are walked by `walk_list`
            Value | Listed(_) => &Value,
            Named(inner) => inner,
            NamedBut(inner, special, other) => {
                if name == *special {
                    other
                } else {
                    inner
                }
            }
            Table(keys) => match keys.iter().find(|(known, _)| *known == name) {
                Some((_, inner)) => inner,
                None => return Err(unknown(crate::nearest(name, keys.iter().map(|(k, _)| *k)))),
            },
        };
        match (value.get_ref(), inner) {
            (DeValue::Table(_), Value) | (_, Value) => {
                found(dotted, key.span().start, value.get_ref());
            }
            (DeValue::Table(table), inner) => walk(table, inner, &dotted, found)?,
            (DeValue::Array(items), Listed(inner)) => walk_list(items, inner, found)?,
            // serde says best what is wrong with a value where a table belongs
            (_, _) => {}
        }
    }
    Ok(())
}

/// Walks the tables of a list, each under the name that it has, or else its number.
fn walk_list(
    items: &DeArray<'_>,
    shape: &Shape,
    found: &mut dyn FnMut(String, usize, &DeValue<'_>),
) -> Result<(), Unknown> {
    for (index, item) in items.iter().enumerate() {
        // serde says best what is wrong with anything else
        let DeValue::Table(table) = item.get_ref() else {
            continue;
        };
        let name = table.get("name").and_then(|name| name.get_ref().as_str());
        let prefix = match name {
            Some(name) => prefix_of(name),
            None => format!("keys[{index}]."),
        };
        walk(table, shape, prefix.trim_end_matches('.'), found)?;
    }
    Ok(())
}
