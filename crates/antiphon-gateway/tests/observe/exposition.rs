//! A reader of what Prometheus scrapes, which accepts nothing that is not right.

use std::collections::{BTreeMap, HashMap};

/// A page: samples by name and labels, and the type that each was described with.
#[derive(Debug)]
pub(crate) struct Page {
    samples: BTreeMap<String, (f64, String)>,
}

impl Page {
    /// Reads the text format (0.0.4), or OpenMetrics where the text ends with its mark.
    pub(crate) fn read(text: &str) -> Self {
        let is_open = text.ends_with("# EOF\n");
        let text = text.strip_suffix("# EOF\n").unwrap_or(text);
        let mut types: HashMap<&str, &str> = HashMap::new();
        let mut samples = BTreeMap::new();
        for line in text.lines() {
            if let Some(described) = line.strip_prefix("# TYPE ") {
                let (name, kind) = described.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(
                    types.insert(name, kind).is_none(),
                    "described twice: {line}"
                );
                continue;
            }
            if let Some(help) = line.strip_prefix("# HELP ") {
                assert!(
                    help.split_once(' ')
                        .is_some_and(|(_, help)| !help.is_empty()),
                    "{line}"
                );
                continue;
            }
            let (id, value) = line
                .rsplit_once(' ')
                .unwrap_or_else(|| panic!("no sample: {line}"));
            let name = id.split('{').next().unwrap();
            assert!(name.starts_with("antiphon_"), "{line}");
            check_labels(&id[name.len()..]);
            let value: f64 = value
                .parse()
                .unwrap_or_else(|_| panic!("no number: {line}"));
            let kind = kind_of(name, is_open, &types).unwrap_or_else(|| panic!("no type: {line}"));
            let before = samples.insert(id.to_owned(), (value, kind.to_owned()));
            assert!(before.is_none(), "twice: {line}");
        }
        Self { samples }
    }

    /// The one sample with this name and these labels; nothing where there is none.
    pub(crate) fn get(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let mut found = self.samples.iter().filter(|(id, _)| {
            let (known, rest) = id.split_once('{').unwrap_or((id, ""));
            known == name && labels.iter().all(|label| rest.contains(label))
        });
        let value = found.next().map(|(_, (value, _))| *value);
        assert!(found.next().is_none(), "several are {name} {labels:?}");
        value
    }

    /// The sum of all samples of this name with these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let all = self.samples.iter().filter(|(id, _)| {
            let (known, rest) = id.split_once('{').unwrap_or((id, ""));
            known == name && labels.iter().all(|label| rest.contains(label))
        });
        all.map(|(_, (value, _))| value).sum()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }

    /// Nothing that counts may ever go down or away.
    pub(crate) fn goes_on_from(&self, before: &Self) {
        for (id, (value, kind)) in &before.samples {
            let now = self.samples.get(id);
            if kind != "gauge" {
                assert!(
                    now.is_some_and(|(now, _)| now >= value),
                    "{id} was {value}, is {now:?}"
                );
            }
        }
    }
}

fn kind_of<'a>(name: &str, is_open: bool, types: &HashMap<&str, &'a str>) -> Option<&'a str> {
    if let Some(base) = name.strip_suffix("_total").filter(|_| is_open) {
        return types.get(base).copied().filter(|kind| *kind == "counter");
    }
    let suffixes = ["_bucket", "_count", "_sum"];
    let of_histogram = suffixes.iter().find_map(|suffix| {
        let kind = types.get(name.strip_suffix(suffix)?).copied();
        kind.filter(|kind| *kind == "histogram")
    });
    let of_classic = types.get(name).copied();
    of_histogram.or(of_classic.filter(|kind| !is_open || *kind == "gauge"))
}

/// `{name="value",…}`, where quotes, backslashes and line ends are escaped.
fn check_labels(text: &str) {
    let Some(inside) = text.strip_prefix('{') else {
        assert_eq!(text, "");
        return;
    };
    let mut rest = inside.strip_suffix('}').expect("labels end");
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a label");
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{text}"
        );
        let mut is_escaped = false;
        let end = after.char_indices().find(|(_, char)| {
            let ends = *char == '"' && !is_escaped;
            is_escaped = *char == '\\' && !is_escaped;
            ends
        });
        let (end, _) = end.expect("a label's value ends");
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}
