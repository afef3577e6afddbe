//! Under which names a model may be known: as it is written, without what a cloud adds, without the date of a snapshot.

use std::collections::HashMap;

/// Other names that a provider's models are prefixed with.
const VENDORS: [(&str, &str); 3] = [
    ("gemini", "google"),
    ("mistral", "mistralai"),
    ("xai", "x-ai"),
];

/// Regions of a cloud, before the vendor of a model.
const REGIONS: [&str; 8] = ["us", "eu", "apac", "global", "jp", "au", "ca", "us-gov"];

/// The names by which a provider's model is looked up, in lower case, from the most exact on: as it is written; without
/// prefixes and suffixes of clouds (`models/`, `us.anthropic.`, `-v1:0`, `@20250514`); and without the date of a snapshot
/// or `-latest`. Never a mere beginning of the name: `gpt-5-pro` is no `gpt-5`.
pub fn candidates(provider: &str, model: &str) -> Vec<String> {
    let written = model.trim().to_lowercase();
    let plain = without_cloud(provider, &written).to_owned();
    let undated = without_date(&plain).map(str::to_owned);
    let mut names = vec![written];
    for name in [Some(plain), undated].into_iter().flatten() {
        if !names.contains(&name) && !name.is_empty() {
            names.push(name);
        }
    }
    names
}

fn without_cloud<'a>(provider: &str, written: &'a str) -> &'a str {
    let mut name = written;
    if let Some((path, last)) = name.rsplit_once("models/")
        && (path.is_empty() || path.starts_with("publishers/") || path.contains("/publishers/"))
    {
        name = last;
    }
    let vendor = VENDORS.iter().find(|(known, _)| *known == provider);
    for prefix in [Some(provider), vendor.map(|(_, vendor)| *vendor)]
        .into_iter()
        .flatten()
    {
        let rest = name.strip_prefix(prefix);
        name = rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    }
    let region = REGIONS.iter().find_map(|region| {
        let rest = name.strip_prefix(region)?.strip_prefix('.')?;
        rest.starts_with("anthropic.").then_some(rest)
    });
    name = region.unwrap_or(name);
    if let Some(rest) = name.strip_prefix("anthropic.") {
        name = without_revision(rest, true);
    }
    name = without_revision(name, false);
    name = name.strip_suffix(":free").unwrap_or(name);
    match name.rsplit_once('@') {
        Some((rest, day)) if is_day(day) => rest,
        _ => name,
    }
}

/// Without `-v1:0`, or also without a bare `-v1`.
fn without_revision(name: &str, also_bare: bool) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some((rest, revision)) = name.rsplit_once("-v") else {
        return name;
    };
    let is_revision = match revision.split_once(':') {
        Some((major, minor)) => is_number(major) && is_number(minor),
        None => also_bare && is_number(revision),
    };
    if is_revision { rest } else { name }
}

/// Without `-YYYY-MM-DD`, `-YYYYMMDD`, `-MMDD`, `-MM-YYYY` or `-latest`.
fn without_date(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_suffix("-latest") {
        return Some(rest);
    }
    let (rest, last) = name.rsplit_once('-')?;
    if is_day(last) || (last.len() == 4 && is_month_and_day(last)) {
        return Some(rest);
    }
    let (rest, middle) = rest.rsplit_once('-')?;
    if is_month(middle) && is_year(last) {
        return Some(rest);
    }
    let (rest, first) = rest.rsplit_once('-')?;
    (is_year(first) && is_month(middle) && is_day_of_month(last)).then_some(rest)
}

/// `20250514`.
fn is_day(text: &str) -> bool {
    text.len() == 8
        && text
            .split_at_checked(4)
            .is_some_and(|(year, day)| is_year(year) && is_month_and_day(day))
}

fn is_month_and_day(text: &str) -> bool {
    let parts = text.split_at_checked(2);
    parts.is_some_and(|(month, day)| is_month(month) && is_day_of_month(day))
}

fn is_year(text: &str) -> bool {
    number(text, 4).is_some_and(|year| (2000..2100).contains(&year))
}

fn is_month(text: &str) -> bool {
    number(text, 2).is_some_and(|month| (1..=12).contains(&month))
}

fn is_day_of_month(text: &str) -> bool {
    number(text, 2).is_some_and(|day| (1..=31).contains(&day))
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// What is known under the names of each provider's models.
#[derive(Clone, Debug)]
pub struct Names<T> {
    providers: HashMap<String, HashMap<String, T>>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            providers: HashMap::new(),
        }
    }
}

impl<T> Names<T> {
    /// Gives a name; upper and lower case are the same. What had it before loses it and is handed back.
    pub fn give(&mut self, provider: &str, name: &str, to: T) -> Option<T> {
        let names = self.providers.entry(provider.to_owned()).or_default();
        names.insert(name.to_lowercase(), to)
    }

    /// What has the very name.
    pub fn exact(&self, provider: &str, name: &str) -> Option<&T> {
        self.providers.get(provider)?.get(&name.to_lowercase())
    }

    /// What is known under the first of the [`candidates`].
    pub fn find(&self, provider: &str, model: &str) -> Option<&T> {
        let names = self.providers.get(provider)?;
        candidates(provider, model)
            .iter()
            .find_map(|name| names.get(name))
    }

    /// Whether anything of this provider is known.
    pub fn knows(&self, provider: &str) -> bool {
        self.providers.contains_key(provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_and_dates_are_taken_off_and_nothing_else() {
        let last = |provider, name| candidates(provider, name).pop().unwrap();
        for (provider, name, bare) in [
            ("openai", " GPT-4o-Mini ", "gpt-4o-mini"),
            ("openai", "gpt-4o-mini-2099-01-01", "gpt-4o-mini"),
            ("openai", "openai/gpt-4o", "gpt-4o"),
            ("openai", "gpt-4-0613", "gpt-4"),
            ("openai", "gpt-4o:free", "gpt-4o"),
            ("anthropic", "claude-opus-4-5-20251101", "claude-opus-4-5"),
            ("anthropic", "claude-opus-4@20250514", "claude-opus-4"),
            (
                "anthropic",
                "us.anthropic.claude-opus-4-5-20251101-v1:0",
                "claude-opus-4-5",
            ),
            (
                "anthropic",
                "anthropic.claude-opus-4-6-v1",
                "claude-opus-4-6",
            ),
            (
                "anthropic",
                "publishers/anthropic/models/claude-opus-5@20260101",
                "claude-opus-5",
            ),
            ("gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("gemini", "google/gemini-2.5-pro", "gemini-2.5-pro"),
            (
                "gemini",
                "projects/p/locations/l/publishers/google/models/gemini-2.5-pro",
                "gemini-2.5-pro",
            ),
            ("cohere", "command-r-08-2024", "command-r"),
            ("mistral", "mistral-small-latest", "mistral-small"),
        ] {
            assert_eq!(last(provider, name), bare, "{name}");
        }
        for (provider, name) in [
            ("openai", "gpt-5-pro"),
            ("openai", "gpt-5-1"),
            ("openai", "gpt-4o-2024-13-01"),
            ("mistral", "mistral-large-2512"),
            ("mistral", "my-models/mistral-large-4"),
            ("groq", "openai/gpt-oss-120b"),
            ("local", "my-model-v1"),
            ("openai", "us.gpt-4o"),
            ("openai", "gpt-4o@home"),
            ("openai", "é-é"),
        ] {
            assert_eq!(candidates(provider, name), [name], "{name}");
        }
    }
}
