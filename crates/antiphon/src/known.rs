//! Names of known models that are nearly the one that was written.

use antiphon_providers::catalog::Catalog;

use crate::nearest;

/// The name that is spelt most like this one. `names` are provider/model in lower case; where the provider is among theirs,
/// only its models count, and without one the answer has none either.
pub fn nearest_model(name: &str, names: &[String]) -> Option<String> {
    let name = name.trim().to_lowercase();
    let parts = || names.iter().filter_map(|known| known.split_once('/'));
    match name.split_once('/') {
        Some((provider, model)) if parts().any(|(known, _)| known == provider) => {
            let own = parts().filter(|(known, _)| *known == provider);
            let near = nearest(model, own.map(|(_, model)| model))?;
            Some(format!("{provider}/{near}"))
        }
        Some(_) => nearest(&name, names.iter().map(String::as_str)).map(str::to_owned),
        None => nearest(&name, parts().map(|(_, model)| model)).map(str::to_owned),
    }
}

/// The model of the same provider whose price is known and whose name is spelt most like this one, provider/model.
pub fn nearest_priced(catalog: &Catalog, name: &str) -> Option<String> {
    let (provider, _) = name.split_once('/')?;
    let own = catalog.models().filter(|entry| entry.provider == provider);
    let priced = own.filter(|entry| !entry.prices.is_empty());
    let names: Vec<String> = priced
        .flat_map(|entry| entry.names().map(|name| format!("{provider}/{name}")))
        .map(|name| name.to_lowercase())
        .collect();
    match names.is_empty() {
        // another provider's would be no help
        true => None,
        false => nearest_model(name, &names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_model_is_found_within_its_provider() {
        let catalog = Catalog::built_in();
        let near = |name: &str| nearest_priced(&catalog, name);
        for (name, meant) in [
            ("openai/gpt-4o-minii", "openai/gpt-4o-mini"),
            ("openai/GTP-4o", "openai/gpt-4o"),
            ("anthropic/claude-haiku-45", "anthropic/claude-haiku-4-5"),
        ] {
            assert_eq!(near(name).as_deref(), Some(meant), "{name}");
        }
        for name in ["openai/qqqqqqqqqqqq", "local/gpt-4o", "sim/mine", "gpt-4o"] {
            assert_eq!(near(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_is_answered_as_it_was_asked() {
        let names = ["a/first", "a/second", "bee/third"].map(str::to_owned);
        let near = |name: &str| nearest_model(name, &names);
        assert_eq!(near("frist").as_deref(), Some("first"));
        assert_eq!(near("A/Frist").as_deref(), Some("a/first"));
        assert_eq!(near("bees/third").as_deref(), Some("bee/third"));
        assert_eq!(near("a/third"), None, "it is another provider's");
    }
}
