//! Which vocabulary a model counts in.

use bpe_openai::Tokenizer;

/// A vocabulary of OpenAI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `o200k_base`; `o200k_harmony` of gpt-oss counts plain text alike.
    O200k,
    /// `cl100k_base`.
    Cl100k,
}

/// Families of models whose vocabulary is public, with their beginnings; the first that fits decides.
const FAMILIES: [(&str, Encoding); 11] = [
    ("gpt-4o", Encoding::O200k),
    ("chatgpt-4o", Encoding::O200k),
    ("gpt-4.1", Encoding::O200k),
    ("gpt-4.5", Encoding::O200k),
    ("gpt-5", Encoding::O200k),
    ("gpt-6", Encoding::O200k),
    ("gpt-oss", Encoding::O200k),
    ("codex-mini", Encoding::O200k),
    ("gpt-4", Encoding::Cl100k),
    ("gpt-3.5-turbo", Encoding::Cl100k),
    // Azure's name of it
    ("gpt-35-turbo", Encoding::Cl100k),
];

impl Encoding {
    /// The encoding of a model; `None` where its tokenizer is not public. Fine-tuned names (`ft:gpt-4o:…`) and names with
    /// their vendor (`openai/gpt-oss-120b`) follow the model's own.
    pub fn of_model(model: &str) -> Option<Self> {
        let model = base_name(model);
        let begins = |family: &str| {
            model
                .strip_prefix(family)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', ':', '@']))
        };
        let family = FAMILIES.iter().find(|(family, _)| begins(family));
        let encoding = family.map(|(_, encoding)| *encoding);
        encoding.or_else(|| is_o_series(model).then_some(Self::O200k))
    }

    /// Tokens of a text. The first call for an encoding reads its tables, which takes up to a tenth of a second.
    pub fn count(self, text: &str) -> u64 {
        self.tokenizer().count(text) as u64
    }

    fn tokenizer(self) -> &'static Tokenizer {
        match self {
            Self::O200k => bpe_openai::o200k_base(),
            Self::Cl100k => bpe_openai::cl100k_base(),
        }
    }
}

/// The model's own name, without what fine-tuning or a reseller puts in front of it.
pub(super) fn base_name(model: &str) -> &str {
    let model = model.strip_prefix("ft:").unwrap_or(model);
    model.strip_prefix("openai/").unwrap_or(model)
}

/// `o1`, `o3-mini`, `o4-mini-2025-04-16`.
fn is_o_series(model: &str) -> bool {
    let Some(rest) = model.strip_prefix('o') else {
        return false;
    };
    let number = rest.split('-').next().unwrap_or_default();
    (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_encoding_of_their_family() {
        for (model, encoding) in [
            ("gpt-4o", Some(Encoding::O200k)),
            ("gpt-4o-mini-2024-07-18", Some(Encoding::O200k)),
            ("ft:gpt-4o-mini:acme::x", Some(Encoding::O200k)),
            ("gpt-4.1-nano", Some(Encoding::O200k)),
            ("gpt-5.1", Some(Encoding::O200k)),
            ("gpt-6-mini", Some(Encoding::O200k)),
            ("openai/gpt-oss-120b", Some(Encoding::O200k)),
            ("o3", Some(Encoding::O200k)),
            ("o4-mini", Some(Encoding::O200k)),
            ("gpt-4", Some(Encoding::Cl100k)),
            ("gpt-4-turbo-2024-04-09", Some(Encoding::Cl100k)),
            ("gpt-3.5-turbo-0125", Some(Encoding::Cl100k)),
            ("gpt-40", None),
            ("omni", None),
            ("o", None),
            ("claude-sonnet-4-5", None),
            ("open-mixtral-8x7b", None),
        ] {
            assert_eq!(Encoding::of_model(model), encoding, "{model}");
        }
    }

    /// Known counts of tiktoken.
    #[test]
    fn texts_count_as_with_tiktoken() {
        assert_eq!(Encoding::Cl100k.count("tiktoken is great!"), 6);
        assert_eq!(Encoding::O200k.count("hello world"), 2);
        assert_eq!(Encoding::O200k.count(""), 0);
        assert_eq!(Encoding::Cl100k.count("お誕生日おめでとう"), 9);
        assert_eq!(Encoding::O200k.count("お誕生日おめでとう"), 8);
    }
}
